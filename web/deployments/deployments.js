// Deployments: models that serve requests, with their health.

import { api } from "../lib/api.js";
import { list } from "../pipelines/parts.js";
import { View, empty, h, skeleton } from "../lib/view.js";

class Deployments extends View {
  begin() { this.load("list", (signal) => api.get("/deployments", {}, signal)); }

  draw() {
    return h("div", { class: "page" }, h("header", null, h("h1", null, "Deployments")),
      this.show("list", ({ items }) => items.length ? list(["Name", "Model", "Health"],
        items.map((d) => ({ key: d.name, cells: [d.name, d.model, d.health] })))
        : empty("No deployments yet",
          "Models that serve requests will stand here with their health, speed and rollouts. One can be served by hand:",
          "martlet serve MODEL"), skeleton(6)));
  }
}
customElements.define("m-deployments", Deployments);
