// The artifacts of a run with a preview of the one that is chosen: text, JSON, table, image, or a folder's entries.

import { api, at } from "../lib/api.js";
import { bytes, count } from "../lib/format.js";
import { copy } from "../lib/parts.js";
import { go, here } from "../lib/router.js";
import { sheet } from "../lib/sheet.js";
import { empty, h, skeleton, View } from "../lib/view.js";

await sheet("/artifacts/artifacts.css");

class Artifacts extends View {
  path = ""; // within a folder

  begin() {
    this.fetch();
    this.listen("run", ({ nodes }) => nodes.some(({ outputs, finishedAt }) => outputs && finishedAt) && this.fetch());
    this.look();
  }

  changed(old) {
    if (old.query.get("artifact") !== this.chosen) {
      this.path = "";
      this.look(true);
    }
  }

  get chosen() {
    return this.state.query.get("artifact");
  }

  fetch = () => this.load("list", (signal) => api.get(at`/runs/${this.state.run.uid}/artifacts`, {}, signal));

  look(fresh = false) {
    const cut = this.chosen?.lastIndexOf("/");
    if (!(cut > 0)) return;
    const [node, name] = [this.chosen.slice(0, cut), this.chosen.slice(cut + 1)];
    this.load("preview", (signal) => api.get(at`/runs/${this.state.run.uid}/nodes/${node}/artifacts/${name}/preview`, { path: this.path, direction: "outputs" }, signal), { fresh });
  }

  enter(path) {
    this.path = path;
    this.look(true);
  }

  draw() {
    return h("div", { class: "artifacts" }, this.show("list", ({ items }) => items.length ? this.list(items) : empty("No artifacts", "Files that steps put out appear here, with a look into them."), skeleton(6)),
      this.chosen && h("section", { class: "preview", "aria-label": "Preview" }, this.crumbs(), this.show("preview", (preview) => this.preview(preview))));
  }

  list(items) {
    const names = new Map(this.state.nodes.map(({ id, displayName }) => [id, displayName]));
    return h("div", { class: "wide" }, h("table", null, h("thead", null, h("tr", null, ["Artifact", "Step", "Size", "Files", "sha256"].map((word) => h("th", { class: word === "Size" || word === "Files" ? "num" : "" }, word)))),
      h("tbody", null, items.map(({ node, name, bytes: size, sha256, files, deleted, place }) => h("tr", { key: `${node}/${name}`, "aria-selected": String(this.chosen === `${node}/${name}`) },
        h("td", null, deleted ? h("span", { class: "dim", title: "Deleted" }, h("s", null, name)) : h("a", { href: here({ artifact: `${node}/${name}` }) }, name)),
        h("td", null, h("a", { href: here({ node }) }, names.get(node) ?? node)), size == null && place ? h("td", { class: "dim cut", colSpan: 2, title: place }, place) : [h("td", { class: "num" }, bytes(size)), h("td", { class: "num" }, count(files))],
        h("td", null, sha256 && h("button", { class: "plain mono", title: sha256, onclick: () => copy(sha256, "Hash") }, sha256.slice(0, 12))))))));
  }

  crumbs() {
    const parts = this.path ? this.path.split("/") : [];
    const preview = this.slots.preview?.value;
    return h("div", { class: "row" }, h("span", { class: "grow" }, h("button", { class: "plain", onclick: () => this.enter("") }, this.chosen.split("/").pop()),
      parts.map((part, index) => ["/", h("button", { class: "plain", onclick: () => this.enter(parts.slice(0, index + 1).join("/")) }, part)])),
    preview && h("small", null, bytes(preview.bytes)), preview?.url && h("a", { class: "button", href: preview.url, download: true }, "Download"),
    h("button", { class: "plain", "aria-label": "Close the preview", onclick: () => go(here({ artifact: null })) }, "×"));
  }

  preview({ kind, text, truncated, table, entries, url }) {
    const cut = truncated && h("p", { class: "dim" }, "Only the beginning is shown.");
    if (kind === "directory") {
      return h("table", null, h("tbody", null, (entries ?? []).map(({ name, kind, bytes: size }) => h("tr", { key: name }, h("td", null,
        h("button", { class: "plain", onclick: () => this.enter(this.path ? `${this.path}/${name}` : name) }, kind === "directory" ? `${name}/` : name)), h("td", { class: "num dim" }, bytes(size))))));
    }
    if (kind === "table") return [cut, h("div", { class: "wide" }, h("table", null, h("thead", null, h("tr", null, table.columns.map((name) => h("th", null, String(name))))),
      h("tbody", null, table.rows.map((row) => h("tr", null, row.map((cell) => h("td", null, cell == null ? "" : String(cell))))))))];
    if (kind === "image") return h("img", { src: url, alt: `Preview of ${this.chosen}` });
    if (kind === "binary") return h("p", { class: "dim" }, "This is not text. Download it to look inside.");
    return [cut, h("pre", { tabIndex: 0 }, kind === "json" ? pretty(text) : text)];
  }
}
customElements.define("m-artifacts", Artifacts);

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
