// Writing manifests: new ones and stored ones. Checks while the reader types, offers parameters as a form, and
// submits or stores. What is not stored yet is kept as a draft in this browser.

import { api, at, may } from "../lib/api.js";
import { plural, quote, relative } from "../lib/format.js";
import { ask, input, toast } from "../lib/parts.js";
import { go } from "../lib/router.js";
import { now, save, saved } from "../lib/state.js";
import { sheet } from "../lib/sheet.js";
import { View, h, skeleton } from "../lib/view.js";
import { changed, parameterField } from "../pipelines/parts.js";
import { cronOf, scheduleFields } from "../schedules/form.js";
import "./editor.js";
import { asSchedule, asTemplate, named, outline, scheduleOf } from "./manifest.js";
import { latest, words } from "./model.js";

await sheet("/editor/editor.css");

const DRAFT = 200_000, DRAFT_KINDS = 20; // characters a draft may have, drafts that are kept

const START = `apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  generateName: hello-
spec:
  entrypoint: main
  arguments:
    parameters:
      - name: message
        value: hello
        description: What the step prints.
  templates:
    - name: main
      inputs:
        parameters:
          - name: message
      script:
        image: alpine:3.20
        command: [sh]
        source: |
          echo {{inputs.parameters.message}}
`;

const KINDS = { WorkflowTemplate: ["pipeline", "template"], ClusterWorkflowTemplate: ["pipeline", "cluster-template"],
  CronWorkflow: ["schedule", "cron"] };

/** Where drafts are: one for each thing that is edited, the oldest given up first. */
const drafts = {
  all: () => saved("drafts") ?? {},
  get: (id) => drafts.all()[id],
  put(id, text) {
    const rest = Object.entries(drafts.all()).filter(([key]) => key !== id).sort((a, b) => b[1].at - a[1].at).slice(0, DRAFT_KINDS - 1);
    save("drafts", Object.fromEntries(text == null || text.length > DRAFT ? rest : [[id, { text, at: Date.now() }], ...rest]));
  },
};

class Submit extends View {
  text = null;
  problems = [];
  checked = null; // the text that `problems` are of
  values = {};

  begin() {
    this.check = latest((text) => api.post("/lint", { namespace: this.namespace(), text }), (answer, error) => {
      this.lintError = error;
      if (answer) [this.problems, this.checked] = [answer.diagnostics, this.asked];
      this.update();
    });
    this.addEventListener("text", (event) => this.take(event.detail, true));
    this.addEventListener("run", () => this.submit());
    this.open();
  }

  changed(old) { if (String(old.route.query) !== String(this.state.route.query)) this.open(); }

  /** What the address asks for: a stored `pipeline` or `schedule` (in namespace `in`), a schedule of a pipeline
   * (`scheduleOf`), the manifest of a run (`from`), or something new. */
  query(name) { return this.state.route.query.get(name); }
  namespace() { return this.query("in") || this.state.namespace || "default"; }
  target() {
    const kind = ["pipeline", "schedule"].find((k) => this.query(k));
    return kind ? { kind, name: this.query(kind), cluster: this.query("cluster") === "true" } : null;
  }
  draftId() { return ["pipeline", "schedule", "scheduleOf", "from"].map((k) => this.query(k) != null
    && `${k} ${this.namespace()}/${this.query(k)}`).find(Boolean) || "new"; }

  open() {
    const target = this.target(), ns = this.namespace(), from = this.query("from");
    this.text = this.stored = null;
    this.values = {};
    const path = from ? at`/runs/${from}/manifest` : target && at([`/${target.kind}s/`, "/", ""], ns, target.name);
    if (path) return this.load("stored", (signal) => api.get(path, { cluster: target?.cluster || "" }, signal),
      { fresh: true, done: ({ yaml }) => this.begins(yaml) });
    const of = this.query("scheduleOf");
    this.begins(of == null ? START : scheduleOf(of || "my-pipeline", this.query("cluster") === "true",
      named(`${of || "my-pipeline"}-daily`), { cron: "0 6 * * *", timezone: zone(), policy: "Forbid" }));
  }

  begins(text) {
    const draft = drafts.get(this.draftId());
    this.stored = text;
    this.begun = draft && draft.text !== text ? draft.at : null;
    this.take(this.begun ? draft.text : text);
  }

  take(text, typed = false) {
    this.text = this.asked = text;
    this.about = outline(text);
    if (typed) {
      this.begun = null;
      clearTimeout(this.keeping);
      this.keeping = setTimeout(() => drafts.put(this.draftId(), text === this.stored ? null : text), 500);
    }
    this.check(text);
    this.update();
  }

  errors() { return this.problems.filter((p) => p.severity === "error"); }

