// A text editor for manifests: <m-editor>, state = {text, problems, label, readonly}. A plain textarea does the editing, so
// that undo, selection, input methods and screen readers are the browser's; colours, line numbers and marks of problems are
// drawn beneath it for the lines in view alone, which keeps five thousand lines fluid.
// Events: "text" (detail = text) and "run" (Ctrl+Enter).

import { View, h } from "../lib/view.js";
import * as model from "./model.js";

const ROW = 20, SPARE = 8; // px a line (as in editor.css), lines drawn beyond the view

class Editor extends View {
  top = 0;
  lines = [""];
  states = [-1];

  begin() {
    this.take(this.state.text ?? "");
    const watcher = new ResizeObserver(() => this.update());
    watcher.observe(this);
    this.ends(() => watcher.disconnect());
  }

  changed(old) {
    // The area holds the newest text; only another text than was told last replaces it.
    if (old.text !== this.state.text && this.state.text !== this.text) this.take(this.state.text ?? "");
  }

  take(text) {
    this.text = text;
    this.lines = text.split("\n");
    this.states = model.lineStates(this.lines);
    if (this.area && this.area.value !== text) this.area.value = text;
  }

  draw() {
    const { problems = [], label, readonly } = this.state;
    const marks = model.placed(problems, this.lines.length), high = this.area?.clientHeight || 400;
    const first = Math.max(0, Math.floor(this.top / ROW) - SPARE), end = Math.min(this.lines.length,
      Math.ceil((this.top + high) / ROW) + SPARE);
    const rows = [];
    for (let i = first; i < end; i++) {
      const found = marks.get(i);
      rows.push(h("div", { key: i, class: found ? `line ${found[0].severity}` : "line" },
        h("i", { title: found?.map(model.words).join("\n") }, i + 1),
        h("code", null, model.tokens(this.lines[i].slice(0, 2000), this.states[i]).map(([kind, text]) => h("span",
          { class: kind && `t-${kind}` }, text)))));
    }
    return [
      h("div", { class: "ink", "aria-hidden": "true" }, h("div", { class: "page", ref: (node) => { this.page = node; } }, rows)),
      h("textarea", {
        spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", readonly, "aria-label": label ?? "Manifest",
          "aria-describedby": "editor-keys",
        ref: (node) => { this.area = node; node.value = this.text; },
        onscroll: () => this.scrolled(), oninput: () => { this.take(this.area.value); this.emit("text", this.text); this.update(); },
        onkeydown: (event) => this.key(event), onblur: () => { this.leaving = false; },
      }),
      h("p", { class: "keys dim", id: "editor-keys" }, readonly ? ""
        : "Tab indents; Escape, then Tab leaves the editor. Ctrl+Enter submits."),
    ];
  }

  drawn() {
    this.first = Math.max(0, Math.floor(this.top / ROW) - SPARE);
    this.place();
  }

  scrolled() {
    this.top = this.area.scrollTop;
    this.place();
    this.update();
  }

  /** Moves the ink under the text at once; rows that are missing come with the next frame. */
  place() {
    if (!this.area) return;
    this.page.style.setProperty("transform", `translateY(${(this.first ?? 0) * ROW - this.area.scrollTop}px)`);
    this.page.style.setProperty("--across", `${-this.area.scrollLeft}px`);
  }

  key(event) {
    const { area } = this, { selectionStart: start, selectionEnd: end, value } = area;
    if (event.isComposing || this.state.readonly) return;
    const leaving = this.leaving;
    // Escape lets the next Tab leave, so that nobody is caught who has only a keyboard.
    this.leaving = event.key === "Escape" || (leaving && event.key === "Shift");
    const command = event.ctrlKey || event.metaKey;
    if (command && event.key === "Enter") this.emit("run");
    else if (command || event.altKey) return;
    else if (event.key === "Tab" && !leaving) this.edit(model.indent(value, start, end, event.shiftKey));
    else if (event.key === "Enter" && !event.shiftKey) {
      const text = model.enter(value, start);
      this.edit({ from: start, to: end, text, start: start + text.length, end: start + text.length });
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Changes text so that the browser's undo knows of it: only this old command does that. */
  edit({ from, to, text, start, end }) {
    const { area } = this;
    area.setSelectionRange(from, to);
    if (!document.execCommand("insertText", false, text)) {
      area.setRangeText(text, from, to, "end");
      area.dispatchEvent(new Event("input"));
    }
    area.setSelectionRange(start, end);
  }

  /** Puts the cursor at a line and column (from 1), in the middle of the view. */
  jump(line, column = 1) {
    const at = model.offset(this.text, line, column);
    this.area.focus({ preventScroll: true });
    this.area.setSelectionRange(at, at);
    this.area.scrollTop = Math.max(0, (line - 1) * ROW - this.area.clientHeight / 2);
    this.area.scrollLeft = 0;
  }
}
customElements.define("m-editor", Editor);
