// The list of runs: the last day as a strip, filters that live in the address, rows that change where they stand.

import { api, at, may } from "../lib/api.js";
import { count, fraction, number, plural, relative, seconds, span } from "../lib/format.js";
import { copy, meter, moment } from "../lib/parts.js";
import { icon, shown } from "../lib/phase.js";
import { go, here } from "../lib/router.js";
import { sheet } from "../lib/sheet.js";
import { app, now, runs, save, saved, keepRuns } from "../lib/state.js";
import { empty, h, skeleton, View } from "../lib/view.js";
import { remove, retryAll } from "./actions.js";
import { asked, command, parse, passes, PHASES, read, write } from "./filters.js";

await sheet("/runs/runs.css");
const PAGE = 50;
const MOST = 2000; // rows; beyond, filters find more than scrolling

class Runs extends View {
  list = []; // uids in the order of the rows
  fresh = new Set(); // uids of runs that came since, and wait for a click
  picked = new Set();
  last = null; // for shift-clicks
  rows = new Map(); // uid -> [what it was drawn from, row]

  begin() {
    this.fetch();
    this.listen("runs", ({ items }) => this.came(items));
    this.listen("deleted", ({ items }) => this.gone(new Set(items.map(({ uid }) => uid))));
    this.listen("reset", () => this.fetch());
    this.watcher = new IntersectionObserver(([entry]) => entry.isIntersecting && this.more(), { rootMargin: "600px" });
    this.ends(() => this.watcher.disconnect());
  }

  changed(old) {
    if (old.route.query.toString() !== this.state.route.query.toString() || old.namespace !== this.state.namespace) this.fetch(true);
  }

  keys() {
    const pick = () => this.at() && this.pick(this.at());
    return {
      "j": ["next row", () => this.move(1)], "k": ["previous row", () => this.move(-1)], "x": ["select the row", pick],
      "Enter": ["open the row", () => this.at() && go(place(runs.get(this.at())))],
      "f": ["add a filter", () => this.querySelector(".add input").focus()],
      "Escape": ["select nothing", () => this.picked.size > 0 && (this.picked.clear(), this.update())],
    };
  }

  ticks = () => true;
  get filters() {
    return read(this.state.route.query);
  }

  fetch(fresh = false) {
    const { namespace } = this.state;
    const query = asked(this.filters, now(), namespace);
    this.fresh.clear();
    this.cancel("more");
    this.load("list", (signal) => api.get("/runs", { ...query, limit: PAGE }, signal), { fresh, done: ({ items, next }) => {
      keepRuns(items);
      this.list = items.map(({ uid }) => uid);
      this.next = next;
    } });
    this.count();
  }

  count() {
    const query = asked(this.filters.filter(([name]) => name !== "phase"), now(), this.state.namespace);
    this.load("counts", (signal) => api.get("/runs/counts", query, signal));
  }

  more() {
    if (!this.next || this.slots.more?.loading || this.list.length >= MOST) return;
    const query = { ...asked(this.filters, now(), this.state.namespace), limit: PAGE, after: this.next };
    this.load("more", (signal) => api.get("/runs", query, signal), { done: ({ items, next }) => {
      keepRuns(items);
      this.list = [...new Set([...this.list, ...items.map(({ uid }) => uid)])];
      this.next = next;
      // A page may be short, or empty, although more follow: look again whether the end is in view.
      const end = this.querySelector(".end");
      this.watcher.disconnect();
      if (end) requestAnimationFrame(() => this.watcher.observe(end));
    } });
  }

  /** Runs changed: known rows change where they stand; new ones wait above the list, so that no row moves under a hand. */
  came(items) {
    const known = new Set(this.list);
    for (const run of items) {
      if (known.has(run.uid)) continue;
      const newest = runs.get(this.list[0])?.createdAt ?? "";
      if (run.createdAt > newest && passes(run, this.filters, now(), this.state.namespace) !== false) this.fresh.add(run.uid);
    }
    clearTimeout(this.counting);
    this.counting = setTimeout(() => this.isConnected && this.count(), 1500);
    const calm = !this.matches(":hover") && !this.contains(document.activeElement) && this.parentElement?.scrollTop === 0;
    if (calm || !this.list.length) this.unfold();
    this.update();
  }

  unfold() {
    const first = [...this.fresh].filter((uid) => runs.has(uid)).sort((a, b) => runs.get(b).createdAt.localeCompare(runs.get(a).createdAt));
    this.list = [...first, ...this.list];
    this.fresh.clear();
    this.update();
  }

  gone(uids) {
    this.list = this.list.filter((uid) => !uids.has(uid));
    for (const uid of uids) this.picked.delete(uid), this.fresh.delete(uid), this.rows.delete(uid);
    this.count();
  }

  at = () => document.activeElement?.closest?.("tr")?.dataset.uid;

  move(step) {
    const links = [...this.querySelectorAll("tbody a.name")];
    const index = links.findIndex((link) => link.closest("tr").dataset.uid === this.at());
    links[index < 0 ? 0 : Math.min(links.length - 1, Math.max(0, index + step))]?.focus();
  }

