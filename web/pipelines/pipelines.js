// The list of pipelines: stored workflow templates, each with its last runs as a bar code.

import { api, at } from "../lib/api.js";
import { span } from "../lib/format.js";
import { moment } from "../lib/parts.js";
import { View, empty, h, skeleton } from "../lib/view.js";
import { barcode, rowKeys } from "./parts.js";

export const place = (p) => at`/pipelines/${p.namespace || "default"}/${p.name}` + (p.cluster ? "?cluster=true" : "");

class Pipelines extends View {
  begin() {
    this.fetch();
    for (const name of ["schedules", "reset"]) this.listen(name, () => this.fetch());
    // A finished run changes a bar; what is finished is told by the summary.
    this.listen("runs", ({ items }) => items.some((r) => r.pipeline && r.finishedAt) && this.fetch());
  }
  changed(old) { if (old.namespace !== this.state.namespace) this.fetch(); }
  fetch() { this.load("list", (signal) => api.get("/pipelines", { namespace: this.state.namespace }, signal)); }
  keys() { return rowKeys(this); }
  ticks() { return false; }

  draw() {
    return h("div", { class: "page" },
      h("header", null, h("h1", { class: "grow" }, "Pipelines"), h("a", { class: "button", href: "/submit" }, "New")),
      this.show("list", ({ items }) => items.length ? h("div", { class: "wide" }, h("table", { class: "list" },
        h("thead", null, h("tr", null, h("th", { scope: "col" }, "Name"), h("th", { scope: "col" }, "Last runs"), h("th", { scope: "col", class: "num" }, "Usually takes"), h("th", { scope: "col", class: "spare" }, "Changed"))),
        h("tbody", null, items.map((p) => h("tr", { key: `${p.cluster} ${p.namespace}/${p.name}` },
          h("td", null, h("a", { class: "item", href: place(p) }, p.name), p.cluster && h("small", { class: "tag" }, "all namespaces"), !p.cluster && !this.state.namespace && h("small", { class: "tag" }, p.namespace),
            p.description && h("p", { class: "dim cut" }, p.description)),
          h("td", null, barcode(p.runs, p.namespace)),
          h("td", { class: "num" }, p.medianSeconds == null ? "–" : span(p.medianSeconds)),
          h("td", { class: "spare" }, moment(p.updatedAt)))))))
        : empty("No pipelines yet", "A pipeline is a stored manifest that runs with other parameters each time. Its last runs stand here as a bar code.", "martlet template create pipeline.yaml"), skeleton(8)));
  }
}
customElements.define("m-pipelines", Pipelines);
