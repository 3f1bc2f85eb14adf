// Models: versions that runs have made; one of them (`model` in the address) with its family tree, the evaluations of the
// family side by side, and the loss curves of all that was trained on the way.

import { api, at } from "../lib/api.js";
import { bytes, number } from "../lib/format.js";
import { ask, moment, toast } from "../lib/parts.js";
import { here } from "../lib/router.js";
import { sheet } from "../lib/sheet.js";
import { action, calmly, command, list } from "../pipelines/parts.js";
import { View, empty, h, skeleton } from "../lib/view.js";
import "../charts/metrics.js";
import { label, table, tree } from "./family.js";

await sheet("/models/models.css");

const TRAINED = ["pretrain", "sft", "rlhf", "dpo"];

class Models extends View {
  begin() {
    this.fetch();
    const fetch = calmly(this, () => this.fetch());
    for (const name of ["runs", "reset"]) this.listen(name, fetch);
  }
  changed(old) { if (old.route.query.get("model") !== this.model() || old.namespace !== this.state.namespace) this.fetch(); }
  model() { return this.state.route.query.get("model"); }
  fetch() {
    const [place, reference] = (this.model() ?? "").split(":"), [namespace, name] = place.split("/");
    if (name) this.load("one", (signal) => api.get(at`/models/${namespace}/${name}`, { reference }, signal));
    else this.load("list", (signal) => api.get("/models", { namespace: this.state.namespace }, signal));
  }

  link(m) { return h("a", { class: "item", href: here({ model: `${m.namespace}/${label(m)}` }) }, label(m)); }

  draw() {
    if (this.model()) return this.show("one", (m) => this.one(m), skeleton(10));
    return h("div", { class: "page" }, h("header", null, h("h1", null, "Models")),
      this.show("list", ({ items }) => items.length ? list(["Model", "Step", "Tags", "Size", "Run", "Made"],
        items.map((m) => ({ key: m.id, class: m.deletedAt ? "gone" : "", cells: [this.link(m), m.step, m.tags.map((t) => h("span", { class: "chip" }, t)),
          m.deletedAt ? "deleted" : bytes(m.bytes), h("a", { href: at`/runs/${m.namespace}/${m.run.name}` }, m.run.name), moment(m.createdAt)] })), { numbers: [3] })
        : empty("No models yet",
          "What download, pretrain, sft, rlhf, dpo, quantize and merge steps make stands here as a family tree, with metrics and where it serves.",
          "martlet models list"), skeleton(6)));
  }

  one(m) {
    const revision = m.tags[0] ?? `v${m.version}`, data = m.inputs.filter((i) => i.role.includes("dataset"));
    const tag = () => ask({ title: `Tag ${label(m)}`, fields: [{ name: "tag", label: "Tag", required: true,
      description: "A tag that another version of the name has moves here." }], action: "Tag",
      command: (v) => command(["models", "tag", label(m), v.tag]),
      act: async (v) => { await api.post(at`/models/${m.namespace}/${m.name}/tags`, { tag: v.tag, reference: `v${m.version}` }); toast("Tagged."); this.fetch(); } });
    const trained = m.family.filter((f) => TRAINED.includes(f.step));
    const runs = [...new Map(trained.map((f) => [f.run.uid, { ...f.run, namespace: f.namespace }])).values()].slice(0, 10);
    const { names, rows } = table(m.evaluations, m.family, m.sha256);
    return h("div", { class: "page stack" },
      h("header", null, h("h1", { class: "grow" }, label(m), " ", m.tags.map((t) => h("span", { class: "chip" }, t))), action("Tag", tag, { namespace: m.namespace })),
      h("dl", { class: "facts" }, [["Step", m.step], ["SHA-256", h("code", null, m.sha256)], ["Size", m.deletedAt ? "deleted" : bytes(m.bytes)],
        ["Run", h("a", { href: `${at`/runs/${m.namespace}/${m.run.name}`}?node=${encodeURIComponent(m.node)}` }, m.run.name)],
        ["Deployed as", m.deployments.length ? m.deployments.map((name) => h("a", { href: `/deployments?name=${encodeURIComponent(name)}` }, name)) : "–"],
        ["Code", m.codeVersion ?? "–"], ["Data", data.length ? data.map((i) => h("code", { title: i.sha256 }, `${i.role} ${i.sha256.slice(0, 12)} `)) : "–"],
        ["Parameters", h("code", null, JSON.stringify(m.parameters))]].map(([k, v]) => [h("dt", null, k), h("dd", null, v)])),
      h("section", null, h("h2", null, "Family"), h("ul", { class: "family" }, tree(m.family).map(({ item, depth }) => h("li", { key: item.id,
        class: `${item.id === m.id ? "here" : ""}${item.deletedAt ? " gone" : ""}`, style: { "margin-left": `${depth * 20}px` } },
        this.link(item), h("small", null, ` ${item.step}`), item.tags.map((t) => h("span", { class: "chip" }, t)))))),
      rows.length > 0 && h("section", null, h("h2", null, "Evaluations"), list(["Model", "Evaluation", "Run", ...names],
        rows.map((r, i) => ({ key: i, class: r.here ? "here" : "", cells: [r.words, r.template, h("a", { href: at`/runs/${m.namespace}/${r.run.name}` }, r.run.name),
          ...r.values.map((v) => (v == null ? "–" : number(v)))] })), { spare: [2], numbers: names.map((_, i) => i + 3) })),
      runs.length > 0 && h("section", null, h("h2", null, "Training"), h("m-metrics", { state: { runs } })),
      h("section", null, h("h2", null, "Fetch it"), h("m-command", { state: `HF_ENDPOINT=${location.origin}/hf hf download ${m.repository} --revision ${revision}` }),
        h("m-command", { state: command(["models", "export", `${m.name}:${revision}`, "./model"]) })));
  }
}
customElements.define("m-models", Models);
