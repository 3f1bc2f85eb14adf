// One pipeline: its parameters as a form that runs it, its last runs, its templates and manifest.

import { api, at, may } from "../lib/api.js";
import { plural, span } from "../lib/format.js";
import { ask, input, moment, toast } from "../lib/parts.js";
import { badge, shown } from "../lib/phase.js";
import { go } from "../lib/router.js";
import { View, h, skeleton } from "../lib/view.js";
import { lineStates, tokens } from "../editor/model.js";
import { action, barcode, calmly, changed, command, flags, manifest, parameterField, rowKeys } from "./parts.js";

class Pipeline extends View {
  values = {};

  begin() {
    const { name } = this.state.route.params;
    document.title = `${name} · Martlet`;
    this.fetch();
    for (const event of ["schedules", "reset"]) this.listen(event, () => this.fetch());
    const later = calmly(this, () => this.fetch());
    this.listen("runs", ({ items }) => items.some((r) => r.pipeline === name) && later());
  }
  cluster() { return this.state.route.query.get("cluster") === "true"; }
  fetch() {
    const { namespace, name } = this.state.route.params;
    this.load("one", (signal) => api.get(at`/pipelines/${namespace}/${name}`, { cluster: this.cluster() || "" }, signal),
      { done: (p) => p.parameters.forEach((one) => { this.values[one.name] ??= one.value ?? ""; }) });
  }
  keys() { return rowKeys(this); }

  draw() {
    const { namespace, name } = this.state.route.params, cluster = this.cluster();
    const here = new URLSearchParams({ in: namespace, ...(cluster && { cluster }) });
    return h("div", { class: "page" },
      h("header", null, h("h1", { class: "grow" }, name), cluster && h("small", { class: "tag" }, "all namespaces"),
        h("a", { class: "button", href: `/submit?${new URLSearchParams([["scheduleOf", name], ...here])}` }, "Schedule"),
        h("a", { class: "button", href: `/submit?${new URLSearchParams([["pipeline", name], ...here])}` }, "Edit"),
        action("Delete", () => this.discard(), { namespace, kind: "danger" })),
      this.show("one", (p) => [
        p.description && h("p", { class: "dim about" }, p.description),
        h("dl", { class: "glance" },
          h("div", null, h("dt", null, "Last runs"), h("dd", null, barcode(p.runs, namespace))),
          h("div", null, h("dt", null, "Usually takes"), h("dd", null, p.medianSeconds == null ? "–" : span(p.medianSeconds))),
          h("div", null, h("dt", null, "Version"), h("dd", null, p.generation, h("small", null, moment(p.updatedAt))))),
        h("div", { class: "two" },
          h("section", null, h("h2", null, "Run"), this.form(p)),
          h("section", null, h("h2", null, "Last runs"), this.last(p, namespace),
            h("h2", null, plural(p.templates?.length ?? 0, "template")),
            h("ul", { class: "templates" },
              (p.templates ?? []).map((t) => h("li", { key: t.name }, h("code", null, t.name), h("small", null, t.kind)))))),
        p.yaml && manifest(p.yaml, tokens, lineStates),
      ], skeleton(8)));
  }

  form(p) {
    const { namespace, name } = this.state.route.params, ns = p.namespace || namespace, parameters = changed(p.parameters, this.values);
    const submit = async (event) => {
      event.preventDefault();
      if (this.busy) return;
      this.busy = true;
      this.update();
      try {
        const run = await api.post("/submit", { namespace: ns, pipeline: name, cluster: this.cluster(), parameters });
        go(at`/runs/${run.namespace}/${run.name}`);
      } catch (error) {
        toast(error.message, true);
      } finally {
        this.busy = false;
        this.update();
      }
    };
    const allowed = may("editor", ns);
    return h("form", { class: "fields", onsubmit: submit },
      p.parameters.length ? p.parameters.map((one) => input(parameterField(one), this.values, () => this.update()))
        : h("p", { class: "dim" }, "It has no parameters."),
      h("div", { class: "row" }, h("button", { class: "primary", disabled: !allowed || Boolean(this.busy) }, this.busy ? "…"
        : "Run"), !allowed && h("small", null, `This needs the role editor in ${ns}.`)),
      h("details", null, h("summary", null, "As a command"),
        h("m-command", { state: command(["submit", "--from", `${p.cluster ? "cluster" : ""}workflowtemplate/${name}`,
          ...flags(parameters)], ns) })));
  }

  last(p, namespace) {
    if (!p.runs.length) return h("p", { class: "dim" }, "None yet.");
    return h("table", { class: "list" }, h("tbody", null, [...p.runs].reverse().slice(0, 10).map((r) => h("tr", { key: r.uid },
      h("td", null, badge(shown(r))), h("td", null,
        h("a", { class: "item", href: at`/runs/${r.namespace ?? namespace}/${r.name}` }, r.name)),
      h("td", { class: "num" }, r.seconds == null ? "" : span(r.seconds)), h("td", { class: "spare" }, moment(r.startedAt))))));
  }

  async discard() {
    const { namespace, name } = this.state.route.params, cluster = this.cluster();
    const gone = await ask({
      title: `Delete ${name}?`,
        lost: "The pipeline's definition is lost. Its runs stay, and schedules that use it fail from now on.", action: "Delete",
        danger: true,
      command: () => command([cluster ? "cluster-template" : "template", "delete", name], cluster ? "" : namespace),
      act: () => api.delete(cluster ? at`/api/v1/cluster-workflow-templates/${name}` : at`/api/v1/workflow-templates/${namespace}/${name}`),
    });
    if (gone) { toast(`${name} is deleted.`); go("/pipelines"); }
  }
}
customElements.define("m-pipeline", Pipeline);
