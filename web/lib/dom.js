// A small declarative renderer: `h` describes elements, `paint` makes a host's children agree with the description.
// Text only ever becomes text nodes, so nothing that comes from outside can turn into markup.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "indeterminate", "selected", "tabIndex", "hidden"]);
const ACTS = Symbol("acts");
const painted = new WeakMap(); // element -> what its children were described as, each with its node

/** Describes an element. Props: attributes, `onNAME` handlers, `class`, `style` (an object), `key`, `ref`, and
 * `state`, which is given to a custom element's `render`. Children that are null or false are left out. */
export function h(tag, props, ...kids) {
  return { tag, props: props ?? {}, kids: flat(kids) };
}

/** Makes the children of `host` what `kids` describe, keeping elements (and focus) where tag and key agree. */
export function paint(host, ...kids) {
  patch(host, flat(kids), host.namespaceURI === SVG);
}

function flat(kids) {
  return kids.flat(Infinity).filter((kid) => kid != null && kid !== false && kid !== true && kid !== "");
}

const identity = (kid) =>
  typeof kid !== "object" ? "#text" : kid.props.key != null ? `${kid.tag} ${kid.props.key}` : kid.tag;

function patch(host, kids, svg) {
  const before = new Map();
  for (const old of painted.get(host) ?? []) {
    const id = identity(old.kid);
    if (before.has(id)) before.get(id).push(old);
    else before.set(id, [old]);
  }
  const after = kids.map((kid) => {
    const old = before.get(identity(kid))?.shift();
    return { kid, old: old?.kid, node: old?.node ?? make(kid, svg) };
  });
  // What is gone goes first, so that the rest need not move: moving an element would lose its focus and scroll.
  for (const rest of before.values()) for (const old of rest) old.node.remove();
  after.forEach(({ node }, index) => {
    if (host.childNodes[index] !== node) host.insertBefore(node, host.childNodes[index] ?? null);
  });
  for (const { kid, old, node } of after) {
    if (typeof kid !== "object") {
      if (node.data !== String(kid)) node.data = kid;
      continue;
    }
    if (kid === old) continue;
    // An element described without children may be a view, whose children are its own.
    if (kid.kids.length || old?.kids.length) patch(node, kid.kids, node.namespaceURI === SVG);
    dress(node, kid.props, old?.props ?? {});
    if (!old) kid.props.ref?.(node);
  }
  painted.set(host, after.map(({ kid, node }) => ({ kid, node })));
}

function make(kid, svg) {
  if (typeof kid !== "object") return document.createTextNode(kid);
  return svg || kid.tag === "svg" ? document.createElementNS(SVG, kid.tag) : document.createElement(kid.tag);
}

function dress(node, props, old) {
  for (const name in old) if (!(name in props)) dressOne(node, name, null, old[name]);
  for (const name in props) dressOne(node, name, props[name], old[name]);
}

function dressOne(node, name, value, old) {
  if (name === "key" || name === "ref") return;
  if (name === "state") {
    // An element whose module is still on its way finds its state when it is upgraded.
    if (node.render) node.render(value);
    else node.pending = value;
  } else if (name.startsWith("on")) {
    // Not the `onNAME` property: a handler that happens to return false would cancel what the browser does.
    const acts = (node[ACTS] ??= {});
    if (!acts[name]) node.addEventListener(name.slice(2), (event) => acts[name]?.(event));
    acts[name] = value ?? (() => {});
  } else if (name === "style") {
    for (const key in old) if (!value || !(key in value)) node.style.removeProperty(key);
    for (const key in value) if (value[key] !== old?.[key]) node.style.setProperty(key, value[key]);
  } else if (PROPERTIES.has(name)) {
    if (node[name] !== (value ?? "")) node[name] = value ?? "";
  } else if (value === old) {
    return;
  } else if (value == null || value === false) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : value);
}
