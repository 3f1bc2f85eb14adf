// The nodes of a run as a tree: what `martlet get` shows, for keyboards and screen readers, at any size.

import { fraction, seconds, span } from "../lib/format.js";
import { meter } from "../lib/parts.js";
import { icon, shown } from "../lib/phase.js";
import { now } from "../lib/state.js";
import { reveal, window as visible } from "../lib/virtual.js";
import { h, View } from "../lib/view.js";
import { foldedAtFirst, groups } from "../graph/model.js";
import { tree } from "./words.js";

const ROW = 30;

class Tree extends View {
  closed = null;
  cursor = 0;

  begin() {
    this.onscroll = () => this.update();
    const sizes = new ResizeObserver(() => this.update());
    sizes.observe(this);
    this.ends(() => sizes.disconnect());
  }

  keys() {
    const fold = (open) => () => this.rows[this.cursor]?.kids && this.rows[this.cursor].open !== open && this.toggle(this.rows[this.cursor].id);
    return {
      "j": ["next node", () => this.move(1)], "k": ["previous node", () => this.move(-1)], "ArrowDown": ["next node", () => this.move(1)], "ArrowUp": ["previous node", () => this.move(-1)],
      "ArrowRight": ["unfold", fold(true)], "ArrowLeft": ["fold", fold(false)], "Enter": ["open the node", () => this.open(this.rows[this.cursor])],
    };
  }

  ticks() {
    return this.state?.nodes.some(({ phase }) => phase === "Running");
  }

  move(by) {
    this.cursor = Math.min(this.rows.length - 1, Math.max(0, this.cursor + by));
    this.scrollTop = reveal(this.cursor, this.scrollTop / ROW, this.rows.length, ROW, this.clientHeight) * ROW;
    this.moved = true;
    this.update();
  }

  open(row) {
    if (row?.node) this.emit("choose", row.node.id);
    else if (row) this.toggle(row.id);
  }

  toggle(id) {
    if (!this.closed.delete(id)) this.closed.add(id);
    this.update();
  }

  draw() {
    const { nodes, selected } = this.state;
    const grouping = groups(nodes);
    this.closed ??= foldedAtFirst(nodes, grouping);
    this.rows = tree(nodes, grouping, this.closed);
    const { first, end } = visible(this.scrollTop / ROW, this.rows.length, ROW, Math.min(this.clientHeight || 600, 4000));
    return h("div", { class: "rows", role: "tree", "aria-label": "Nodes", style: { height: `${this.rows.length * ROW}px` } },
      this.rows.slice(first, end).map(({ id, name, node, depth, kids, open }, offset) => {
        const index = first + offset;
        const phase = node ? shown(node) : "Skipped";
        const share = phase === "Running" ? fraction(node.progress) : null;
        return h("div", { key: id, role: "treeitem", "aria-level": depth + 1, "aria-expanded": kids ? String(open) : null, "aria-selected": String(id === selected), class: "item",
          tabIndex: index === this.cursor ? 0 : -1, style: { transform: `translateY(${index * ROW}px)`, "padding-left": `${depth * 18 + 8}px` },
          onclick: () => ((this.cursor = index), this.open(this.rows[index])) },
        h("button", { class: "plain fold", tabIndex: -1, "aria-hidden": "true", onclick: (event) => (event.stopPropagation(), this.toggle(id)), disabled: !kids }, kids ? (open ? "▾" : "▸") : ""),
        node ? icon(phase, true) : null, h("span", { class: "cut" }, name), !open && kids > 0 && h("small", null, kids),
        h("small", { class: "cut grow" }, node?.message || (node?.waitingFor ? `waits for ${node.waitingFor}` : "")),
        share != null && meter(share, { label: node.progress }), h("small", { class: "num" }, span(seconds(node?.startedAt, node?.finishedAt, now()))));
      }));
  }

  drawn() {
    if (this.moved) this.querySelector("[tabindex='0']")?.focus({ preventScroll: true });
    this.moved = false;
  }
}
customElements.define("m-tree", Tree);
