// Requests to the server: JSON in and out, errors as `ApiError`, the session's CSRF token on writes.

import { app, change } from "./state.js";

const OWN = "/api/martlet/v1";

/** What the server answered, or did not: `status` 0 means that it could not be reached. */
export class ApiError extends Error {
  constructor(status, message, diagnostics = []) {
    super(message);
    Object.assign(this, { status, diagnostics });
  }
  /** Whether the same request may succeed later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** The path with its query; empty, null and undefined values are left out, arrays repeat. */
export function address(path, query = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat()) if (one != null && one !== "") search.append(name, one);
  }
  const base = path.startsWith("/api/") || path.startsWith("/artifact") ? path : OWN + path;
  return search.size ? `${base}?${search}` : base;
}

/** One request. `path` is below our own API unless it begins with /api/. Throws `ApiError`, or AbortError. */
export async function request(method, path, { query, body, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["Content-Type"] = "application/json";
  if (method !== "GET" && app.session?.csrf) headers["X-Martlet-CSRF"] = app.session.csrf;
  let response, text;
  try {
    const options = { method, headers, signal, credentials: "same-origin" };
    if (method !== "GET") options.body = JSON.stringify(body ?? {});
    response = await fetch(address(path, query), options);
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server cannot be reached.");
  }
  let value = null;
  try {
    value = text ? JSON.parse(text) : {};
  } catch {
    if (response.ok) throw new ApiError(502, "The answer is not JSON; is this a Martlet server?");
  }
  if (response.ok) return value;
  if (response.status === 401 && app.session?.signedIn) change({ session: { ...app.session, signedIn: false } });
  throw new ApiError(response.status, value?.message || `The server answered ${response.status}.`, value?.diagnostics);
}

export const api = {
  get: (path, query, signal) => request("GET", path, { query, signal }),
  post: (path, body, signal) => request("POST", path, { body, signal }),
  put: (path, body, signal) => request("PUT", path, { body, signal }),
  delete: (path, query, signal) => request("DELETE", path, { query, signal }),
};

/** Path segments, encoded: `` at`/runs/${uid}` ``. */
export const at = (parts, ...values) =>
  parts.reduce((path, part, index) => path + encodeURIComponent(values[index - 1] ?? "") + part);

/** Whether the reader may write in a namespace: `editor`, or `admin`. Without sign-in everyone may. */
export function may(role, namespace = "*") {
  const roles = app.session?.roles;
  if (!roles) return !app.session?.authRequired;
  const rank = ["viewer", "editor", "admin"];
  return [roles["*"], roles[namespace]].some((has) => rank.indexOf(has) >= rank.indexOf(role));
}
