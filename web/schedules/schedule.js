// One schedule: the next ten times, its last runs, its conditions and manifest.

import { api, at } from "../lib/api.js";
import { local, plural, relative, utc } from "../lib/format.js";
import { moment } from "../lib/parts.js";
import { badge, shown } from "../lib/phase.js";
import { now } from "../lib/state.js";
import { View, h, skeleton } from "../lib/view.js";
import { lineStates, tokens } from "../editor/model.js";
import { calmly, command, manifest, rowKeys } from "../pipelines/parts.js";
import { actions, day, nextFire, stateOf } from "./parts.js";

class Schedule extends View {
  begin() {
    document.title = `${this.state.route.params.name} · Martlet`;
    this.fetch();
    for (const name of ["schedules", "reset"]) this.listen(name, () => this.fetch());
    const later = calmly(this, () => this.fetch());
    this.listen("runs", ({ items }) => items.some((r) => r.cron === this.state.route.params.name) && later());
  }
  fetch() {
    const { namespace, name } = this.state.route.params;
    this.load("one", (signal) => api.get(at`/schedules/${namespace}/${name}`, {}, signal));
  }
  keys() { return rowKeys(this); }
  ticks() { return true; }

  draw() {
    const { namespace, name } = this.state.route.params, s = this.slots.one?.value;
    return h("div", { class: "page" },
      h("header", null, h("h1", { class: "grow" }, name), s && actions(s, () => this.fetch())),
      this.show("one", (one) => [
        h("p", { class: "about" }, one.words, " ", h("small", { class: "mono" }, one.schedules.join(", "), one.timezone
          && ` ${one.timezone}`)),
        h("dl", { class: "glance" },
          h("div", null, h("dt", null, "Next"), h("dd", null, nextFire(one))),
          h("div", null, h("dt", null, "State"), h("dd", null, stateOf(one))),
          h("div", null, h("dt", null, "When the last run still goes"),
            h("dd", null, { Forbid: "the new run is left out", Replace: "the old run is stopped" }[one.concurrencyPolicy] ?? "both run")),
          h("div", null, h("dt", null, "So far"), h("dd", null, `${one.succeeded ?? 0} succeeded, ${one.failed ?? 0} failed`))),
        (one.conditions ?? []).filter((c) => c.message).map((c) => h("p", { class: "problem", key: c.type }, c.message)),
        h("div", { class: "two" },
          h("section", null, h("h2", null, "Next ten times"), one.suspended && h("p", { class: "dim" },
            "It is suspended; these hold once it is resumed."),
            h("ol", { class: "instants" },
              (one.next ?? []).map((t) => h("li", { key: t, title: `${local(t)}\n${utc(t)}` }, h("span", null, day(t, now())),
              h("small", null, /^in /.test(relative(t, now())) && relative(t, now())))))),
          h("section", null, h("h2", null, `Last ${plural(one.runs.length, "run")}`),
            one.runs.length ? h("table", { class: "list" }, h("tbody", null, [...one.runs].reverse().map((r) => h("tr", { key: r.uid },
            h("td", null, badge(shown(r))), h("td", null,
              h("a", { class: "item", href: at`/runs/${namespace}/${r.name}` }, r.name)),
              h("td", null, moment(r.scheduledAt, day(r.scheduledAt, now()))))))) : h("p", { class: "dim" }, "None yet."))),
        h("details", null, h("summary", null, "As commands"), [["get", name], [one.suspended ? "resume" : "suspend", name]].map((words) =>
          h("m-command", { key: words[0], state: command(["cron", ...words], namespace) }))),
        one.yaml && manifest(one.yaml, tokens, lineStates),
      ], skeleton(8)));
  }
}
customElements.define("m-schedule", Schedule);
