// The one event stream of a tab: a pure machine that decides (`step`), and the shell that fetches, reads and waits.
// It is read with fetch, since EventSource hides the heartbeat comments by which silence is told from calm.

import { app, change, keepRuns, runs } from "./state.js";

export const SILENCE = 25_000; // ms without a byte after which the connection counts as lost
const BACKOFF = [500, 1000, 2000, 4000, 8000, 15_000]; // ms; the last one repeats

export const idle = { phase: "idle", epoch: 0, focus: {}, since: null, tries: 0, heard: 0, retryAt: 0 };

/** The machine. Phases: idle, connecting, live, waiting (to connect again), refused. Events carry the epoch of their
 * connection, so that what an older one still says changes nothing. Returns [state, what to do]. */
export function step(state, event) {
  if (event.epoch != null && event.epoch !== state.epoch) return [state, null];
  const connect = (more) => {
    const next = { ...state, ...more, phase: "connecting", epoch: state.epoch + 1, heard: event.now };
    return [next, "connect"];
  };
  const lost = () => {
    const wait = BACKOFF[Math.min(state.tries, BACKOFF.length - 1)] * (0.75 + 0.5 * (event.random ?? 0.5));
    const next = { ...state, phase: "waiting", epoch: state.epoch + 1, tries: state.tries + 1 };
    return [{ ...next, retryAt: event.now + wait }, "close"];
  };
  switch (event.type) {
    case "focus": {
      // What a view fetched may be older than what the stream told last: begin at the older, states may repeat.
      const known = [state.since, event.since].filter((value) => value != null);
      const since = known.length ? Math.min(...known) : null;
      const same = JSON.stringify(state.focus) === JSON.stringify(event.focus);
      if (same && !["idle", "refused"].includes(state.phase) && since === state.since) return [state, null];
      return connect({ focus: event.focus, since });
    }
    case "bytes":
      return [{ ...state, heard: event.now }, null];
    case "message":
      return [{ ...state, heard: event.now, since: event.id ?? state.since, phase: "live", tries: 0 }, null];
    case "refused":
      return [{ ...state, phase: "refused", epoch: state.epoch + 1 }, "close"];
    case "lost":
      return state.phase === "idle" || state.phase === "refused" ? [state, null] : lost();
    case "wake":
      return state.phase === "waiting" ? connect({}) : [state, null];
    case "reset":
      return [{ ...state, since: null }, null];
    case "tick":
      if (state.phase === "waiting" && event.now >= state.retryAt) return connect({});
      if ((state.phase === "live" || state.phase === "connecting") && event.now - state.heard > SILENCE) return lost();
      return [state, null];
  }
  return [state, null];
}

/** Cuts a text/event-stream into {id, name, data} with what is left over; `rest` goes before the next piece. */
export function cut(text) {
  const blocks = text.split(/\r?\n\r?\n/);
  const rest = blocks.pop();
  const messages = [];
  for (const block of blocks) {
    const message = { name: "message", data: [] };
    for (const line of block.split(/\r?\n/)) {
      const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (field === "data") message.data.push(value);
      else if (field === "event") message.name = value;
      else if (field === "id") message.id = value;
    }
    if (message.data.length) messages.push({ ...message, data: message.data.join("\n") });
  }
  return { messages, rest };
}

let state = idle;
let controller = null;
const listeners = new Map(); // event name -> callbacks

/** Calls back with the data of each event of a name; also `reset` (fetch all anew). Returns a function that ends it. */
export function on(name, callback) {
  if (!listeners.has(name)) listeners.set(name, new Set());
  listeners.get(name).add(callback);
  return () => listeners.get(name).delete(callback);
}

/** What the stream is to tell: {namespace, run, log}. `since`: revision of what the view has fetched. */
export function focus(what, since = null) {
  const wanted = Object.fromEntries(Object.entries(what).filter(([, value]) => value));
  feed({ type: "focus", focus: wanted, since });
}

export const reconnect = () => feed({ type: "wake" });

export function startStream() {
  setInterval(() => feed({ type: "tick" }), 1000);
  addEventListener("online", reconnect);
  document.addEventListener("visibilitychange", () => document.hidden || (feed({ type: "tick" }), reconnect()));
}

function feed(event) {
  const [next, act] = step(state, { now: Date.now(), random: Math.random(), ...event });
  state = next;
  if (act) {
    controller?.abort();
    controller = null;
  }
  if (act === "connect") connect(state.epoch);
  const live = state.phase === "live";
  const lost = live ? null : (app.lost ?? (state.heard || Date.now()));
  change({ live, lost, retryAt: state.phase === "waiting" ? state.retryAt : null });
}

async function connect(epoch) {
  controller = new AbortController();
  const query = new URLSearchParams(state.focus);
  const since = state.since;
  if (since != null) query.set("since", since);
  try {
    const response = await fetch(`/api/martlet/v1/stream?${query}`, {
      signal: controller.signal,
      headers: { Accept: "text/event-stream" },
    });
    if (response.status === 401 || response.status === 403) {
      if (response.status === 401) change({ session: { ...app.session, authRequired: true, signedIn: false } });
      return feed({ type: "refused", epoch });
    }
    if (!response.ok) return feed({ type: "lost", epoch });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done || epoch !== state.epoch) break;
      feed({ type: "bytes", epoch });
      const { messages, rest } = cut(text + value);
      text = rest;
      for (const message of messages) receive(epoch, since, message);
    }
  } catch {
    // Aborted by us, or cut off: either way the epoch says whether anyone still cares.
  }
  feed({ type: "lost", epoch });
}

function receive(epoch, since, { id, name, data }) {
  if (epoch !== state.epoch) return;
  const value = JSON.parse(data);
  feed({ type: "message", epoch, id: id == null ? null : Number(id) });
  if (name === "hello") {
    change({ skew: value.serverTime ? Date.parse(value.serverTime) - Date.now() : 0 });
    // It cannot go on from there, or it is another database: nothing that is shown holds any more.
    if (value.reset || (since != null && value.revision < since)) {
      runs.clear();
      feed({ type: "reset" });
      tell("reset", {});
    }
  }
  if (name === "runs") keepRuns(value.items);
  if (name === "run" && value.summary) keepRuns([value.summary]);
  if (name === "deleted") for (const { uid } of value.items) runs.delete(uid);
  tell(name, value);
}

function tell(name, value) {
  for (const callback of [...(listeners.get(name) ?? [])]) callback(value);
}
