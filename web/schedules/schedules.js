// The list of schedules: when each fires next, how its last ten runs ended, what is late.

import { api, at } from "../lib/api.js";
import { View, empty, h, skeleton } from "../lib/view.js";
import { calmly, dots, list, rowKeys } from "../pipelines/parts.js";
import { actions, nextFire, stateOf } from "./parts.js";

class Schedules extends View {
  begin() {
    this.fetch();
    for (const name of ["schedules", "reset"]) this.listen(name, () => this.fetch());
    const later = calmly(this, () => this.fetch());
    this.listen("runs", ({ items }) => items.some((r) => r.cron) && later());
  }
  changed(old) { if (old.namespace !== this.state.namespace) this.fetch(); }
  fetch() { this.load("list", (signal) => api.get("/schedules", { namespace: this.state.namespace }, signal)); }
  keys() { return rowKeys(this); }
  ticks() { return true; }

  draw() {
    return h("div", { class: "page" },
      h("header", null, h("h1", { class: "grow" }, "Schedules"), h("a", { class: "button", href: "/submit?scheduleOf=" }, "New")),
      this.show("list", ({ items }) => items.length ? list(["Name", "Next", "Last ten", "State", ""], items.map((s) => ({
        key: `${s.namespace}/${s.name}`,
        cells: [
          [h("a", { class: "item", href: at`/schedules/${s.namespace}/${s.name}` }, s.name),
            !this.state.namespace && h("small", { class: "tag" }, s.namespace), h("p", { class: "dim cut" }, s.words)],
          nextFire(s), s.runs.length ? dots(s.runs, s.namespace) : h("span", { class: "dim" }, "none yet"), stateOf(s),
            actions(s, () => this.fetch(), true),
        ],
      })))
        : empty("No schedules yet",
          "A schedule starts a pipeline at set times. When it fires next and how its last runs ended stands here.",
          "martlet cron create schedule.yaml"), skeleton(6)));
  }
}
customElements.define("m-schedules", Schedules);
