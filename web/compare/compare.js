// Runs side by side: what differs first, then metrics, evaluations with a verdict, data by hash, and their charts.
// The first run is what the others are compared with; which ones stands in the address (`runs`).

import { api, at } from "../lib/api.js";
import { number, seconds, span } from "../lib/format.js";
import { moment } from "../lib/parts.js";
import { badge, shown } from "../lib/phase.js";
import { here } from "../lib/router.js";
import { keepRuns, now } from "../lib/state.js";
import { sheet } from "../lib/sheet.js";
import { View, h, skeleton } from "../lib/view.js";
import { swatch } from "../lib/chart.js";
import { scale } from "../lib/chart-math.js";
import "../charts/metrics.js";
import { metricRows } from "./rows.js";
import { lessIsBetter, paired, plain, signed, verdict } from "./paired.js";

await sheet("/compare/compare.css");

class Compare extends View {
  begin() {
    this.fetch();
    this.listen("reset", () => this.fetch());
    // Runs that still go have new numbers when they end.
    this.listen("runs", ({ items }) => items.some((r) => r.finishedAt && this.uids().includes(r.uid)) && this.fetch());
  }
  changed(old) { if (old.route.query.get("runs") !== this.state.route.query.get("runs")) this.fetch(); }
  uids() { return (this.state.route.query.get("runs") ?? "").split(",").filter(Boolean).slice(0, 10); }
  fetch() {
    const uids = this.uids();
    if (uids.length > 1) this.load("compare", (signal) => api.get("/compare", { runs: uids.join(",") }, signal),
      { done: ({ runs }) => keepRuns(runs) });
  }

  draw() {
    const uids = this.uids();
    if (uids.length < 2) {
      return h("div", { class: "empty" }, h("h2", null, "Compare runs"),
        h("p", null, "Select two to ten runs in the list and choose Compare: what differs, their metrics and their charts stand here side by side."),
        h("a", { class: "button", href: "/runs" }, "To the runs"));
    }
    return h("div", { class: "page stack" },
      h("header", null, h("h1", { class: "grow" }, `Compare ${uids.length} runs`),
        h("label", { class: "row" }, h("input",
          { type: "checkbox", checked: this.all, onchange: (event) => { this.all = event.target.checked; this.update(); } }),
          "Show what is equal, too")),
      this.show("compare", (c) => this.sections(c), skeleton(10)));
  }

  sections(c) {
    const { runs } = c, metrics = metricRows(c.metrics, runs), uids = runs.map((r) => r.uid), address = (list) => here({ runs: list.join(",") });
    const head = (words) => h("tr", null, h("th", { scope: "col" }, words),
      runs.map((r, i) => h("th", { key: r.uid, scope: "col" }, swatch(i), " ",
      h("a", { href: at`/runs/${r.namespace}/${r.name}` }, r.name))));
    const table = (words, rows, none) => h("section", { "aria-label": words }, h("h2", null, words),
      rows.length ? h("div", { class: "wide" }, h("table", { class: "compare" }, h("thead", null, head("")),
        h("tbody", null, rows))) : h("p", { class: "dim" }, none));
    const row = (key, label, cells, differs = false) => h("tr", { key, class: differs ? "differs" : "" },
      h("th", { scope: "row" }, label), cells.map((cell) => h("td", null, cell)));
    const parameters = [...c.parameters].sort((a, b) => b.differs - a.differs
      || a.name.localeCompare(b.name)).filter((p) => this.all || p.differs);
    const hashes = c.artifacts.map((a) => ({ ...a, differs: new Set(a.sha256).size > 1 })).sort((a,
      b) => b.differs - a.differs).filter((a) => this.all || a.differs);
    return [
      table("Runs", [
        row("phase", "Phase", runs.map((r) => badge(shown(r)))),
        row("pipeline", "Pipeline", runs.map((r) => r.pipeline ?? "–")),
        row("start", "Started", runs.map((r) => moment(r.startedAt))),
        row("time", "Took", runs.map((r) => span(seconds(r.startedAt, r.finishedAt, now())) || "–")),
        row("base", "", runs.map((r, i) => [
          i === 0 ? h("small", null, "compared with") : h("a", { href: address([r.uid, ...uids.filter((u) => u !== r.uid)]) },
            "Compare with this"),
          runs.length > 2 && [" · ", h("a",
            { href: address(uids.filter((u) => u !== r.uid)), "aria-label": `Leave ${r.name} out` }, "leave out")],
        ])),
      ]),
      table("Parameters", parameters.map((p) => row(p.name, p.name,
        p.values.map((v) => (v == null ? h("span", { class: "dim" }, "not set") : h("code", null, v))), p.differs)),
        c.parameters.length ? "All parameters are equal." : "They have no parameters."),
      metrics.length > 0 && table("Metrics", metrics.map((m) => row(`${m.node} ${m.name}`,
        [m.name, metrics.some((o) => o.name === m.name && o.node !== m.node) && h("small", null, ` ${m.node}`)],
        m.values.map((v, i) => this.metric(m, v, i))))),
      c.evaluations.length > 0 && this.evaluations(c, runs, table, row),
      table("Data and models",
        hashes.map((a) => row(a.name, a.name,
        a.sha256.map((s) => (s ? h("code", { title: s }, s.slice(0, 12)) : h("span", { class: "dim" }, "none"))), a.differs)),
        c.artifacts.length ? "All artifacts are the same bytes." : "They have no artifacts."),
      h("section", null, h("h2", null, "Charts"), h("m-metrics", { state: { runs } })),
    ];
  }

