// (This folder is not called after the view, since the server answers Prometheus at /metrics.)
// The charts of a run: <m-metrics>, state = {run} for one over which the reader may lay others, or {runs}. Which ones are laid over
// stands in the address (`with`), as do smoothing, scale and axis.

import { api, at } from "../lib/api.js";
import "../lib/chart.js";
import { View, empty, h, skeleton } from "../lib/view.js";
import { go, here } from "../lib/router.js";
import { app, now, runs } from "../lib/state.js";
import { relative } from "../lib/format.js";
import { icon, shown } from "../lib/phase.js";
import { charts, nodeNames } from "./series.js";

const POINTS = 1000, MOST = 10, FIRST = 12; // points a series, runs on one chart, charts drawn at first

class Metrics extends View {
  cursor = null;
  more = false;
  picking = false;

  begin() {
    this.fetchAll();
    this.listen("metrics", ({ uid }) => this.wanted().some((r) => r.uid === uid) && this.soon(uid));
    this.listen("reset", () => this.fetchAll());
    this.addEventListener("cursor", (event) => { this.cursor = event.detail; this.update(); });
    const close = (event) => {
      const open = this.querySelector(".picker[open]");
      if (open && (event.key === "Escape" || (event.type === "pointerdown" && !open.contains(event.target)))) open.open = false;
    };
    for (const type of ["pointerdown", "keydown"]) document.addEventListener(type, close);
    this.ends(() => {
      clearTimeout(this.timer);
      for (const type of ["pointerdown", "keydown"]) document.removeEventListener(type, close);
    });
  }

  changed() { this.fetchAll(false); }

  query(name) { return app.route.query.get(name); }

  set(changes) { go(here(changes), { replace: true }); }

  /** The runs that are shown in any case. */
  own() { return this.state.runs ?? [this.state.run]; }

  wanted() {
    const more = this.state.run ? (this.query("with") ?? "").split(",").filter(Boolean) : [];
    const known = this.own().map((r) => r.uid);
    const others = more.filter((uid) => !known.includes(uid)).map((uid) => runs.get(uid) ?? this.slots[`run ${uid}`]?.value ?? { uid, name: uid.slice(0, 8) });
    return [...this.own(), ...others].slice(0, MOST);
  }

  fetchAll(anew = true) {
    for (const run of this.wanted()) {
      if (anew || !this.slots[run.uid]) this.fetch(run.uid);
      if (!run.phase && !this.slots[`run ${run.uid}`]) this.load(`run ${run.uid}`, (signal) => api.get(at`/runs/${run.uid}`, {}, signal));
    }
  }

  fetch(uid) { this.load(uid, (signal) => api.get(at`/runs/${uid}/metrics`, { maxPoints: POINTS }, signal)); }

  /** New points come often; they are fetched at most once a second. */
  soon(uid) {
    this.due = new Set([...(this.due ?? []), uid]);
    this.timer ??= setTimeout(() => {
      this.timer = null;
      for (const one of this.due) this.fetch(one);
      this.due = new Set();
    }, 1000);
  }

  /** Charts, made anew only when what they show changed: the cursor moves far more often. */
  series(loaded, options) {
    const key = [...loaded.flatMap((l) => [l.metrics, l.name]), ...Object.values(options)];
    if (!this.key || key.length !== this.key.length || key.some((v, i) => v !== this.key[i])) [this.key, this.made] = [key,
      charts(loaded, options)];
    return this.made;
  }

