// What the whole page knows: session, overview, route, whether the stream is live; and the runs, each at its newest.

export const app = {
  session: null, // GET /session
  overview: null, // GET /overview
  route: null, // {path, view, params, query: URLSearchParams}
  live: false, // whether what is shown is what the server has now
  lost: null, // since when it is not, ms, or null
  retryAt: null, // when the stream connects again, ms
  skew: 0, // server's clock minus ours, ms
};

const watchers = new Set();

/** Changes part of `app` and tells who watches. */
export function change(part) {
  if (Object.keys(part).every((key) => app[key] === part[key])) return;
  Object.assign(app, part);
  for (const watcher of [...watchers]) watcher(app);
}

/** Calls back at each change of `app`; returns a function that ends it. */
export function watch(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** The server's time in ms. It stands still while the stream is lost, so that no clock ticks over stale rows. */
export const now = () => (app.live || !app.lost ? Date.now() : app.lost) + app.skew;

export const namespace = () => app.route?.query.get("namespace") ?? saved("namespace") ?? "";

/** Runs by uid, each as new as anything has told. */
export const runs = new Map();

/** Keeps the newer of what is known and what came; returns the uids that changed. */
export function keepRuns(items) {
  const changed = [];
  for (const item of items) {
    const known = runs.get(item.uid);
    if (known && known.revision >= item.revision) continue;
    runs.set(item.uid, known ? { ...known, ...item } : item);
    changed.push(item.uid);
  }
  while (runs.size > 5000) runs.delete(runs.keys().next().value);
  return changed;
}

/** What a reader chose before, from localStorage; null where there is none or storage is off. */
export function saved(name) {
  try {
    return JSON.parse(localStorage.getItem(`martlet.${name}`));
  } catch {
    return null;
  }
}

export function save(name, value) {
  try {
    if (value == null) localStorage.removeItem(`martlet.${name}`);
    else localStorage.setItem(`martlet.${name}`, JSON.stringify(value));
  } catch {
    // Private windows may refuse to store; the choice then lasts as long as the page.
  }
}
