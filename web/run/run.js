// One run: what it is doing in plain words, what can be done with it, and its tabs. It keeps the nodes, which the
// stream updates, and gives them to graph, tree, timeline, logs and panel.

import { api, at, may } from "../lib/api.js";
import { fraction, seconds, span } from "../lib/format.js";
import { copy, meter, moment, tabs } from "../lib/parts.js";
import { badge, favicon, icon, shown } from "../lib/phase.js";
import { go, here } from "../lib/router.js";
import { sheet } from "../lib/sheet.js";
import { keepRuns, now, runs } from "../lib/state.js";
import { focus } from "../lib/stream.js";
import { empty, h, problem, skeleton, View } from "../lib/view.js";
import { actions, answer, command } from "../runs/actions.js";
import { culprit, headline, merge } from "./words.js";

await sheet("/run/run.css");
const TABS = [["graph", "Graph"], ["tree", "Tree"], ["timeline", "Timeline"], ["logs", "Logs"], ["metrics", "Metrics"], ["artifacts", "Artifacts"],
  ["events", "Events"], ["manifest", "Manifest"]];
const MODULES = { graph: "/graph/graph.js", tree: "/run/tree.js", timeline: "/timeline/timeline.js", logs: "/logs/logs.js", metrics: "/charts/metrics.js",
  artifacts: "/artifacts/artifacts.js", events: "/run/records.js", manifest: "/run/records.js" };

class Run extends View {
  nodes = [];
  told = null; // what the stream said last of the log in focus
  broken = new Set();

  begin() {
    this.fetch();
    this.listen("run", (event) => this.came(event));
    this.listen("log", (event) => {
      this.told = event;
      this.update();
    });
    this.listen("deleted", ({ items }) => {
      this.deleted ||= items.some(({ uid }) => uid === this.uid);
      this.update();
    });
    this.listen("reset", () => this.fetch());
    this.need();
  }

  changed() {
    this.need();
    this.aim();
  }

  keys() {
    const digits = TABS.map(([id, label], index) => [String(index + 1), [`tab ${label}`, () => go(here({ tab: id }))]]);
    return {
      ...Object.fromEntries(digits),
      "Escape": ["close the panel", () => (this.query.get("node") ? this.choose(null) : false)],
      "u": ["up to the list", () => go("/runs")],
      "r": ["retry", () => this.act("retry")], "R": ["run again", () => this.act("resubmit")],
      "f": ["to the failed step", () => this.bad() && this.choose(this.bad().id)],
    };
  }

  ticks = () => Boolean(this.run && !this.run.finishedAt);
  get query() {
    return this.state.route.query;
  }
  get tab() {
    return MODULES[this.query.get("tab")] ? this.query.get("tab") : "graph";
  }
  bad = () => culprit(this.nodes);

  need() {
    for (const address of [MODULES[this.tab], this.query.get("node") && "/node/node.js"].filter(Boolean)) {
      import(address).catch((error) => {
        console.error(error);
        this.broken.add(address);
        this.update();
      });
    }
  }

  fetch() {
    const { namespace, name } = this.state.route.params;
    const known = [...runs.values()].find((run) => run.namespace === namespace && run.name === name);
    this.load("run", async (signal) => {
      const uid = known?.uid ?? (await this.find(namespace, name, signal));
      return api.get(at`/runs/${uid}`, {}, signal);
    }, { done: (run) => {
      const { nodes, ...summary } = run;
      keepRuns([summary]);
      this.uid = run.uid;
      this.more = run;
      // What the stream told meanwhile is newer than what was fetched.
      if (!this.revision || run.revision >= this.revision) [this.nodes, this.revision] = [nodes, run.revision];
      this.announce();
      this.aim(run.revision);
      const bad = this.bad();
      const open = !location.search && innerWidth > 900 && ["Failed", "Error"].includes(run.phase) && bad;
      if (open) go(here({ node: bad.id }), { replace: true });
    } });
  }

  async find(namespace, name, signal) {
    try {
      return (await api.get(at`/api/v1/workflows/${namespace}/${name}`, { fields: "metadata.uid" }, signal)).metadata.uid;
    } catch (error) {
      // The frame left the stream to this view; without a run it still tells whether the server is there.
      if (error.status) focus({ namespace });
      throw error;
    }
  }

  get run() {
    if (!this.uid) return null;
    const run = { ...this.more, ...runs.get(this.uid) };
    run.waits = !run.finishedAt && this.nodes.some((node) => shown(node) === "Suspended");
    // Who looks at a run that only waits for an answer should see that, not that it runs.
    run.suspended ||= run.waits && !this.nodes.some((node) => node.type === "Pod" && node.phase === "Running");
    return run;
  }

  aim(since = null) {
    if (!this.uid) return;
    const node = this.nodes.find(({ id }) => id === this.query.get("node"));
    const log = node ? node.hasLog && !node.finishedAt && node.id : this.tab === "logs" && !this.run.finishedAt && "*";
    focus({ namespace: this.state.route.params.namespace, run: this.uid, log: log || null }, since);
  }

  came({ uid, revision, whole, nodes }) {
    if (uid !== this.uid || revision < this.revision) return;
    this.revision = revision;
    this.nodes = merge(whole ? [] : this.nodes, nodes);
    this.announce();
    this.aim();
    this.update();
  }

