// Rows of the timeline: a row a step, in it a bar an attempt and the wait before it. Pure.

const LEAF = /^(Pod|Suspend|HTTP|Plugin|Container|Skipped)$/;

/** Rows [{id, name, bars: [{id, from, to, phase}], wait: [from, to] or null}] in order of begin; times in ms.
 * A step waits from when the last of what it follows ended until it begins. `now` stands for what has not ended. */
export function rows(nodes, now) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const ready = new Map(); // node -> when the last of what it follows ended
  for (const node of nodes) {
    const end = LEAF.test(node.type) ? node.finishedAt : node.type === "Retry" ? node.finishedAt : node.startedAt;
    for (const child of node.children) if (end) ready.set(child, Math.max(ready.get(child) ?? 0, Date.parse(end)));
  }
  const heads = new Map();
  for (const node of nodes) if (node.type === "Retry") for (const id of node.children) if (byId.get(id)?.retryAttempt) heads.set(id, node);
  const made = new Map();
  for (const node of nodes) {
    if (!LEAF.test(node.type) || (!node.startedAt && !ready.has(node.id))) continue;
    const head = heads.get(node.id) ?? node;
    const row = made.get(head.id) ?? { id: head.id, name: head.displayName, bars: [], wait: null };
    const begin = node.startedAt ? Date.parse(node.startedAt) : null;
    if (begin != null) row.bars.push({ id: node.id, from: begin, to: node.finishedAt ? Date.parse(node.finishedAt) : Math.max(now, begin), phase: node.phase, node });
    const free = ready.get(head.id);
    if (!made.has(head.id) && free && (begin ?? now) > free) row.wait = [free, begin ?? now];
    if (row.bars.length || row.wait) made.set(head.id, row);
  }
  const start = (row) => row.bars[0]?.from ?? row.wait[0];
  for (const row of made.values()) row.bars.sort((a, b) => a.from - b.from);
  return [...made.values()].sort((a, b) => start(a) - start(b));
}

/** Round marks for a span of time: [[ms, seconds since the beginning], ...], at most about `most`. */
export function ticks(from, to, origin, most = 8) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
  const wide = (to - from) / 1000;
  const step = steps.find((one) => wide / one <= most) ?? 86400 * Math.ceil(wide / 86400 / most);
  const marks = [];
  for (let at = Math.ceil((from - origin) / 1000 / step) * step; at * 1000 + origin <= to; at += step) marks.push([origin + at * 1000, at]);
  return marks;
}
