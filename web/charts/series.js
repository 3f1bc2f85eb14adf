// From what the server tells of runs' metrics to the charts' series. Pure.

import { byInterest } from "../lib/chart-math.js";

/**
 * Charts of several runs: [{name, series: [{id, name, look, xs, ys}], marks}]. `loaded`: [{uid, name, metrics}];
 * `axis` is "step" or "time" (seconds since the run's first point, so that runs lie on each other).
 * A series has the same look in every chart.
 */
export function charts(loaded, { axis = "step", node = "", filter = "" } = {}) {
  const named = new Map(), looks = new Map();
  const wanted = filter.toLowerCase();
  for (const { uid, name, metrics } of loaded) {
    const start = (s) => s.times?.[0] ?? 0;
    const all = (metrics?.series ?? []).filter((s) => !node || s.nodeName === node).sort((a, b) => start(a) - start(b));
    const origin = Math.min(...all.flatMap((s) => (s.times?.length ? [s.times[0]] : [])));
    const nodes = new Set(all.map((s) => s.node));
    // A step that was never tried again is called without the number of its attempt: "sft", not "sft(0)".
    const plain = (name) => name.replace(/\(\d+\)$/, ""), nodesOf = new Map();
    for (const s of all) nodesOf.set(plain(s.nodeName), (nodesOf.get(plain(s.nodeName)) ?? new Set()).add(s.node));
    const step = (s) => (nodesOf.get(plain(s.nodeName)).size === 1 ? plain(s.nodeName) : s.nodeName);
    for (const one of all) {
      if (wanted && !one.name.toLowerCase().includes(wanted)) continue;
      const again = all.some((s) => s.node === one.node && s.name === one.name && s.attempt !== one.attempt);
      const id = `${uid} ${one.node} ${again ? one.attempt : ""}`;
      const label = [loaded.length > 1 || nodes.size === 1 ? name : "", nodes.size > 1 && one.nodeName !== name ? step(one) : "",
        again ? `attempt ${one.attempt}` : ""];
      if (!looks.has(id)) looks.set(id, looks.size);
      const xs = axis === "time" ? (one.times ?? []).map((t) => (t - origin) / 1000) : one.steps;
      const ys = one.values.map((v) => (Number.isFinite(v) ? v : null));
      if (!named.has(one.name)) named.set(one.name, { name: one.name, series: [], marks: [] });
      const chart = named.get(one.name);
      chart.series.push({ id, name: label.filter(Boolean).join(" · "), look: looks.get(id), ...ordered(xs, ys) });
      // Checkpoints are told by step; on a time axis they stand where that step was.
      for (const mark of metrics.checkpoints ?? []) {
        const index = mark.node === one.node ? one.steps.findIndex((s) => s >= mark.step) : -1;
        if (index >= 0) chart.marks.push(xs[index]);
      }
    }
  }
  return byInterest([...named.keys()]).map((name) => ({ ...named.get(name), marks: [...new Set(named.get(name).marks)] }));
}

/** Points by ascending x: a step resumed from a checkpoint may come a second time, and the later wins. A column that most
 * lines lack is written now and then, as evaluations are: its points are joined, and only what else lacks a value is a gap. */
function ordered(allX, allY) {
  const sparse = allY.filter((y) => y !== null).length < allY.length / 2;
  const xs = sparse ? allX.filter((_, i) => allY[i] !== null) : allX, ys = sparse ? allY.filter((y) => y !== null) : allY;
  let sorted = true;
  for (let i = 1; i < xs.length && sorted; i++) sorted = xs[i] > xs[i - 1];
  if (sorted) return { xs, ys };
  const points = [...new Map(xs.map((x, i) => [x, ys[i]]))].sort((a, b) => a[0] - b[0]);
  return { xs: points.map((p) => p[0]), ys: points.map((p) => p[1]) };
}

/** Names of all steps that wrote metrics; a run that is one step has none. */
export const nodeNames = (loaded) =>
  [...new Set(loaded.flatMap((l) => (l.metrics?.series ?? []).map((s) => s.nodeName).filter((name) => name !== l.name)))].sort();
