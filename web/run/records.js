// What is on record of a run: its events, and the manifest as it was submitted.

import { api, at, may } from "../lib/api.js";
import { clock, local, utc } from "../lib/format.js";
import { copy, toast } from "../lib/parts.js";
import { h, View } from "../lib/view.js";

class Records extends View {
  items = [];

  begin() {
    const { uid } = this.state.run;
    if (this.state.what === "manifest") return void this.load("manifest", (signal) => api.get(at`/runs/${uid}/manifest`, {}, signal));
    this.fetch();
    this.told();
    this.listen("run", () => this.slots.events?.loading || (this.fetch(), this.told()));
  }

  /** Who is told of the run's end. */
  told = () => this.load("told", (signal) => api.get(at`/runs/${this.state.run.uid}/notifications`, {}, signal));

  tell = () => api.post(at`/runs/${this.state.run.uid}/notifications/retry`).then(this.told, (error) => toast(error.message, true));

  notifications({ items }) {
    const open = items.some(({ state }) => state !== "delivered");
    return items.length > 0 && h("p", { class: "row" }, h("span", { class: "grow" }, items.map(({ id, to, state, attempts, nextAttemptAt, error }) => h("div", { key: id, class: state === "given up" ? "" : "dim" },
      `Telling ${to}: ${state}${error ? `, tried ${attempts}×` : ""}${nextAttemptAt && error ? `, next ${clock(nextAttemptAt)}` : ""}${error ? `: ${error}` : ""}`))),
    open && may("editor", this.state.run.namespace) && h("button", { onclick: this.tell }, "Tell again"));
  }

  /** Events only grow: what is new is after the last one that is known. */
  fetch() {
    const query = { after: this.items.at(-1)?.id, limit: 500 };
    this.load("events", (signal) => api.get(at`/runs/${this.state.run.uid}/events`, query, signal), { done: ({ items, next }) => {
      this.items.push(...items);
      if (next != null && items.length && this.items.length < 10_000) this.fetch();
    } });
  }

  draw() {
    if (this.state.what === "manifest") {
      return h("div", { class: "page" }, this.show("manifest", ({ yaml }) => [h("p", { class: "row" }, h("span", { class: "grow dim" }, "As it was submitted."),
        h("button", { onclick: () => copy(yaml, "Manifest") }, "Copy")), h("pre", { class: "manifest", tabIndex: 0 }, yaml)]));
    }
    const names = new Map(this.state.nodes.map(({ id, displayName }) => [id, displayName]));
    return h("div", { class: "page" }, this.slots.told?.value && this.notifications(this.slots.told.value), this.show("events", () => (this.items.length ? h("div", { class: "wide" }, h("table", null,
      h("thead", null, h("tr", null, ["Time", "Event", "Step", "Message"].map((word) => h("th", null, word)))),
      h("tbody", null, this.items.map(({ id, at, node, kind, message }) => h("tr", { key: id },
        h("td", { class: "dim", title: `${local(at)}\n${utc(at)}` }, clock(at)), h("td", null, kind),
        h("td", null, node && h("button", { class: "plain", onclick: () => this.emit("choose", node) }, names.get(node) ?? node)), h("td", { class: "said-of" }, message))))))
      : h("p", { class: "dim" }, "Nothing has happened yet."))));
  }
}
customElements.define("m-records", Records);
