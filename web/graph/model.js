// From a run's nodes to the graph that is shown: attempts of a retry are one node, step groups dissolve, loops and
// templates fold. Pure.

const LOOP = 8; // items from which a loop is folded at first
const MANY = 400; // nodes from which templates are folded too
const WIDE = 36; // edges that a dissolved step group may become; a dot stands for more

/** What a node's display name says of its loop: "train(3:lr=1)" -> "train"; null outside of loops. */
export const loopOf = ({ displayName, name }) =>
  /^(.*)\(\d+(?::.*)?\)(?:\(\d+\))?$/s.exec(displayName ?? "")?.[1] ?? (/^(.*)\(\d+:/s.exec(name?.split(".").pop() ?? "")?.[1] || null);

const RANK = ["Running", "Suspended", "Failed", "Error", "Pending", "Succeeded", "Skipped"];
const phaseOf = (node) => node.phase === "Omitted" ? "Skipped" : node.type === "Suspend" && node.phase === "Running" ? "Suspended" : node.phase;

/** Groups of a run: each node's group (or none), and per group its members. A group is a template's node (by boundary)
 * or a loop, keyed "loop BOUNDARY NAME", or by the loop's own TaskGroup node. */
export function groups(nodes) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parent = new Map(); // node or loop -> group that holds it
  const members = new Map();
  const loops = new Map();
  const task = new Map(); // "BOUNDARY NAME" -> TaskGroup node
  for (const node of nodes) if (node.type === "TaskGroup") task.set(`${node.boundary} ${node.displayName}`, node.id);
  const root = nodes.find(({ boundary, hook }) => !boundary && !hook)?.id;
  for (const node of nodes) {
    const above = node.boundary && node.boundary !== root && byId.has(node.boundary) ? node.boundary : null;
    if (node.retryAttempt) continue;
    const loop = loopOf(node);
    let group = above;
    if (loop != null) {
      const own = task.get(`${node.boundary} ${loop}`);
      const key = own ?? `loop ${node.boundary} ${loop}`;
      if (!own && !loops.has(key)) loops.set(key, { id: key, name: loop, boundary: node.boundary });
      if (own !== node.id) {
        if (!own) parent.set(key, above);
        group = key;
      }
    }
    parent.set(node.id, group);
    if (group) (members.get(group) ?? members.set(group, []).get(group)).push(node.id);
  }
  // A loop of one or two items folded would hide more than it spares.
  for (const [key] of loops) {
    if (members.get(key).length > 2) continue;
    for (const id of members.get(key)) parent.set(id, parent.get(key));
    members.delete(key);
    loops.delete(key);
  }
  return { byId, parent, members, loops, root };
}

/** Which groups are folded at first: long loops, and templates too where there is much. */
export function foldedAtFirst(nodes, { members, byId, loops }) {
  const folded = new Set();
  for (const [key, list] of members) {
    const loop = loops.has(key) || byId.get(key)?.type === "TaskGroup";
    if (loop ? list.length > LOOP : nodes.length > MANY) folded.add(key);
  }
  return folded;
}

/** The graph: vertices [{id, name, kind, phase, node?, group?, counts?, attempts?}] and edges [[from, to]] by index.
 * `folded`: groups shown as one vertex. */
