// A run's state in plain words, and what its nodes are to each other. Pure.

import { shown } from "../lib/phase.js";

const leaf = (node) => !/^(DAG|Steps|StepGroup|TaskGroup|Retry)$/.test(node.type);

/** The node by which a run failed: the first leaf that did, not one of which a later attempt succeeded. */
export function culprit(nodes) {
  const excused = new Set(nodes.filter(({ type, phase }) => type === "Retry" && phase === "Succeeded").flatMap(({ children }) => children));
  const bad = nodes.filter((node) => ["Failed", "Error"].includes(node.phase) && leaf(node) && !excused.has(node.id));
  // Of the attempts of one node the last one counts; among nodes the one that failed first.
  const last = new Map(bad.map((node) => [node.retryAttempt ? node.displayName.replace(/\(\d+\)$/, "") : node.id, node]));
  return [...last.values()].sort((a, b) => (a.finishedAt ?? "~").localeCompare(b.finishedAt ?? "~"))[0] ?? null;
}

/** One line under the name of a run; names stand in backticks. */
export function headline(run, nodes) {
  const phase = shown(run);
  const waiting = nodes.find((node) => shown(node) === "Suspended");
  if (waiting) return `\`${waiting.displayName}\` waits for an answer.`;
  if (phase === "Suspended") return run.message || "Suspended: nothing new starts until it is resumed.";
  const bad = culprit(nodes);
  if (bad && (phase === "Failed" || phase === "Error")) {
    const name = bad.retryAttempt ? bad.displayName.replace(/\(\d+\)$/, "") : bad.displayName;
    return run.message?.includes(name) ? run.message : `\`${name}\` failed: ${bad.message || "see its log"}`;
  }
  if (phase === "Running" && !run.message) {
    const active = nodes.filter((node) => node.phase === "Running" && leaf(node));
    const names = active.slice(0, 3).map(({ displayName }) => `\`${displayName}\``).join(", ");
    return active.length ? `Running ${names}${active.length > 3 ? ` and ${active.length - 3} more` : ""}.` : "Waits for a slot.";
  }
  return run.message ?? "";
}

/** The attempts of a node, oldest first: the node itself where it has no retries. Any of them may be given. */
export function attempts(node, nodes) {
  const retry = node.type === "Retry" ? node : node.retryAttempt ? nodes.find(({ type, children }) => type === "Retry" && children.includes(node.id)) : null;
  if (!retry) return { head: node, list: [node] };
  const inside = new Set(retry.children);
  const list = nodes.filter(({ id, retryAttempt }) => retryAttempt && inside.has(id)).sort((a, b) => a.sequence - b.sequence);
  return { head: retry, list: list.length ? list : [retry] };
}

/** Nodes with what the stream told of some. A told node may come without `children`: it keeps those that it had, and is
 * added to those of its `parents`. */
export function merge(nodes, told) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  for (const node of told) byId.set(node.id, { ...node, children: node.children ?? byId.get(node.id)?.children ?? [] });
  for (const { id, parents = [] } of told) {
    for (const parent of parents) {
      const above = byId.get(parent);
      if (above && !above.children.includes(id)) byId.set(parent, { ...above, children: [...above.children, id] });
    }
  }
  return [...byId.values()];
}

/** Rows of the tree: [{id, name, node?, depth, kids, open, counts}]; `closed`: groups whose content is not shown. */
export function tree(nodes, { byId, parent, loops }, closed) {
  const under = new Map();
  const put = (above, id) => (under.get(above) ?? under.set(above, []).get(above)).push(id);
  const retries = new Map();
  for (const { type, id, children } of nodes) if (type === "Retry") for (const child of children) if (byId.get(child)?.retryAttempt) retries.set(child, id);
  for (const id of loops.keys()) put(parent.get(id) ?? null, id);
  for (const node of nodes) if (node.type !== "StepGroup") put(retries.get(node.id) ?? parent.get(node.id) ?? null, node.id);
  const rows = [];
  const walk = (above, depth) => {
    for (const id of under.get(above) ?? []) {
      const kids = under.get(id)?.length ?? 0;
      const open = kids > 0 && !closed.has(id);
      rows.push({ id, name: byId.get(id)?.displayName || loops.get(id)?.name || id, node: byId.get(id), depth, kids, open });
      if (open && depth < 100) walk(id, depth + 1);
    }
  };
  walk(null, 0);
  return rows;
}
