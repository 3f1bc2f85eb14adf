// The timeline: when each step waited and ran, its attempts in one row. Dragging over it zooms; a double click goes back.

import { span, clock } from "../lib/format.js";
import { icon, shown } from "../lib/phase.js";
import { sheet } from "../lib/sheet.js";
import { now } from "../lib/state.js";
import { window as visible } from "../lib/virtual.js";
import { h, View } from "../lib/view.js";
import { rows, ticks } from "./bars.js";

await sheet("/timeline/timeline.css");
const ROW = 26;

class Timeline extends View {
  range = null; // [from, to] ms; null is all
  drag = null; // shares of the width

  begin() {
    this.onscroll = () => this.update();
    const sizes = new ResizeObserver(() => this.update());
    sizes.observe(this);
    this.ends(() => sizes.disconnect());
  }

  keys() {
    return { "0": ["show all of the time", () => this.zoom(null)], "+": ["zoom in", () => this.by(0.5)], "-": ["zoom out", () => this.by(2)],
      "ArrowLeft": ["earlier", () => this.shift(-0.2)], "ArrowRight": ["later", () => this.shift(0.2)] };
  }

  ticks() {
    return this.state && !this.state.run.finishedAt;
  }

  zoom(range) {
    this.range = range;
    this.update();
  }

  by(factor) {
    const [from, to] = this.range ?? this.all;
    const half = Math.max(500, ((to - from) * factor) / 2);
    const middle = (from + to) / 2;
    this.zoom(half * 2 >= this.all[1] - this.all[0] ? null : [middle - half, middle + half]);
  }

  shift(share) {
    const [from, to] = this.range ?? this.all;
    this.zoom([from + (to - from) * share, to + (to - from) * share]);
  }

  share(event) {
    const { left, width } = this.querySelector(".axis").getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - left) / width));
  }

  pointer(event) {
    if (event.type === "pointerdown" && event.button === 0) this.drag = [this.share(event), this.share(event)];
    else if (event.type === "pointermove" && this.drag) {
      this.drag[1] = this.share(event);
      // Only now: a capture at once would take the click from the bar that was pressed.
      if (Math.abs(this.drag[1] - this.drag[0]) > 0.01) event.currentTarget.setPointerCapture(event.pointerId);
    } else if (event.type === "pointerup" && this.drag) {
      const [a, b] = this.drag.sort((x, y) => x - y);
      const [from, to] = this.range ?? this.all;
      this.drag = null;
      if (b - a > 0.01) this.zoom([from + (to - from) * a, Math.max(from + (to - from) * b, from + (to - from) * a + 1000)]);
    } else return;
    this.update();
  }

  draw() {
    const { run, nodes, selected } = this.state;
    const list = rows(nodes, now());
    if (!list.length) return h("p", { class: "empty" }, "No step has begun yet.");
    const origin = Date.parse(run.startedAt ?? run.createdAt);
    this.all = [origin, Math.max(origin + 1000, run.finishedAt ? Date.parse(run.finishedAt) : now(), ...list.slice(-50).map(({ bars }) => bars.at(-1)?.to ?? 0))];
    const [from, to] = this.range ?? this.all;
    const left = (time) => `${((time - from) / (to - from)) * 100}%`;
    const bar = (a, b) => ({ left: left(Math.max(a, from)), width: `${((Math.min(b, to) - Math.max(a, from)) / (to - from)) * 100}%` });
    const wide = (a, b) => ((Math.min(b, to) - Math.max(a, from)) / (to - from)) * (this.clientWidth - 240);
    const seen = (a, b) => b >= from && a <= to;
    const { first, end } = visible(Math.max(0, this.scrollTop - 28) / ROW, list.length, ROW, Math.min(this.clientHeight || 600, 4000));
    const pointer = (event) => this.pointer(event);
    return h("div", { class: "lanes", style: { height: `${list.length * ROW + 34}px` }, onpointerdown: pointer, onpointermove: pointer, onpointerup: pointer, ondblclick: () => this.zoom(null) },
      h("div", { class: "scale" }, h("span", { class: "dim" }, this.range ? h("button", { class: "plain", onclick: () => this.zoom(null) }, "All") : `${list.length} steps`),
        h("div", { class: "axis" }, ticks(from, to, origin, Math.max(3, (this.clientWidth - 200) / 90)).filter(([time]) => time < to - (to - from) * 0.04).map(([time, since]) => h("span", { style: { left: left(time) }, title: clock(new Date(time)) }, since ? span(since).replace(/ [hdms] 00 .$/, (unit) => unit.slice(0, 2)) : "0")),
          this.drag && h("b", { class: "span", style: { left: `${Math.min(...this.drag) * 100}%`, width: `${Math.abs(this.drag[1] - this.drag[0]) * 100}%` } }))),
      list.slice(first, end).map(({ id, name, bars, wait }, offset) => h("div", { key: id, class: `lane${id === selected ? " on" : ""}`, style: { transform: `translateY(${(first + offset) * ROW + 30}px)` } },
        h("button", { class: "plain cut", onclick: () => this.emit("choose", bars.at(-1)?.id ?? id), title: name }, bars.length > 0 ? icon(shown(bars.at(-1).node), true) : icon("Pending", true), h("span", { class: "cut" }, name)),
        h("div", { class: "axis" }, wait && seen(...wait) && h("i", { class: "waits", style: bar(...wait), title: `waited ${span((wait[1] - wait[0]) / 1000)}` }),
          bars.map(({ id, from: a, to: b, phase, node }, index) => seen(a, b) && h("button", { key: id, class: `bar p-${shown(node)}`, style: bar(a, b), onclick: () => this.emit("choose", id),
            title: `${name}${bars.length > 1 ? `, attempt ${index + 1}` : ""}: ${phase}, ${span((b - a) / 1000)}${node.message ? `\n${node.message}` : ""}`, "aria-label": `${name}, attempt ${index + 1}, ${phase}, ${span((b - a) / 1000)}` },
          wide(a, b) > span((b - a) / 1000).length * 6.5 + 10 && h("span", null, span((b - a) / 1000))))))));
  }
}
customElements.define("m-timeline", Timeline);
