// The list of pipelines: stored workflow templates, each with its last runs as a bar code.

import { api, at } from "../lib/api.js";
import { span } from "../lib/format.js";
import { moment } from "../lib/parts.js";
import { View, empty, h, skeleton } from "../lib/view.js";
import { barcode, calmly, list, rowKeys } from "./parts.js";

export const place = (p) => at`/pipelines/${p.namespace || "default"}/${p.name}` + (p.cluster ? "?cluster=true" : "");

class Pipelines extends View {
  begin() {
    this.fetch();
    for (const name of ["schedules", "reset"]) this.listen(name, () => this.fetch());
    // A finished run changes a bar; what is finished is told by the summary.
    const later = calmly(this, () => this.fetch());
    this.listen("runs", ({ items }) => items.some((r) => r.pipeline && r.finishedAt) && later());
  }
  changed(old) { if (old.namespace !== this.state.namespace) this.fetch(); }
  fetch() { this.load("list", (signal) => api.get("/pipelines", { namespace: this.state.namespace }, signal)); }
  keys() { return rowKeys(this); }
  ticks() { return false; }

  draw() {
    return h("div", { class: "page" },
      h("header", null, h("h1", { class: "grow" }, "Pipelines"), h("a", { class: "button", href: "/submit" }, "New")),
      this.show("list", ({ items }) => items.length ? list(["Name", "Last runs", "Usually takes", "Changed"], items.map((p) => ({
        key: `${p.cluster} ${p.namespace}/${p.name}`,
        cells: [
          [h("a", { class: "item", href: place(p) }, p.name), (p.cluster || !this.state.namespace) && h("small", { class: "tag" },
            p.cluster ? "all namespaces" : p.namespace), p.description && h("p", { class: "dim cut" }, p.description)],
          barcode(p.runs, p.namespace), p.medianSeconds == null ? "–" : span(p.medianSeconds), moment(p.updatedAt),
        ],
      })), { spare: [3], numbers: [2] })
        : empty("No pipelines yet",
          "A pipeline is a stored manifest that runs with other parameters each time. Its last runs stand here as a bar code.",
          "martlet template create pipeline.yaml"), skeleton(8)));
  }
}
customElements.define("m-pipelines", Pipelines);
