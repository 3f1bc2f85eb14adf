// A view's own style sheet, added once, when its module is first loaded. Modules await it, so that nothing is ever
// drawn, or worse, measured, without its style.

const loaded = new Map();

export function sheet(address) {
  if (!loaded.has(address)) {
    const link = document.createElement("link");
    Object.assign(link, { rel: "stylesheet", href: address });
    loaded.set(address, new Promise((resolve) => (link.onload = link.onerror = resolve)));
    document.head.append(link);
  }
  return loaded.get(address);
}
