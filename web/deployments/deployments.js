// Deployments: models that serve requests, with their health; one of them (`name` in the address) with its history, its
// verbs, and a box to talk to it.

import { api, at, request } from "../lib/api.js";
import { count } from "../lib/format.js";
import { ask, moment, toast } from "../lib/parts.js";
import { here } from "../lib/router.js";
import { sheet } from "../lib/sheet.js";
import { action, calmly, command, list } from "../pipelines/parts.js";
import { View, empty, h, skeleton } from "../lib/view.js";
import { label } from "../models/family.js";
import "./chat.js";

await sheet("/deployments/deployments.css");

const SHAPES = { ready: "Succeeded", degraded: "Running", progressing: "Running", deleting: "Running", failed: "Failed", down: "Error" };
const state = (d) => h("span", { class: `chip p-${SHAPES[d.state] ?? "Pending"}` }, d.state);

class Deployments extends View {
  begin() {
    const fetch = calmly(this, () => this.fetch());
    this.fetch();
    // A run that deploys says so; what changes by itself meanwhile is looked at while it does.
    for (const name of ["runs", "reset", "hello"]) this.listen(name, fetch);
    const timer = setInterval(() => !document.hidden && this.isMoving() && this.fetch(), 2000);
    this.ends(() => clearInterval(timer));
  }
  changed(old) { if (old.route.query.get("name") !== this.name() || old.namespace !== this.state.namespace) this.fetch(); }
  name() { return this.state.route.query.get("name"); }
  isMoving() { return ["progressing", "deleting", "degraded", "down"].includes(this.slots.one?.value?.state); }
  fetch() {
    if (this.name()) this.load("one", (signal) => api.get(at`/deployments/${this.name()}`, {}, signal), { done: (d) => this.fetchModels(d) });
    else this.load("list", (signal) => api.get("/deployments", { namespace: this.state.namespace }, signal));
  }

  /** The registry's names of what revisions serve; asked for once for all that are shown. */
  fetchModels(d) {
    const sums = d.revisions.map((r) => r.modelHash).join();
    if (sums === this.sums) return;
    this.sums = sums;
    this.load("models", (signal) => api.get("/models", { namespace: d.namespace }, signal));
  }
  model(d, { model, modelHash, run }) {
    // Of versions with the same content the one that the same run made.
    const same = modelHash ? (this.slots.models?.value?.items ?? []).filter((m) => m.sha256 === modelHash) : [];
    const found = same.find((m) => m.run.uid === run?.uid) ?? same[0];
    return found ? h("a", { href: `/models?model=${encodeURIComponent(`${found.namespace}/${label(found)}`)}` }, label(found)) : model;
  }

  draw() {
    if (this.name()) return this.show("one", (d) => this.one(d), skeleton(10));
    return h("div", { class: "page" }, h("header", null, h("h1", null, "Deployments")),
      this.show("list", ({ items }) => items.length ? list(["Name", "State", "Ready", "Revision", "Requests", "Model", "Address", "Changed"],
        items.map((d) => ({ key: d.name, cells: [h("a", { class: "item", href: here({ name: d.name }) }, d.name), state(d),
          `${d.ready} of ${d.replicas}`, this.revision(d), count(d.requests), d.model, h("code", null, d.url), moment(d.updatedAt)] })),
        { spare: [5, 6], numbers: [4] })
        : empty("No deployments yet",
          "A `deploy` step serves a model from then on, replaced without a lost request. One can be served by hand:",
          "martlet serve MODEL"), skeleton(6)));
  }

  revision(d) { return `${d.active ?? "–"}${d.wanted ? ` → ${d.wanted}` : ""}`; }

  one(d) {
    const act = (words, method, path, body) => async () => {
      await request(method, `${at`/deployments/${d.name}`}${path}`, { body });
      toast(words);
      this.fetch();
    };
    const scale = () => ask({ title: `Scale ${d.name}`, fields: [{ name: "replicas", label: "Processes", type: "number", value: String(d.replicas) }],
      action: "Scale", command: (v) => command(["deployments", "scale", d.name, "--replicas", v.replicas]),
      act: (v) => act("Scaled.", "POST", "/scale", { replicas: Number(v.replicas) })() });
    const back = (number) => ask({ title: `Roll ${d.name} back to revision ${number}`, words: "It is started and looked at first; requests go on meanwhile.",
      action: "Roll back", command: () => command(["deployments", "rollback", d.name, "--revision", number]),
      act: act(`Revision ${number} is rolled out.`, "POST", "/rollback", { revision: number }) });
    const remove = () => ask({ title: `Delete ${d.name}`, lost: "Nothing answers at its address any more, and its revisions are forgotten.",
      action: "Delete", danger: true, command: () => command(["deployments", "delete", d.name]), act: act("Taken down.", "DELETE", "") });
    const may = { namespace: d.namespace };
    const local = d.place !== "cluster";
    return h("div", { class: "page stack" },
      h("header", null, h("h1", { class: "grow" }, d.name, " ", state(d)), action("Scale", scale, may),
        action("Delete", remove, { ...may, kind: "danger" })),
      d.message && h("p", { class: "problem" }, d.message),
      h("dl", { class: "facts" }, [["Address", h("code", null, local ? location.origin + d.url : d.url)], ["Model", this.model(d, d.revisions.find((r) => r.number === d.active) ?? d)], ["Weights", d.quant],
        ["Ready", `${d.ready} of ${d.replicas}`], ["Revision", this.revision(d)],
        ...local ? [["Requests", `${count(d.requests)}, ${count(d.inFlight)} now, ${count(d.failures)} failed`]] : []].map(([k, v]) => [h("dt", null, k), h("dd", null, v)])),
      local && h("section", null, h("h2", null, "Talk to it"), h("m-chat", { state: { name: d.name, ready: d.ready > 0, done: () => this.fetch() } })),
      h("section", null, h("h2", null, "Processes"), list(["Process", "Revision", "State", "Port", "Requests now", "Why"],
        d.processes.map((p) => ({ key: `${p.revision}-${p.slot}-${p.attempt}`,
          cells: [`${p.slot}-${p.attempt}`, p.revision, p.state, p.port ?? "–", p.inFlight, p.reason ?? ""] })))),
      h("section", null, h("h2", null, "Revisions"), list(["Revision", "Phase", "Model", "Run", "Since", "Why", ""],
        d.revisions.map((r) => ({ key: r.number, cells: [r.number, r.phase, this.model(d, r),
          r.run.name ? h("a", { href: at`/runs/${d.namespace}/${r.run.name}` }, r.run.name) : "–", moment(r.changedAt), r.message,
          local && ["retired", "failed"].includes(r.phase) && action("Roll back", () => back(r.number), may)] })))),
      h("m-command", { state: local ? command(["deployments", "logs", d.name]) : `kubectl -n ${d.namespace} logs deployment/${d.name}` }));
  }
}
customElements.define("m-deployments", Deployments);
