// A line chart: <m-chart>, state = {title, series, smoothing, log, axis, marks, cursor}. Series are {id, name, look, xs, ys}:
// `look` chooses colour and dash together, so that lines stay apart without colour. The cursor is told to the owner
// (event "cursor", detail = x or null), who gives it to all charts.

import { View, h } from "./view.js";
import * as math from "./chart-math.js";
import { number, span } from "./format.js";
import { sheet } from "./sheet.js";

await sheet("/lib/chart.css");

const LEFT = 52, RIGHT = 12, TOP = 8, BOTTOM = 24, HEIGHT = 210; // px
const ROWS = 40; // rows of the table that screen readers get

/** Colour and dash of the n-th line; eight colours and four dashes, never the same pair within thirty-two. */
export const look = (n) => `c${n % 8} d${(n + (n >> 3)) % 4}`;

export const swatch = (n) => h("svg", { class: `swatch ${look(n)}`, viewBox: "0 0 22 8", "aria-hidden": "true" },
  h("path", { d: "M0 4H22" }));

export class Chart extends View {
  width = 0;

  begin() {
    const watcher = new ResizeObserver(([entry]) => {
      const width = Math.round(entry.contentRect.width);
      if (width && width !== this.width) { this.width = width; this.made = null; this.update(); }
    });
    watcher.observe(this);
    this.ends(() => watcher.disconnect());
  }

  changed(old) {
    const { state } = this;
    if (["series", "smoothing", "log", "axis", "marks"].some((name) => old[name] !== state[name])) this.made = null;
  }

  /** All that does not depend on the cursor. */
  make() {
    const { series, smoothing = 0, log = false, axis = "step" } = this.state;
    const lines = series.map((s) => ({ ...s, smooth: math.smooth(s.ys, smoothing) }));
    const wide = math.extent(lines.map((l) => l.xs)), high = math.extent(lines.flatMap((l) => [l.ys, l.smooth]), log);
    if (!wide || !high) return { lines, empty: log && math.extent(lines.map((l) => l.ys))
      ? "No value is above zero, so a log scale shows none." : "No values yet." };
    const [low, top] = math.padded(high, log);
    const x = math.scale(wide[0], wide[1], LEFT, Math.max(LEFT + 10, this.width - RIGHT)),
      y = math.scale(low, top, HEIGHT - BOTTOM, TOP, log);
    for (const line of lines) {
      line.d = math.path(line.xs, line.smooth, x, y);
      const first = line.ys.findIndex(Number.isFinite);
      line.only = first >= 0 && first === line.ys.findLastIndex(Number.isFinite) && Number.isFinite(y(line.ys[first])) ? first : -1;
      line.raw = smoothing > 0 ? math.path(line.xs, line.ys, x, y) : "";
    }
    const many = Math.max(2, Math.min(8, Math.floor(this.width / 90)));
    return {
      lines, x, y, wide,
      xTicks: axis === "time" ? math.timeTicks(wide[0], wide[1], many) : math.ticks(wide[0], wide[1], many),
      yTicks: log ? math.logTicks(low, top, 5) : math.ticks(low, top, 5),
    };
  }

