// The panel of one node: what it is, why it ended so, what went in and out, and what to do about it.

import { api, at, may } from "../lib/api.js";
import { bytes, fraction, number, quote, seconds, span } from "../lib/format.js";
import { copy, meter, moment } from "../lib/parts.js";
import { badge, icon, shown } from "../lib/phase.js";
import { here } from "../lib/router.js";
import { sheet } from "../lib/sheet.js";
import { now } from "../lib/state.js";
import { h, skeleton, View } from "../lib/view.js";
import { attempts } from "../run/words.js";
import { answer, retry } from "../runs/actions.js";
import "../logs/logs.js";

await sheet("/node/node.css");
const FAILURES = { memory: "memory ran out", infrastructure: "the machine, the store or the supervisor failed, not the command" };

class Node extends View {
  begin() {
    const { run } = this.state;
    const { list } = attempts(this.state.node, this.state.nodes);
    this.shownId = this.state.node.type === "Retry" ? list.at(-1).id : this.state.node.id;
    this.load("node", (signal) => api.get(at`/runs/${run.uid}/nodes/${this.shownId}`, {}, signal));
  }

  /** What the panel fetched is fetched anew when the node changes its phase; the rest comes by the stream. */
  changed(old) {
    if (old.node.phase !== this.state.node.phase || old.node.finishedAt !== this.state.node.finishedAt) this.begin();
    if (!this.attempt && old.nodes !== this.state.nodes && this.state.node.type === "Retry" && attempts(this.state.node, this.state.nodes).list.at(-1).id !== this.shownId) this.begin();
  }

  ticks = () => !this.state.node.finishedAt;

  draw() {
    const { run, nodes, told } = this.state;
    const { head, list } = attempts(this.state.node, nodes);
    const node = nodes.find(({ id }) => id === this.shownId) ?? this.state.node;
    const phase = shown(node);
    const share = phase === "Running" ? fraction(node.progress) : null;
    return [
      h("header", { class: "row" }, h("h2", { class: "grow" }, head.displayName), h("button", { class: "plain", "aria-label": "Close the panel (Escape)", onclick: () => this.emit("close") }, "×")),
      list.length > 1 && h("div", { class: "row attempts", role: "group", "aria-label": "Attempts" }, list.map((one, index) =>
        h("button", { key: one.id, class: "chip", "aria-pressed": String(one.id === this.shownId), onclick: () => this.emit("choose", one.id) }, icon(shown(one), true), `Attempt ${index + 1}`))),
      h("p", { class: "row" }, badge(phase), h("span", { class: "dim" }, span(seconds(node.startedAt, node.finishedAt, now()))),
        share != null && [meter(share, { label: node.progress }), h("span", { class: "dim" }, node.progress)], node.memoHit && h("span", { class: "dim" }, "from the cache")),
      this.why(node, phase),
      this.buttons(run, node, head),
      node.hasLog && h("section", { class: "tail" }, h("div", { class: "row" }, h("h3", { class: "grow" }, "Log"), h("a", { href: here({ tab: "logs", node: node.id }) }, "Open")),
        h("m-log", { key: `tail ${node.id}`, state: { run, nodes, node, told, compact: true } })),
      this.show("node", (more) => this.more(more, node), skeleton(5)),
    ];
  }

  why(node, phase) {
    const more = this.slots.node?.value;
    const [cause, likely] = more?.id === node.id ? [more.exitExplained, more.likelyCause] : [];
    const bad = phase === "Failed" || phase === "Error";
    if (!node.message && !cause && !likely && !node.waitingFor) return null;
    return h("div", { class: bad ? "problem" : "note" }, likely && h("p", null, h("b", null, "Likely cause: "), h("code", null, likely)), node.message && h("p", null, node.message),
      cause && cause !== node.message && h("p", null, cause), FAILURES[node.failureClass] && h("p", { class: "dim" }, `Kind of failure: ${FAILURES[node.failureClass]}.`),
      node.waitingFor && h("p", null, `Waits for ${node.waitingFor}.`));
  }