  pick(uid, event) {
    const on = !this.picked.has(uid);
    const [a, b] = [this.list.indexOf(this.last), this.list.indexOf(uid)].sort((x, y) => x - y);
    const span = event?.shiftKey && a >= 0 ? this.list.slice(a, b + 1) : [uid];
    for (const one of span) on ? this.picked.add(one) : this.picked.delete(one);
    this.last = uid;
    this.update();
  }

  set(filters) {
    go(here(write(filters)));
  }

  add(event) {
    event.preventDefault();
    const input = this.querySelector(".add input");
    const filter = parse(input.value);
    input.setCustomValidity(filter || !input.value ? "" : "Filters are like phase:failed, pipeline:NAME, label:NAME=VALUE, param:NAME=VALUE, since:24h");
    if (!filter) return input.reportValidity();
    input.value = "";
    this.set([...this.filters.filter(([name]) => !["q", "pipeline", "cron", "since"].includes(filter[0]) || name !== filter[0]), filter]);
  }

  draw() {
    const { filters } = this;
    return h("div", { class: "page" },
      h("header", null, h("h1", { class: "grow" }, "Runs"), h("a", { class: "button primary", href: "/submit" }, "New run")),
      this.strip(), this.chips(filters), this.picked.size > 0 && this.bar(),
      this.fresh.size > 0 && h("button", { class: "plain fresh", onclick: () => this.unfold() }, `Show ${plural(this.fresh.size, "new run")}`),
      this.show("list", () => (this.list.length ? this.table() : this.none(filters)), skeleton(14)));
  }

  none(filters) {
    return filters.length
      ? empty("No run passes these filters", null, command(filters, this.state.namespace))
      : empty("No runs yet", "Runs appear here as soon as one is submitted, from the command line, a client of Argo's API, or this page.", "martlet submit workflows/hello-world.yaml");
  }

  strip() {
    const hours = app.overview?.hours;
    if (!hours) return h("div", { class: "strip" });
    const all = (hour) => hour.Succeeded + hour.Failed + hour.Error + hour.Running;
    const most = Math.max(4, ...hours.map(all));
    return h("div", { class: "strip", role: "group", "aria-label": "Runs of the last 24 hours, by phase" }, hours.map((hour) => {
      const end = new Date(Date.parse(hour.start) + 3600_000).toISOString();
      const begin = new Date(hour.start).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
      const words = ["Succeeded", "Failed", "Error", "Running"].filter((phase) => hour[phase]).map((phase) => `${hour[phase]} ${phase}`);
      return h("a", { href: here({ from: hour.start, to: end, since: null, after: null }), title: `${begin}: ${words.join(", ") || "none"}`, "aria-label": `${begin}: ${words.join(", ") || "no runs"}` },
        ["Running", "Error", "Failed", "Succeeded"].map((phase) => hour[phase] > 0 && h("i", { class: `b-${phase}`, style: { height: `${(hour[phase] / most) * 100}%` } })));
    }));
  }

  chips(filters) {
    const counts = this.slots.counts?.value;
    const has = (phase) => filters.some(([name, value]) => name === "phase" && value === phase);
    const without = (gone) => filters.filter((filter) => filter !== gone);
    const toggle = (phase) => this.set(has(phase) ? filters.filter(([, value]) => value !== phase) : [...filters, ["phase", phase]]);
    const kept = saved("filters") ?? [];
    const query = new URLSearchParams(location.search).toString();
    const known = kept.find((one) => one.query === query);
    const keep = () => {
      save("filters", known ? kept.filter((one) => one !== known) : [...kept.slice(-9), { name: filters.map(([, value]) => value).join(" "), query }]);
      this.update();
    };
    return h("div", { class: "row chips", role: "group", "aria-label": "Filters" },
      PHASES.map((phase) => h("button", { key: phase, class: "chip", "aria-pressed": String(has(phase)), onclick: () => toggle(phase) },
        icon(phase), phase, h("small", null, counts ? count(counts[phase]) + (counts.capped && counts[phase] >= 10_000 ? "+" : "") : ""))),
      filters.filter(([name]) => name !== "phase").map((filter) => h("button", { key: filter.join(), class: "chip", "aria-pressed": "true",
        "aria-label": `Remove the filter ${filter.join(" ")}`, onclick: () => this.set(without(filter)) },
        h("small", null, { q: "name", parameter: "param" }[filter[0]] ?? filter[0]), /^(from|to)$/.test(filter[0]) ? relative(filter[1], now()) : filter[1], " ×")),
      h("form", { class: "add", onsubmit: (event) => this.add(event) }, h("input", { list: "filter-words", "aria-label": "Add a filter",
        placeholder: "Filter, e.g. since:24h", onchange: (event) => event.target.setCustomValidity("") }),
      h("datalist", { id: "filter-words" }, this.suggestions().map((value) => h("option", { value })))),
      filters.length > 0 && h("button", { class: "plain", onclick: keep }, known ? "Forget filter" : "Save filter"),
      kept.filter((one) => one !== known).map(({ name, query }) => h("a", { key: `kept ${query}`, class: "button chip", href: `/runs?${query}`, title: "A saved filter" }, "☆ ", name)),
      h("button", { class: "plain", onclick: () => copy(command(filters, this.state.namespace)) }, "Copy as command"));
  }