  draw() {
    const { title, marks = [], axis, cursor } = this.state;
    if (!this.width) return h("figure", null, h("figcaption", null, title), h("div", { class: "plot" }));
    this.made ??= this.make();
    const { lines, empty, x, y, wide, xTicks, yTicks } = this.made;
    if (empty) return h("figure", null, h("figcaption", null, title), h("p", { class: "plot dim" }, empty));
    const far = HEIGHT - BOTTOM, words = (value) => (axis === "time" ? span(value) : number(value));
    const at = cursor == null || cursor < wide[0] || cursor > wide[1] ? null : cursor;
    const read = lines.map((line) => {
      const last = line.smooth.findLastIndex(Number.isFinite), index = at == null ? last : math.nearest(line.xs, at);
      // Beyond its end a line has no value there.
      return at != null && at > line.xs.at(-1) + (wide[1] - wide[0]) / 100 ? -1 : index;
    });
    const value = (line, i) => (read[i] < 0 ? null : line.smooth[read[i]]);
    return h("figure", null,
      h("figcaption", null, title, at != null && h("small", null, axis === "time" ? words(at)
        : `step ${words(lines[0].xs[read[0]] ?? at)}`)),
      h("svg", {
        class: "plot", viewBox: `0 0 ${this.width} ${HEIGHT}`, tabindex: 0, role: "slider",
          "aria-label": `${title}: position of the crosshair`,
        "aria-valuemin": wide[0], "aria-valuemax": wide[1], "aria-valuenow": at ?? wide[1],
        "aria-valuetext": `${axis === "time" ? "" : "step "}${words(at ?? wide[1])}: ${lines.map((l, i) => `${l.name} ${number(value(l, i))}`).join(", ")}`,
        onpointermove: (event) => this.point(event), onpointerdown: (event) => this.point(event),
          onpointerleave: () => this.emit("cursor", null),
        onkeydown: (event) => this.key(event),
      },
        h("g", { class: "grid" }, yTicks.map((t) => h("path", { d: `M${LEFT} ${y(t)}H${this.width - RIGHT}` }))),
        h("g", { class: "axis", "aria-hidden": "true" },
          yTicks.map((t) => h("text", { x: LEFT - 8, y: y(t) + 4, "text-anchor": "end" }, number(t))),
          xTicks.map((t) => h("text", { x: Math.min(x(t), this.width - 14), y: HEIGHT - 6, "text-anchor": "middle" }, words(t)))),
        h("g", { class: "marks" }, marks.filter((m) => m >= wide[0] && m <= wide[1]).map((m) =>
          h("g", null, h("path", { class: "stem", d: `M${x(m)} ${TOP}V${far}` }),
            h("path", { class: "flag", d: `M${x(m) - 4} ${far}l4 -7l4 7z` }, h("title", null, `checkpoint at ${words(m)}`))))),
        h("g", { class: "lines" }, lines.map((l) => l.raw && h("path", { key: `raw ${l.id}`, class: `raw ${look(l.look)}`, d: l.raw })),
          lines.map((l) => h("path", { key: l.id, class: look(l.look), d: l.d })),
          // A line of one point is none: its place is shown.
          lines.map((l) => l.only >= 0 && h("circle", { key: `only ${l.id}`, class: look(l.look), cx: x(l.xs[l.only]), cy: y(l.ys[l.only]), r: 3.5 }))),
        at != null && h("g", { class: "cursor" }, h("path", { d: `M${x(at)} ${TOP}V${far}` }),
          lines.map((l, i) => Number.isFinite(value(l, i)) && Number.isFinite(y(value(l, i))) &&
            h("circle", { key: l.id, class: look(l.look), cx: x(l.xs[read[i]]), cy: y(value(l, i)), r: 3.5 })))),
      h("ul", { class: "legend" },
        lines.map((l, i) => h("li", { key: l.id }, swatch(l.look), h("span", null, l.name), h("b", null, number(value(l, i)))))),
      h("details", { class: "numbers", ontoggle: (event) => { this.table = event.target.open; this.update(); } },
        h("summary", null, "Numbers"), this.table && this.rows(words)));
  }

  rows(words) {
    const { lines } = this.made;
    const all = [...new Set(lines.flatMap((l) => l.xs))].sort((a, b) => a - b);
    const step = Math.max(1, Math.ceil(all.length / ROWS)), kept = all.filter((_, i) => i % step === 0 || i === all.length - 1);
    return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Numbers of ${this.state.title}` }, h("table", null,
      h("thead", null, h("tr", null, h("th", { scope: "col" }, this.state.axis === "time" ? "time" : "step"),
        lines.map((l) => h("th", { scope: "col" }, l.name)))),
      h("tbody", null, kept.map((at) => h("tr", { key: at }, h("th", { scope: "row" }, words(at)),
        lines.map((l) => { const i = math.nearest(l.xs, at); return h("td", null, i >= 0 && l.xs[i] === at ? number(l.ys[i]) : ""); }))))));
  }

  point(event) {
    if (!this.made?.x) return;
    const left = event.currentTarget.getBoundingClientRect().left, { wide } = this.made;
    this.emit("cursor", Math.min(wide[1], Math.max(wide[0], this.made.x.invert(event.clientX - left))));
  }

  key(event) {
    const xs = this.made?.lines[0]?.xs;
    if (!xs?.length) return;
    const now = this.state.cursor == null ? xs.length - 1 : math.nearest(xs, this.state.cursor), by = event.shiftKey ? 10 : 1;
    const to = { ArrowLeft: now - by, ArrowRight: now + by, Home: 0, End: xs.length - 1 }[event.key];
    if (event.key === "Escape") this.emit("cursor", null);
    else if (to === undefined) return;
    else this.emit("cursor", xs[Math.min(xs.length - 1, Math.max(0, to))]);
    event.preventDefault();
    event.stopPropagation();
  }
}
customElements.define("m-chart", Chart);