  buttons(run, node, head) {
    if (!may("editor", run.namespace)) return null;
    const waits = shown(node) === "Suspended";
    const again = run.finishedAt && node.startedAt;
    return (waits || again) && h("div", { class: "row" }, waits && h("button", { class: "primary", onclick: () => answer(run, node) }, "Resume"), again && h("button", { onclick: () => retry(run, head) }, "Retry from here"));
  }

  more(more, node) {
    const { asked = {}, used = {} } = more.resources ?? {};
    const line = (name, value) => value != null && value !== "" && value !== false && [h("dt", null, name), h("dd", null, value)];
    const memory = [asked.memory != null && `${typeof asked.memory === "number" ? bytes(asked.memory) : asked.memory} asked`, used.maxMemoryBytes != null && `${bytes(used.maxMemoryBytes)} at most`];
    const cpu = [asked.cpu != null && `${asked.cpu} asked`, used.cpuSeconds != null && `${span(used.cpuSeconds)} used`];
    const words = (list) => list.filter(Boolean).join(", ");
    const command = more.command?.map(quote).join(" ");
    return [
      h("dl", { class: "facts" }, line("Template", more.templateName ?? node.template), line("Kind", node.type), line("Image", more.image), line("Started", node.startedAt && moment(node.startedAt)),
        line("Exit code", node.exitCode == null ? null : String(node.exitCode)), line("CPU", words(cpu)), line("Memory", words(memory)), line("GPUs", asked.gpu),
        line("Machine", more.host), line("Launches", node.attempt > 1 && number(node.attempt)), line("Id", h("code", null, node.id))),
      this.values("Inputs", more.inputs, "inputs"), this.values("Outputs", more.outputs, "outputs"),
      command && h("section", null, h("h3", null, "Command"), h("m-command", { state: command })),
      more.env?.length > 0 && h("details", null, h("summary", null, `Environment (${more.env.length})`), h("dl", { class: "facts mono" }, more.env.map(({ name, value }) => line(name, value ?? "")))),
      more.template?.metadata?.annotations?.["martlet.dev/cache"] === "true" && this.reason(),
      more.shell && h("section", null, h("h3", null, "Reproduce it here"), h("m-command", { state: more.shell })),
    ];
  }

  /** Asked for when somebody wants to know. */
  reason() {
    const { run, node, nodes } = this.state, { head } = attempts(node, nodes);
    const fetch = (event) => event.target.open && this.load("reason", (signal) => api.get(at`/runs/${run.uid}/nodes/${head.id}/why`, {}, signal));
    return h("details", { ontoggle: fetch }, h("summary", null, "Why it ran"), this.show("reason", ({ words, fields }) => [h("p", null, words),
      h("dl", { class: "facts mono" }, fields.map((f) => [h("dt", null, f.name), h("dd", null, long(`${f.before ?? "(absent)"} → ${f.now ?? "(absent)"}`))]))], skeleton(2)));
  }

  values(title, { parameters = [], artifacts = [], result } = {}, direction) {
    if (!parameters?.length && !artifacts?.length && result == null) return null;
    return h("section", null, h("h3", null, title), h("dl", { class: "facts" },
      (parameters ?? []).map(({ name, value }) => [h("dt", null, name), h("dd", null, value == null ? "" : long(String(value)))]),
      result != null && [h("dt", null, "result"), h("dd", null, long(String(result)))],
      (artifacts ?? []).map(({ name, path }) => [h("dt", null, name), h("dd", null, direction === "outputs" ? h("a", { href: here({ tab: "artifacts", artifact: `${this.shownId}/${name}` }) }, path || "artifact") : h("code", null, path))])));
  }
}
customElements.define("m-node", Node);

/** A value of any length: the first of it, all on request, and a way to copy it. */
const long = (text) => text.length <= 160 ? text : h("details", null, h("summary", null, `${text.slice(0, 120)}…`), h("pre", null, text.slice(0, 50_000)), h("button", { class: "plain", onclick: () => copy(text, "Value") }, "Copy"));
