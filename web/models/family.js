// A family of models as a tree, and its evaluations as a table. Pure.

export const label = (model) => `${model.name}:v${model.version}`;

/** The members in the order of a tree, each with its depth: a child stands below its first parent that is there. */
export function tree(family) {
  const known = new Set(family.map((m) => m.id)), below = new Map(), roots = [];
  for (const item of family) {
    // A parent is always older, so that there is no circle.
    const parent = item.parents.find((p) => known.has(p.id) && p.id < item.id)?.id;
    if (parent == null) roots.push(item);
    else below.set(parent, [...(below.get(parent) ?? []), item]);
  }
  const walk = (item, depth) => [{ item, depth }, ...(below.get(item.id) ?? []).flatMap((child) => walk(child, depth + 1))];
  return roots.flatMap((item) => walk(item, 0));
}

/** Evaluations side by side: a row each, named after what was looked at, a column a metric; `here` tells the model's own. */
export function table(evaluations, family, sha256) {
  const bySum = new Map(family.map((m) => [m.sha256, m]));
  const names = [...new Set(evaluations.flatMap((e) => Object.keys(e.metrics)))].sort();
  return { names, rows: evaluations.map((e) => {
    const sum = e.adapterSha256 ?? e.sha256, model = bySum.get(e.adapterSha256) ?? bySum.get(e.sha256);
    return { words: model ? label(model) : sum.slice(0, 8), template: e.template, run: e.run, here: sum === sha256, values: names.map((name) => e.metrics[name]) };
  }) };
}
