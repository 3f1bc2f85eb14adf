// What a view is: a custom element with `render(state)`, which fetches with `load`, listens to the stream, binds keys,
// and describes itself in `draw`. All it began ends when it leaves the page.

import { h, paint } from "./dom.js";
import { bind } from "./keys.js";
import { on } from "./stream.js";
import { watch } from "./state.js";

export { h, paint } from "./dom.js";

const RETRY = [1000, 2000, 4000, 8000, 15_000, 30_000]; // ms until a failed load is tried again
const ticking = new Set();
setInterval(() => document.hidden || ticking.forEach((view) => view.ticks() && view.update()), 1000);

export class View extends HTMLElement {
  state = null;
  slots = {}; // what `load` brought: name -> {value, error, loading, retryAt}
  #ends = [];
  #loads = new Map(); // name -> {controller, timer, tries}
  #asked = false;

  /** Takes new state: what `draw` shows. The page's views get {route, namespace}; parts get what their owner gives. */
  render(state) {
    const old = this.state;
    this.state = state;
    if (!this.isConnected) return;
    if (!old) this.#start();
    else this.changed(old);
    this.update();
  }

  connectedCallback() {
    if (this.pending) {
      this.state = this.pending;
      this.pending = null;
    }
    if (this.state) {
      this.#start();
      this.update();
    }
  }

  disconnectedCallback() {
    for (const end of this.#ends.splice(0)) end();
    for (const name of [...this.#loads.keys()]) this.cancel(name);
    ticking.delete(this);
  }

  #start() {
    this.#ends.push(watch(() => this.update()), bind(this.keys()));
    ticking.add(this);
    this.begin();
  }

  /** For views to say: what to do at first, when state changed, which keys, whether time passes, what is shown. */
  begin() {}
  changed(_old) {}
  keys() {
    return {};
  }
  ticks() {
    return false;
  }
  draw() {
    return [];
  }

  /** Draws once before the next frame, however often it is asked for. Hidden tabs have no frames, so they wait a bit. */
  update() {
    if (this.#asked) return;
    this.#asked = true;
    const draw = () => {
      this.#asked = false;
      if (!this.isConnected || !this.state) return;
      paint(this, this.draw());
      this.drawn();
    };
    if (document.hidden) setTimeout(draw, 200);
    else requestAnimationFrame(draw);
  }
  drawn() {}

  /** Listens to the stream until the view goes. */
  listen(name, callback) {
    this.#ends.push(on(name, callback));
  }

  /** Something to end with the view. */
  ends(callback) {
    this.#ends.push(callback);
  }

  /** Tells the owner: a bubbling custom event. */
  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
  }

  /** Fetches into `slots[name]`. A newer load of the name ends the older; what may pass is tried again by itself,
   * and what was there before stays on show meanwhile unless `fresh`. `work` gets an AbortSignal. */
  async load(name, work, { fresh = false, done } = {}) {
    const tries = this.#loads.get(name)?.again ?? 0;
    this.cancel(name);
    const controller = new AbortController();
    const mine = { controller, timer: null };
    this.#loads.set(name, mine);
    const before = fresh ? null : this.slots[name];
    this.slots[name] = { value: before?.value, error: before?.error, loading: true };
    this.update();
    try {
      const value = await work(controller.signal);
      if (this.#loads.get(name) !== mine) return;
      this.slots[name] = { value };
      done?.(value);
    } catch (error) {
      if (error.name === "AbortError" || this.#loads.get(name) !== mine) return;
      const wait = RETRY[Math.min(tries, RETRY.length - 1)];
      const retry = () => {
        mine.again = tries + 1;
        this.load(name, work, { fresh, done });
      };
      this.slots[name] = { value: before?.value, error, retry, retryAt: error.passing ? Date.now() + wait : null };
      if (error.passing) mine.timer = setTimeout(retry, wait);
      else if (error.status == null) console.error(error);
    }
    this.update();
  }

  cancel(name) {
    const load = this.#loads.get(name);
    load?.controller.abort();
    clearTimeout(load?.timer);
    this.#loads.delete(name);
  }

  /** Shows a slot: `shape` while it loads, what failed, or `full(value)`; a failed refresh says so above the old. */
  show(name, full, shape = skeleton()) {
    const slot = this.slots[name];
    if (slot?.value !== undefined) return [slot.error && problem(slot), full(slot.value)];
    return slot?.error ? problem(slot) : shape;
  }
}

/** Grey lines in the place of what is still to come. */
export const skeleton = (lines = 6) =>
  h("div", { class: "skeleton", role: "status", "aria-label": "Loading" },
    Array.from({ length: lines }, (_, index) => h("i", { class: `w${index % 4}` })));

/** What failed, and when it is tried again. */
export function problem({ error, retry, retryAt }, what = "This part could not be loaded.") {
  return h("div", { class: "problem", role: "alert" },
    h("b", null, what), " ", error.message,
    retryAt && h("span", { class: "dim" }, " It is tried again by itself."),
    retry && h("button", { class: "plain", onclick: retry }, "Try now"));
}

/** An empty list: what would be here, and the command that makes one. */
export const empty = (title, words, command) =>
  h("div", { class: "empty" }, h("h2", null, title), words && h("p", null, words),
    command && h("m-command", { state: command }));
