// Layered layout, left to right: longest-path layers, crossings lessened by barycenters, heights by the least squares
// that keep the order and the gaps. Pure, and the same graph always gives the same picture.

export const SIZE = { width: 160, height: 40, gapX: 46, gapY: 14, dot: 10 };
const SWEEPS = 6;
const DUMMIES = 40_000; // points that long edges may be led around nodes by; beyond, they go straight

/** Places vertices: {x, y, layer (per vertex), layers (indices in order), width, height, bends: edge -> points}.
 * `vertices` may have `dot`; `edges` are [from, to]; those that would close a circle count for nothing. */
export function layout(vertices, edges, size = SIZE) {
  const count = vertices.length;
  const { layer, kept } = layersOf(count, edges);
  // Dummy points stand for long edges in the layers between.
  const spots = Array.from({ length: count }, (_, index) => ({ layer: layer[index], real: true, height: vertices[index].dot ? size.dot : size.height }));
  const into = spots.map(() => []);
  const out = spots.map(() => []);
  const chains = new Map();
  let left = DUMMIES;
  for (const edge of kept) {
    const [from, to] = edges[edge];
    let at = from;
    if (layer[to] - layer[from] > 1 && left > layer[to] - layer[from]) {
      const chain = [];
      for (let between = layer[from] + 1; between < layer[to]; between++, left--) {
        spots.push({ layer: between, real: false, height: 4 });
        into.push([at]);
        out.push([]);
        out[at].push(spots.length - 1);
        at = spots.length - 1;
        chain.push(at);
      }
      chains.set(edge, chain);
    }
    out[at].push(to);
    into[to].push(at);
  }
  const layers = [];
  spots.forEach((spot, index) => (layers[spot.layer] ??= []).push(index));
  order(layers, into, out);
  const y = heights(layers, into, out, spots, size.gapY);
  const step = size.width + size.gapX;
  const x = spots.map((spot) => spot.layer * step);
  const bends = new Map([...chains].map(([edge, chain]) => [edge, chain.map((at) => [x[at] + size.width / 2, y[at]])]));
  let height = 0;
  spots.forEach((spot, index) => (height = Math.max(height, y[index] + spot.height / 2)));
  return { x: x.slice(0, count), y: y.slice(0, count), layer: Array.from(layer), bends, height, width: layers.length * step - size.gapX,
    layers: layers.map((list) => list.filter((index) => index < count)) };
}

/** Longest-path layers by Kahn's order. What is left over lies on circles: its edges back are left out. */
function layersOf(count, edges) {
  const out = Array.from({ length: count }, () => []);
  const waiting = new Int32Array(count);
  edges.forEach(([from, to], edge) => {
    if (from === to) return;
    out[from].push(edge);
    waiting[to] += 1;
  });
  const layer = new Int32Array(count);
  const done = new Uint8Array(count);
  const kept = [];
  const ready = [];
  for (let index = 0; index < count; index++) if (!waiting[index]) ready.push(index);
  let next = 0;
  for (let seen = 0; seen < count; seen++) {
    if (next === ready.length) ready.push(done.indexOf(0));
    const at = ready[next++];
    if (done[at]) {
      seen--;
      continue;
    }
    done[at] = 1;
    for (const edge of out[at]) {
      const to = edges[edge][1];
      if (done[to]) continue;
      kept.push(edge);
      layer[to] = Math.max(layer[to], layer[at] + 1);
      if (--waiting[to] === 0) ready.push(to);
    }
  }
  return { layer, kept };
}

/** Sorts each layer by the mean place of its neighbours, down and up in turn. Ties keep their order. */
function order(layers, into, out) {
  const place = [];
  const settle = (list) => list.forEach((at, index) => (place[at] = index / list.length));
  layers.forEach(settle);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0;
    for (const list of down ? layers : [...layers].reverse()) {
      const toward = down ? into : out;
      const want = new Map(list.map((at) => [at, toward[at].length ? mean(toward[at], place) : place[at]]));
      list.sort((a, b) => want.get(a) - want.get(b) || place[a] - place[b]);
      settle(list);
    }
  }
}

const mean = (list, values) => list.reduce((sum, at) => sum + values[at], 0) / list.length;

/** Centres' heights: every spot goes as near to its neighbours as order and gaps allow. */
function heights(layers, into, out, spots, gap) {
  const y = new Float64Array(spots.length);
  const room = (a, b) => (spots[a].height + spots[b].height) / 2 + (spots[a].real && spots[b].real ? gap : gap / 2);
  for (const list of layers) {
    let at = 0;
    list.forEach((spot, index) => (y[spot] = at += index ? room(list[index - 1], spot) : 0));
    for (const spot of list) y[spot] -= at / 2;
  }
  for (let sweep = 0; sweep < 5; sweep++) {
    for (const list of sweep % 2 ? [...layers].reverse() : layers) {
      const toward = sweep % 2 ? out : into;
      const offsets = [];
      let at = 0;
      list.forEach((spot, index) => offsets.push((at += index ? room(list[index - 1], spot) : 0)));
      const want = list.map((spot, index) => (toward[spot].length ? mean(toward[spot], y) : y[spot]) - offsets[index]);
      isotonic(want).forEach((value, index) => (y[list[index]] = value + offsets[index]));
    }
  }
  let top = Infinity;
  spots.forEach((spot, index) => (top = Math.min(top, y[index] - spot.height / 2)));
  return y.map((value) => value - top);
}

/** The nearest sequence that never falls (pool adjacent violators; Barlow and others, 1972). */
export function isotonic(values) {
  const blocks = [];
  for (const value of values) {
    let block = { mean: value, size: 1 };
    while (blocks.length && blocks.at(-1).mean > block.mean) {
      const before = blocks.pop();
      const size = before.size + block.size;
      block = { mean: (before.mean * before.size + block.mean * block.size) / size, size };
    }
    blocks.push(block);
  }
  return blocks.flatMap(({ mean, size }) => new Array(size).fill(mean));
}