export function graph(nodes, grouping, folded) {
  const { byId, parent, members, loops, root } = grouping;
  const vertices = [];
  const index = new Map();
  const retryOf = new Map();
  for (const node of nodes) {
    if (node.type === "Retry") for (const child of node.children) if (byId.get(child)?.retryAttempt) retryOf.set(child, node.id);
  }
  const shownAs = new Map();
  /** The vertex that stands for a node: its outermost folded group, its retry, or itself. */
  function standsFor(id) {
    if (shownAs.has(id)) return shownAs.get(id);
    let stands = retryOf.get(id) ?? id;
    for (let group = parent.get(stands), depth = 0; group && depth < 200; group = parent.get(group), depth++) {
      if (folded.has(group)) stands = group;
    }
    shownAs.set(id, stands);
    return stands;
  }
  function vertex(id) {
    if (index.has(id)) return index.get(id);
    const node = byId.get(id);
    const made = { id, name: node?.displayName || loops.get(id)?.name || id, kind: node?.type ?? "TaskGroup", phase: node ? phaseOf(node) : "Pending", node };
    if (node?.type === "Retry") made.attempts = node.children.filter((child) => retryOf.get(child) === id).length;
    if (members.has(id)) Object.assign(made, { group: true, folded: folded.has(id), counts: {} });
    index.set(id, vertices.length);
    vertices.push(made);
    return vertices.length - 1;
  }
  for (const node of nodes) {
    const at = vertices[vertex(standsFor(node.id))];
    if (at.counts && at.id !== node.id && !node.retryAttempt && !/Group$/.test(node.type)) {
      const phase = phaseOf(node);
      at.counts[phase] = (at.counts[phase] ?? 0) + 1;
    }
  }
  for (const at of vertices) {
    if (!at.node && at.counts) at.phase = RANK.find((phase) => at.counts[phase]) ?? "Pending";
  }
  const seen = new Set();
  let edges = [];
  for (const node of nodes) {
    const from = index.get(standsFor(node.id));
    for (const child of node.children) {
      if (!byId.has(child)) continue;
      const to = index.get(standsFor(child));
      const key = from * 1e6 + to;
      if (from === to || seen.has(key)) continue;
      seen.add(key);
      edges.push([from, to]);
    }
  }
  return dissolve(vertices, edges, root);
}

/** Takes step groups out: who came before one leads straight to who comes after. A wide one stays as a dot. */
function dissolve(vertices, edges, root) {
  const into = vertices.map(() => new Set());
  const out = vertices.map(() => new Set());
  for (const [from, to] of edges) out[from].add(to), into[to].add(from);
  const gone = new Set();
  vertices.forEach((vertex, index) => {
    if (vertex.kind !== "StepGroup" || vertex.id === root) return;
    if (into[index].size * out[index].size > WIDE) return void (vertex.dot = true);
    for (const from of into[index]) out[from].delete(index);
    for (const to of out[index]) into[to].delete(index);
    for (const from of into[index]) for (const to of out[index]) out[from].add(to), into[to].add(from);
    gone.add(index);
  });
  const moved = new Map();
  const kept = vertices.filter((_, index) => !gone.has(index) && moved.set(index, moved.size));
  const left = [];
  out.forEach((targets, from) => {
    if (!gone.has(from)) for (const to of targets) left.push([moved.get(from), moved.get(to)]);
  });
  return { vertices: kept, edges: left };
}

/** A word for the shape of a graph: while it stays the same, only phases changed and no new layout is due. */
export const shape = ({ vertices, edges }) => `${vertices.map(({ id }) => id).join("\n")}\n${edges.join(";")}`;

/** The path that decides how long the run takes, as a set of node ids: from the node that ended last, back through
 * whichever predecessor ended last. */
export function criticalPath({ vertices, edges }, now) {
  const into = vertices.map(() => []);
  const leads = new Set(); // vertices after which something began
  const began = (at) => vertices[at].node?.startedAt;
  for (const [from, to] of edges) {
    into[to].push(from);
    if (began(to)) leads.add(from);
  }
  const end = (at) => (vertices[at].node?.finishedAt ? Date.parse(vertices[at].node.finishedAt) : now);
  const last = (list) => list.reduce((best, at) => (best == null || end(at) > end(best) ? at : best), null);
  let at = last([...vertices.keys()].filter((index) => began(index) && !leads.has(index)));
  const path = new Set();
  while (at != null && !path.has(vertices[at].id)) {
    path.add(vertices[at].id);
    at = last(into[at].filter(began));
  }
  return path;
}