  metric(m, value, i) {
    if (value == null) return h("span", { class: "dim" }, "–");
    const best = m.best?.[i];
    return [h("b", null, number(value)), i > 0 && this.delta(m.lowerIsBetter ?? lessIsBetter(m.name), value, m.values[0]),
      best != null && best !== value && h("small", null, ` best ${number(best)}`)];
  }

  /** The difference from the first run; better and worse by sign, word and colour. */
  delta(less, value, base) {
    if (base == null || value === base) return null;
    const better = value > base !== less;
    return h("small", { class: better ? "better" : "worse" }, ` ${signed(value - base)} ${better ? "better" : "worse"}`);
  }

  evaluations(c, runs, table, row) {
    // One scale a task, for what is compared stands in one row.
    const across = (e) => {
      const numbers = e.values.flatMap((v, i) => (v == null ? [] : [v - 2 * (e.errors?.[i] ?? 0), v + 2 * (e.errors?.[i] ?? 0)]));
      return scale(Math.min(...numbers), Math.max(...numbers), 6, 114);
    };
    return [
      h("section", { "aria-label": "Verdict" }, h("h2", null, "Which is better?"),
        runs.slice(1).map((r, i) => h("p", { key: r.uid, class: "verdict" },
        verdict(paired(c.evaluations, 0, i + 1), runs[0].name, r.name))),
        h("small", null, "Paired by task. The errors of both runs are taken as independent, which is cautious when both answered the same questions.")),
      table("Evaluations",
        c.evaluations.map((e) => row(`${e.task} ${e.metric}`, [e.task, h("small", null, ` ${e.metric}`)],
        e.values.map((v, i) => v == null ? h("span", { class: "dim" }, "–") : this.value(e, v, i, across(e)))))),
    ];
  }

  value(e, v, i, x) {
    const error = 1.96 * (e.errors?.[i] ?? NaN), known = Number.isFinite(error);
    return [
      h("b", null, number(v)), known && h("small", null, ` ± ${plain(error)}`), i > 0 && this.delta(lessIsBetter(e.metric), v, e.values[0]),
      h("svg", { class: "whisker", viewBox: "0 0 120 14", "aria-hidden": "true" },
        known && h("path", { d: `M${x(v - error)} 7H${x(v + error)}` }), h("circle", { cx: x(v), cy: 7, r: 3 })),
    ];
  }
}
customElements.define("m-compare", Compare);
