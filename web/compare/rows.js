// Rows of the comparison's tables. Pure.

/** Metrics with one row a name and step. A run of a single step calls that step as itself, so such steps are one: node "". */
export function metricRows(metrics, runs) {
  const rows = new Map(), own = new Set(runs.map((r) => r.name));
  for (const m of metrics) {
    const node = own.has(m.node) ? "" : m.node, key = `${m.name} ${node}`, row = rows.get(key);
    const fill = (into, from) => from?.map((v, i) => v ?? into?.[i] ?? null);
    rows.set(key, row ? { ...row, values: fill(row.values, m.values), best: fill(row.best, m.best) } : { ...m, node });
  }
  return [...rows.values()];
}
