// What charts compute before anything is drawn: scales, ticks, smoothing, the nearest point.
// A value of null (or not finite) is a gap everywhere.

const finite = Number.isFinite;

/** Smallest and largest finite value of several lists, or null without any. `positive` leaves out what a log scale cannot show. */
export function extent(lists, positive = false) {
  let low = Infinity, high = -Infinity;
  for (const list of lists) {
    for (const value of list) {
      if (!finite(value) || (positive && value <= 0)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : null;
}

/** At most about `count` round values (1, 2 or 5 times a power of ten) within [low, high]. */
export function ticks(low, high, count = 5) {
  if (!(high > low)) return finite(low) ? [low] : [];
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((m) => rough <= m * power * 1.0001) ?? 10);
  // Decimals are counted so that 0.1 + 0.2 does not become a label.
  const decimals = Math.min(20, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  const out = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) out.push(Number((i * step).toFixed(decimals)));
  return out;
}

/** Powers of ten within [low, high]; with fewer than three of them also 2 and 5 times those, or plain ticks. */
export function logTicks(low, high, count = 6) {
  const powers = [], fine = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
    for (const m of [1, 2, 5]) {
      const value = Number(`${m}e${e}`);
      if (value < low * 0.999999 || value > high * 1.000001) continue;
      fine.push(value);
      if (m === 1) powers.push(value);
    }
  }
  if (powers.length > count) return powers.filter((_, i) => i % Math.ceil(powers.length / count) === 0);
  if (powers.length > 2) return powers;
  return fine.length > 1 ? fine : ticks(low, high, count);
}

/** A range with a little air, so that lines touch no edge and a constant line is seen in the middle. */
export function padded([low, high], log = false) {
  if (log) {
    const [a, b] = [Math.log10(low), Math.log10(high)];
    const air = (b - a) * 0.05 || 0.5;
    return [10 ** (a - air), 10 ** (b + air)];
  }
  const air = (high - low) * 0.05 || Math.abs(high) * 0.1 || 1;
  return [low - air, high + air];
}

/** A function from [low, high] to [from, to]; on a log scale what is not positive gives NaN, a gap. */
export function scale(low, high, from, to, log = false) {
  const f = log ? Math.log10 : (x) => x;
  const a = f(low), span = f(high) - a || 1;
  const at = (x) => (log && !(x > 0) ? NaN : from + ((f(x) - a) / span) * (to - from));
  at.invert = (pixel) => {
    const y = a + ((pixel - from) / (to - from || 1)) * span;
    return log ? 10 ** y : y;
  };
  return at;
}

/**
 * Exponential moving average with the start's bias taken out: s = w·s + (1 - w)·v, shown as s / (1 - wⁿ).
 * Weight 0 changes nothing; gaps stay gaps and do not count.
 */
export function smooth(values, weight) {
  if (!(weight > 0)) return values;
  let state = 0, n = 0;
  return values.map((value) => {
    if (!finite(value)) return null;
    n += 1;
    state = weight * state + (1 - weight) * value;
    return state / (1 - weight ** n);
  });
}

/** Index of the value nearest to x in an ascending list, or -1 of an empty one. */
export function nearest(sorted, x) {
  let low = 0, high = sorted.length - 1;
  if (high < 0) return -1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < x) low = middle + 1; else high = middle;
  }
  return low > 0 && x - sorted[low - 1] <= sorted[low] - x ? low - 1 : low;
}

/** The `d` of an SVG path over points; a gap lifts the pen, and a point alone between gaps becomes a dot. */
export function path(xs, ys, x, y) {
  let d = "", down = false, alone = "", start = "";
  const end = () => { if (alone) d += alone; alone = ""; down = false; };
  for (let i = 0; i < xs.length; i++) {
    const value = ys[i], px = x(xs[i]), py = finite(value) ? y(value) : NaN;
    if (!finite(px) || !finite(py)) { end(); continue; }
    const left = Math.round(px * 10) / 10, top = Math.round(py * 10) / 10;
    if (!down) { start = `M${left} ${top}`; alone = `M${left - 1.5} ${top}h3`; down = true; } else { d += `${alone && start}L${left} ${top}`; alone = ""; }
  }
  end();
  return d;
}

/** Round places of a time axis, in seconds. */
export function timeTicks(low, high, count = 5) {
  const rough = (high - low) / count;
  const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400].find((s) => s >= rough);
  if (!step || rough < 0.5) return step ? ticks(low, high, count) : ticks(low / 86400, high / 86400, count).map((d) => d * 86400);
  const out = [];
  for (let t = Math.ceil(low / step) * step; t <= high; t += step) out.push(t);
  return out;
}

/** Losses first, then scores, then the rest by name: what people look at first stands first. */
export function byInterest(names) {
  const rank = (name) => (/^(train[_/])?loss$/i.test(name) ? 0 : /loss|perplexity|\bppl\b/i.test(name) ? 1
    : /acc|score|reward|f1|bleu|exact/i.test(name) ? 2 : 3);
  return [...names].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}