  suggestions() {
    const words = new Set(["since:1h", "since:24h", "since:7d"]);
    for (const uid of this.list.slice(0, 200)) {
      const { pipeline, labels = {}, parameters = {} } = runs.get(uid) ?? {};
      if (pipeline) words.add(`pipeline:${pipeline}`);
      for (const name in labels) if (!name.includes("argoproj.io")) words.add(`label:${name}=${labels[name]}`);
      for (const name in parameters) if (parameters[name]?.length < 40) words.add(`param:${name}=${parameters[name]}`);
    }
    return [...words].slice(0, 60);
  }

  bar() {
    const chosen = [...this.picked].map((uid) => runs.get(uid)).filter(Boolean);
    const failed = chosen.filter(({ phase }) => phase === "Failed" || phase === "Error");
    const write = chosen.every((run) => may("editor", run.namespace));
    return h("div", { class: "row picked", role: "toolbar", "aria-label": "Selected runs", key: "picked" }, h("b", null, `${plural(chosen.length, "run")} selected`),
      h("button", { disabled: chosen.length < 2 || chosen.length > 10, title: "Two to ten runs", onclick: () => go(`/compare?runs=${chosen.map(({ uid }) => uid).join(",")}`) }, "Compare"),
      write && h("button", { disabled: !failed.length, onclick: () => retryAll(failed) }, "Retry"),
      write && h("button", { class: "danger", disabled: !chosen.every(({ finishedAt }) => finishedAt), title: "Runs that have ended", onclick: () => remove(chosen) }, "Delete"),
      h("button", { class: "plain", onclick: () => (this.picked.clear(), this.update()) }, "Select none"));
  }

  table() {
    const rows = this.list.map((uid) => runs.get(uid)).filter(Boolean);
    const more = this.next && this.list.length < MOST;
    return [h("table", { class: "runs" },
      h("thead", null, h("tr", null, h("th", null, h("span", { class: "dim" }, "")), ["Name", "Pipeline", "Started", "Duration", "Progress", "By", "Metric"].map((word) =>
        h("th", { class: word === "Metric" ? "num" : "" }, word)))),
      h("tbody", null, rows.map((run) => this.row(run)))),
    this.slots.more?.error && this.show("more", () => null),
    h("p", { class: "dim end", ref: (node) => this.watcher.observe(node) }, more ? "…" : this.list.length >= MOST ? "More runs are here than a list is good for. Add a filter." : `${plural(rows.length, "run")}.`)];
  }

  row(run) {
    const picked = this.picked.has(run.uid);
    // Rows of ended runs change by the minute only; they are described anew when they do.
    const stamp = `${run.revision} ${picked} ${run.finishedAt ? Math.floor(now() / 60_000) : now()}`;
    const [old, row] = this.rows.get(run.uid) ?? [];
    if (old === stamp) return row;
    const phase = shown(run);
    const took = seconds(run.startedAt, run.finishedAt, now());
    const usual = run.medianSeconds;
    const most = Math.max(took ?? 0, (usual ?? 0) * 1.25, 1);
    const fresh = h("tr", { key: run.uid, "data-uid": run.uid, "aria-selected": String(picked) },
      h("td", { class: "pick" }, h("input", { type: "checkbox", checked: picked, "aria-label": `Select ${run.name}`, onclick: (event) => this.pick(run.uid, event) }), icon(phase, true)),
      h("td", { class: "what" }, h("a", { class: "name", href: place(run) }, run.name),
        run.message && phase !== "Succeeded" && h("small", { class: "cut", title: run.message }, run.message.replaceAll("`", ""))),
      h("td", { class: "cut pipe", "data-label": "Pipeline" }, run.pipeline && h("a", { href: at`/pipelines/${run.namespace}/${run.pipeline}` }, run.pipeline)),
      h("td", null, moment(run.startedAt)),
      h("td", { class: "took" }, h("span", null, span(took)), usual != null && took != null
        && meter(took / most, { phase: took > usual * 1.5 ? "Suspended" : "Skipped", mark: usual / most, label: `median of the pipeline ${span(usual)}` })),
      h("td", { class: "done" }, !run.finishedAt && fraction(run.progress) != null && meter(fraction(run.progress), { label: run.progress }), h("span", null, run.progress)),
      h("td", { class: "cut who" }, run.cron ? h("a", { href: at`/schedules/${run.namespace}/${run.cron}`, title: "A schedule" }, run.cron) : run.creator),
      h("td", { class: "num metric" }, run.metric && [h("small", null, run.metric.name), " ", number(run.metric.value)]));
    this.rows.set(run.uid, [stamp, fresh]);
    return fresh;
  }
}
customElements.define("m-runs", Runs);

const place = (run) => at`/runs/${run.namespace}/${run.name}`;
