// All keys that are bound now, in a dialog: <m-help>, opened by `?`.

import { h, paint } from "../lib/dom.js";
import { all } from "../lib/keys.js";
import { sheet } from "../lib/sheet.js";

await sheet("/help/help.css");

const EDITOR = [["Ctrl+Enter", "submit or save"], ["Tab", "indent"], ["Esc Tab", "leave the editor"]];
const CHART = [["← →", "move the crosshair"], ["Shift+← →", "ten points"], ["Home End", "first and last point"], ["Esc", "take it away"]];

class Help extends HTMLElement {
  open() {
    if (this.dialog?.open) return this.dialog.close();
    this.dialog ??= this.appendChild(document.createElement("dialog"));
    this.dialog.className = "help";
    this.dialog.setAttribute("aria-labelledby", "help-title");
    const mine = [...new Map(all().map((pair) => [pair[0], pair])).values()];
    const go = mine.filter(([key]) => key.startsWith("g ")), here = mine.filter(([key]) => !key.startsWith("g "));
    const list = (title, pairs) => pairs.length > 0 && h("section", null, h("h3", null, title), h("dl", { class: "facts" },
      pairs.map(([key, words]) => [
      h("dt", null, key.split(" ").map((k, i) => [i > 0 && " ", h("kbd", null, k)])), h("dd", null, words)])));
    paint(this.dialog, h("form", { method: "dialog" }, h("h2", { id: "help-title" }, "Keys"),
      h("div", { class: "keys" }, list("Here", here), list("Go", go),
        document.querySelector("m-editor") && list("In the editor", EDITOR),
        document.querySelector("m-chart") && list("On a chart", CHART)),
      h("footer", null, h("button", { autofocus: true }, "Close"))));
    this.dialog.showModal();
  }
}
customElements.define("m-help", Help);
