// Addresses of views: which view a path means, and going there without loading the page anew.

import { app, change } from "./state.js";

/** The first of `routes` ([pattern, ...rest]) that matches, as {view, params}; patterns are like /runs/:namespace/:name. */
export function match(routes, path) {
  const parts = path.split("/").filter(Boolean);
  for (const [pattern, ...view] of routes) {
    const wanted = pattern.split("/").filter(Boolean);
    if (wanted.length !== parts.length) continue;
    const params = {};
    const fits = wanted.every((want, index) => {
      if (!want.startsWith(":")) return want === parts[index];
      try {
        params[want.slice(1)] = decodeURIComponent(parts[index]);
        return true;
      } catch {
        return false;
      }
    });
    if (fits) return { view, params };
  }
  return null;
}

/** The current address with some of its query changed; null and "" take a name out, arrays repeat it. */
export function here(changes, from = location) {
  const query = new URLSearchParams(from.search);
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name);
    for (const one of [value].flat()) if (one != null && one !== "") query.append(name, one);
  }
  return from.pathname + (query.size ? `?${query}` : "");
}

let routes = [];

export function startRouter(table) {
  routes = table;
  addEventListener("popstate", read);
  // Plain clicks on links of the page stay in the page; with a modifier they are the browser's.
  document.addEventListener("click", (event) => {
    const link = event.composedPath().find((node) => node.tagName === "A" && node.href);
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.origin !== location.origin || link.target || link.hasAttribute("download")) return;
    if (!match(routes, link.pathname)) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
  read();
}

/** Goes to an address of the page; `replace` makes no new step for the back button. */
export function go(address, { replace = false } = {}) {
  if (address === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", address);
  read();
}

function read() {
  const path = location.pathname === "/" ? "/runs" : location.pathname;
  const found = match(routes, path);
  const same = app.route?.path === path;
  change({ route: { path, query: new URLSearchParams(location.search), ...(found ?? { view: null, params: {} }) } });
  if (!same) scrollTo(0, 0);
}
