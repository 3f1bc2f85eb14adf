// Models: the family tree of what was trained here.

import { api } from "../lib/api.js";
import { bytes } from "../lib/format.js";
import { moment } from "../lib/parts.js";
import { list } from "../pipelines/parts.js";
import { View, empty, h, skeleton } from "../lib/view.js";

class Models extends View {
  begin() { this.load("list", (signal) => api.get("/models", {}, signal)); }

  draw() {
    return h("div", { class: "page" }, h("header", null, h("h1", null, "Models")),
      this.show("list", ({ items }) => items.length ? list(["Name", "Size", "Changed"],
        items.map((m) => ({ key: m.name, cells: [m.name, bytes(m.bytes), moment(m.updatedAt)] })))
        : empty("No models yet",
          "Base, fine-tuned and quantized models will stand here as a family tree, with size, metrics and where they serve.",
          "martlet sft --help"), skeleton(6)));
  }
}
customElements.define("m-models", Models);