  draw() {
    if (this.text === null) return h("div", { class: "page" }, this.show("stored", () => null, skeleton(12)));
    const { about, text } = this, target = this.target(), run = about.kind === "Workflow" || !KINDS[about.kind];
    const allowed = may("editor", this.namespace());
    const title = target ? `Edit ${target.name}` : "New run or definition";
    const fresh = this.checked === text && !this.lintError, wrong = this.errors().length;
    return h("div", { class: "page" },
      h("header", null, h("h1", { class: "grow" }, title), h("div", { class: "row" },
        run ? [
          h("button", { onclick: () => this.keepAs("template"), disabled: !allowed }, "Save as pipeline…"),
          h("button", { onclick: () => this.keepAs("schedule"), disabled: !allowed }, "Save as schedule…"),
          h("button", { class: "primary", onclick: () => this.submit(), disabled: !allowed, "aria-keyshortcuts": "Control+Enter" },
            "Submit"),
        ] : h("button", { class: "primary", onclick: () => this.submit(), disabled: !allowed }, `Save ${KINDS[about.kind][0]}`))),
      !allowed && h("p", { class: "dim" }, `Your role in ${this.namespace()} only lets you look. An editor can submit this.`),
      this.begun && h("p", { class: "notice" }, `This is your draft of ${relative(new Date(this.begun).toISOString(), now())}. `,
        h("button", { class: "plain",
          onclick: () => { drafts.put(this.draftId(), null); this.begun = null; this.take(this.stored); } },
          target ? "Show what is stored" : "Begin anew")),
      h("div", { class: "compose" },
        h("m-editor", { state: { text, problems: this.problems, label: `${title}: manifest in YAML` },
          ref: (node) => { this.editor = node; } }),
        h("aside", null,
          h("h2", null, "Problems"),
          h("p", { class: "dim", role: "status" }, this.lintError
            ? `The check failed: ${this.lintError.message} It is checked again when you type.`
            : !fresh ? "Checking…" : !this.problems.length ? "None."
              : `${plural(wrong, "error")}, ${plural(this.problems.length - wrong, "warning")}`),
          h("ol", { class: "problems" }, this.problems.slice(0, 100).map((p, i) => h("li", { key: i, class: p.severity },
            h("button", { class: "plain", onclick: () => this.editor.jump(p.line || 1, p.column || 1) }, words(p)),
              p.remedy && h("small", null, p.remedy)))),
          run && about.parameters.length > 0 && [
            h("h2", null, "Parameters"),
            h("form", { class: "fields", onsubmit: (event) => { event.preventDefault(); this.submit(); } },
              about.parameters.map((p) => input(parameterField(p), this.shown(about), () => this.update()))),
          ],
          h("details", null, h("summary", null, "As a command"), h("m-command", { state: this.command() })))));
  }

  /** What the form shows: what was typed into it, else what the manifest says. */
  shown(about) {
    const { values } = this;
    return new Proxy(values, { get: (_, name) => values[name] ?? about.parameters.find((p) => p.name === name)?.value ?? "" });
  }

  changes() { return changed(this.about.parameters, this.values); }

  command() {
    const family = KINDS[this.about.kind],
      parameters = Object.entries(this.changes()).map(([name, value]) => ` -p ${quote(`${name}=${value}`)}`).join("");
    const file = `${this.about.name || this.about.generated.replace(/-$/, "") || "pipeline"}.yaml`;
    return family ? `martlet ${family[1]} ${this.target() ? "update" : "create"} ${file} -n ${quote(this.namespace())}`
      : `martlet submit ${file} -n ${quote(this.namespace())}${parameters}`;
  }

  async submit() {
    if (this.busy || !may("editor", this.namespace())) return;
    this.busy = true;
    try {
      if (KINDS[this.about.kind]) await this.store(this.text, Boolean(this.target()), KINDS[this.about.kind][0]);
      else {
        const run = await api.post("/submit", { namespace: this.namespace(), text: this.text, parameters: this.changes() });
        this.forget();
        go(at`/runs/${run.namespace}/${run.name}`);
      }
    } catch (error) {
      this.failed(error);
    } finally {
      this.busy = false;
    }
  }

  /** The draft has done its work. */
  forget() {
    clearTimeout(this.keeping);
    drafts.put(this.draftId(), null);
  }

  failed(error) {
    if (error.diagnostics?.length) {
      [this.problems, this.checked] = [error.diagnostics, this.text];
      const first = this.errors()[0] ?? this.problems[0];
      if (first.line) this.editor?.jump(first.line, first.column || 1);
    }
    toast(error.message, true);
    this.update();
  }

  /** Stores definitions; one that is there already is replaced only after a question. */
  async store(text, replace, noun) {
    let items;
    try {
      ({ items } = await api.post("/definitions", { namespace: this.namespace(), text, replace }));
    } catch (error) {
      if (error.status !== 409 || replace) throw error;
      const sure = await ask({ title: `Replace the ${noun}?`, words: error.message,
        lost: `The ${noun} that is stored now is lost; runs of it stay.`, action: "Replace", danger: true });
      return sure ? this.store(text, true, noun) : null;
    }
    this.forget();
    const { kind, namespace: where, name } = items[0];
    toast(`${name} is stored.`);
    const cluster = kind === "ClusterWorkflowTemplate";
    go(kind === "CronWorkflow" ? at`/schedules/${where}/${name}` : at`/pipelines/${where || this.namespace()}/${name}` + (cluster
      ? "?cluster=true" : ""));
    return items;
  }

  /** Stores a run's manifest as a pipeline or schedule: the same text as another kind, under a name. */
  async keepAs(kind) {
    const base = named(this.about.name || this.about.generated) || "pipeline", schedule = kind === "schedule";
    const text = (v) => (schedule ? asSchedule(this.text, named(v.name), { ...v, cron: cronOf(v) }) : asTemplate(this.text, named(v.name)));
    await ask({
      title: schedule ? "Save as schedule" : "Save as pipeline", action: "Save",
      words: schedule ? "It runs by itself at these times." : "A pipeline is a stored manifest that runs with other parameters each time.",
      fields: schedule ? scheduleFields(base, zone()) : [{ name: "name", label: "Name", value: base, required: true,
        description: "Lower case letters, digits and dashes." }],
      command: (v) => `martlet ${schedule ? "cron" : "template"} create ${named(v.name)}.yaml -n ${quote(this.namespace())}`,
      act: (v) => this.store(text(v), false, schedule ? "schedule" : "pipeline"),
    });
  }
}
customElements.define("m-submit", Submit);

const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;