  /** Title and icon at once, not with the next frame: a background tab has none, and it is the one that should tell. */
  announce() {
    const phase = shown(this.run);
    document.title = `${phase === "Running" && fraction(this.run.progress) != null ? `${this.run.progress} ` : ""}${this.run.name} · ${phase}`;
    favicon(phase);
  }

  choose(id) {
    go(here({ node: id, line: null }));
  }

  act(id) {
    return actions(this.run).find((action) => action.id === id)?.act() ?? false;
  }

  draw() {
    const { run } = this;
    if (this.deleted) return empty(`${this.state.route.params.name} was deleted`, "Its records and logs are gone.", "martlet list");
    const slot = this.slots.run;
    if (!run && slot?.error?.status === 404) return empty("There is no such run", "It may have been deleted, or be in another namespace.", `martlet list -n ${this.state.route.params.namespace}`);
    if (!run) return h("div", { class: "page" }, this.show("run", () => null, skeleton(9)));
    const chosen = this.nodes.find(({ id }) => id === this.query.get("node"));
    return [
      h("div", { class: "head" }, slot?.error && problem(slot), this.header(run), this.waiting(run),
        tabs(TABS.map(([id, label]) => [id, label]), this.tab, (id) => here({ tab: id, line: null }), "Parts of the run")),
      h("div", { class: "body" },
        h("section", { class: "content", "aria-label": this.tab, onchoose: (event) => this.choose(event.detail) }, this.content(run, chosen)),
        chosen && this.tab !== "logs" && h("aside", { key: "panel", "aria-label": `Node ${chosen.displayName}` },
          h("m-node", { key: chosen.id, state: { run, node: chosen, nodes: this.nodes, told: this.told }, onclose: () => this.choose(null), onchoose: (event) => this.choose(event.detail) }))),
    ];
  }

  drawn() {
    if (this.shownTab === this.tab) return;
    const tab = this.querySelector(".tabs [aria-current]");
    if (tab) this.shownTab = this.tab;
    tab?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  header(run) {
    const phase = shown(run);
    const took = seconds(run.startedAt, run.finishedAt, now());
    const estimate = run.estimatedSeconds ?? run.medianSeconds;
    const share = run.finishedAt ? null : fraction(run.progress);
    const left = !run.finishedAt && estimate && took != null ? (estimate > took ? `, about ${span(estimate - took)} left` : `, ${span(took - estimate)} over the usual`) : "";
    return h("header", { class: "row" },
      h("div", { class: "grow" },
        h("h1", null, badge(phase), " ", run.name),
        h("p", { class: phase === "Failed" || phase === "Error" ? "line" : "line dim" }, ticks(headline(run, this.nodes))),
        h("p", { class: "row facts dim" },
          h("span", null, "started ", moment(run.startedAt)),
          h("span", null, span(took), left),
          h("span", null, share != null && meter(share, { label: run.progress }), " ", run.progress, " steps"),
          run.pipeline && h("a", { href: at`/pipelines/${run.namespace}/${run.pipeline}` }, run.pipeline),
          run.cron ? h("a", { href: at`/schedules/${run.namespace}/${run.cron}` }, `schedule ${run.cron}`) : run.creator && h("span", null, `by ${run.creator}`),
          run.archived && h("span", null, "archived"))),
      h("div", { class: "row actions", role: "toolbar", "aria-label": "Actions" },
        actions(run).map(({ id, label, danger, act }) => h("button", { key: id, class: danger ? "danger" : id === "retry" || id === "resume" ? "primary" : "", onclick: act }, label)),
        h("button", { class: "plain", onclick: () => copy(command("get", run)) }, "Copy as command")));
  }

  waiting(run) {
    const waits = this.nodes.filter((node) => shown(node) === "Suspended");
    return waits.slice(0, 5).map((node) => h("div", { class: "asks row", key: node.id }, icon("Suspended"),
      h("span", { class: "grow" }, h("b", null, node.displayName), " ", node.message || "waits until it is resumed."),
      may("editor", run.namespace) && h("button", { class: "primary", onclick: () => answer(run, node) }, node.suspend?.parameters?.length ? "Answer" : "Resume")));
  }

  content(run, chosen) {
    const { tab, nodes } = this;
    if (this.broken.has(MODULES[tab])) return h("p", { class: "problem", role: "alert" }, "This part could not be loaded. ", h("button", { class: "plain", onclick: () => location.reload() }, "Load the page again"));
    const selected = chosen?.retryAttempt ? nodes.find(({ type, children }) => type === "Retry" && children.includes(chosen.id))?.id : chosen?.id;
    const state = { run, nodes, selected, query: this.query, told: this.told };
    if (tab === "logs") return h("m-log", { key: `log ${chosen?.id}`, state: { ...state, node: chosen, line: this.query.get("line") } });
    return h(tab === "events" || tab === "manifest" ? "m-records" : `m-${tab}`, { key: tab, state: { ...state, what: tab } });
  }
}
customElements.define("m-run", Run);

/** Text whose names in backticks are set as code. */
export const ticks = (text) => String(text ?? "").split("`").map((part, index) => (index % 2 ? h("code", null, part) : part));