  draw() {
    const wanted = this.wanted();
    const loaded = wanted.filter((r) => this.slots[r.uid]?.value).map((r) => ({ uid: r.uid, name: r.name,
      metrics: this.slots[r.uid].value }));
    const failed = wanted.filter((r) => this.slots[r.uid]?.error);
    const log = this.query("log") === "1", axis = this.query("axis") === "time" ? "time" : "step", node = this.query("step") ?? "";
    const smoothing = this.smoothing ?? Math.min(0.99, Number(this.query("smooth") ?? 0) || 0);
    const all = this.series(loaded, { axis, node, filter: this.filter ?? "" });
    const nodes = nodeNames(loaded);
    return [
      h("div", { class: "bar", role: "group", "aria-label": "How the charts are shown" },
        h("label", null, "Smoothing ", h("input", {
          type: "range", min: 0, max: 0.99, step: 0.01, value: smoothing, "aria-valuetext": smoothing ? smoothing.toFixed(2) : "off",
          oninput: (event) => { this.smoothing = Number(event.target.value); this.update(); },
          onchange: (event) => { this.smoothing = null; this.set({ smooth: Number(event.target.value) || "" }); },
        }), h("output", { class: "mono" }, smoothing ? smoothing.toFixed(2) : "off")),
        h("label", null, h("input", { type: "checkbox", checked: log,
          onchange: (event) => this.set({ log: event.target.checked ? "1" : "" }) }), " Log scale"),
        h("label", null, "Over ", h("select", { onchange: (event) => this.set({ axis: event.target.value === "time" ? "time" : "" }) },
          h("option", { value: "step", selected: axis === "step" }, "steps"),
            h("option", { value: "time", selected: axis === "time" }, "time"))),
        nodes.length > 1 && h("label", null, "Step ", h("select", { onchange: (event) => this.set({ step: event.target.value }) },
          h("option", { value: "", selected: !node }, "all"), nodes.map((n) => h("option", { value: n, selected: n === node }, n)))),
        h("input", { type: "search", placeholder: "Find a metric", "aria-label": "Find a metric", value: this.filter ?? "",
          oninput: (event) => { this.filter = event.target.value; this.update(); } }),
        this.state.run && this.picker(wanted)),
      failed.map((r) => h("p", { class: "problem", role: "alert" }, h("b", null, `The metrics of ${r.name} could not be loaded. `),
        this.slots[r.uid].error.message)),
      !loaded.length ? (failed.length ? null : skeleton()) : !all.length
        ? (this.filter ? h("p", { class: "dim" }, `No metric's name has “${this.filter}” in it.`) : nothing())
        : h("div", { class: "charts" }, all.slice(0, this.more ? 200 : FIRST).map((chart) => h("m-chart", {
          key: chart.name, state: { title: chart.name, series: chart.series, marks: chart.marks, smoothing, log, axis,
            cursor: this.cursor },
        }))),
      all.length > FIRST && !this.more && h("button", { onclick: () => { this.more = true; this.update(); } },
        `Show ${all.length - FIRST} more charts`),
    ];
  }

  picker(wanted) {
    const first = this.state.run, mine = new Set([first.uid]);
    const chosen = wanted.filter((r) => !mine.has(r.uid)).map((r) => r.uid);
    const toggle = (uid) => this.set({ with: (chosen.includes(uid) ? chosen.filter((c) => c !== uid) : [...chosen, uid]).join(",") });
    const find = (q = "") => this.load("pick", (signal) => api.get("/runs",
      { namespace: first.namespace, pipeline: q ? "" : first.pipeline, q, limit: 20 }, signal));
    return h("details", { class: "picker", ontoggle: (event) => event.target.open && !this.slots.pick && find() },
      h("summary", { class: "button" }, chosen.length ? `${chosen.length} laid over` : "Lay runs over"),
      h("div", { class: "sheet" },
        h("input", { type: "search", placeholder: "Find runs by name", "aria-label": "Find runs by name",
          oninput: (event) => { clearTimeout(this.typing); const q = event.target.value; this.typing = setTimeout(() => find(q), 250); } }),
        chosen.length >= MOST - 1 && h("p", { class: "dim" }, `${MOST} runs are the most that one chart shows.`),
        this.show("pick", ({ items }) => {
          const list = items.filter((r) => !mine.has(r.uid));
          return list.length ? h("ul", null, list.map((r) => h("li", { key: r.uid }, h("label", null,
            h("input", { type: "checkbox", checked: chosen.includes(r.uid),
              disabled: !chosen.includes(r.uid) && chosen.length >= MOST - 1, onchange: () => toggle(r.uid) }),
            icon(shown(r)), h("span", null, r.name), h("small", null, relative(r.startedAt ?? r.createdAt, now()))))))
              : h("p", { class: "dim" }, "No other runs.");
        }, skeleton(3))));
  }
}
customElements.define("m-metrics", Metrics);

const nothing = () => empty("No metrics",
  "A step that appends lines like {\"step\": 10, \"loss\": 2.3} to the file named in MARTLET_METRICS_FILE has its charts here, live. Martlet's own training steps do.", "martlet sft --help");
