// The graph of a run on a canvas: only what is seen is drawn, however many nodes there are.
// The tree tab has the same for readers who cannot see it.

import { fraction, seconds, span } from "../lib/format.js";
import { SHAPES } from "../lib/phase.js";
import { sheet } from "../lib/sheet.js";
import { now } from "../lib/state.js";
import { h, View } from "../lib/view.js";
import { layout, SIZE } from "./layout.js";
import { criticalPath, foldedAtFirst, graph, groups, shape } from "./model.js";

await sheet("/graph/graph.css");
const MINIMAP = 60; // nodes from which there is one
const DETAIL = 0.42; // scale below which nodes are plain boxes
const KINDS = { // 10 x 10
  DAG: "M1 5h2.5M6.5 2h2.5M6.5 8h2.5M3.5 5l3-3M3.5 5l3 3", Steps: "M1 2h8M1 5h8M1 8h8", TaskGroup: "M8.5 3.5A4 4 0 1 0 9 6M9 1v3H6",
  Suspend: "M3.5 1.5v7M6.5 1.5v7", Retry: "M8.5 3.5A4 4 0 1 0 9 6M9 1v3H6", Pod: "M1.5 3l3 2.5L1.5 8M5.5 8.5h3.5", HTTP: "M5 1a4 4 0 1 0 .01 0M1 5h8M5 1c-3 3-3 5 0 8c3-3 3-5 0-8",
};
const paths = Object.fromEntries(Object.entries({ ...SHAPES, ...KINDS }).map(([name, shape]) => [name, new Path2D(shape.path ?? shape)]));

class Graph extends View {
  camera = null; // {x, y: the world's point in the view's upper left, k: scale}
  folded = null;
  names = new Map(); // name -> as much of it as fits
  pointers = new Map();

  begin() {
    this.colors();
    const theme = matchMedia("(prefers-color-scheme: dark)");
    const repaint = () => {
      this.colors();
      this.small = null;
      this.update();
    };
    theme.addEventListener("change", repaint);
    this.ends(() => theme.removeEventListener("change", repaint));
    this.sizes = new ResizeObserver(() => this.update());
    this.sizes.observe(this);
    this.ends(() => this.sizes.disconnect());
  }

  keys() {
    const step = (dx, dy) => () => this.step(dx, dy);
    return {
      "ArrowRight": ["next node in the graph", step(1, 0)], "ArrowLeft": ["node before", step(-1, 0)],
      "ArrowDown": ["node below", step(0, 1)], "ArrowUp": ["node above", step(0, -1)],
      " ": ["fold or unfold", () => this.cursor?.group && this.toggle(this.cursor)],
      "+": ["zoom in", () => this.zoom(1.25)], "-": ["zoom out", () => this.zoom(0.8)], "0": ["show all", () => this.fit(true)],
      "c": ["critical path", () => this.light()],
    };
  }

  ticks() {
    return this.state?.nodes.some(({ phase }) => phase === "Running");
  }

  colors() {
    const style = getComputedStyle(document.documentElement);
    this.tone = Object.fromEntries(["ground", "raised", "chosen", "line", "edge", "text", "dim", "accent", ...Object.keys(SHAPES)].map((name) =>
      [name, style.getPropertyValue(`--${name}`).trim()]));
    this.font = style.getPropertyValue("--font");
  }

  /** Lays the graph out only if its shape changed, and then keeps what is in view where it was. */
  build() {
    const { nodes } = this.state;
    if (this.built === nodes && this.builtFolded === this.folded) return;
    this.grouping = groups(nodes);
    this.folded ??= foldedAtFirst(nodes, this.grouping);
    [this.built, this.builtFolded] = [nodes, this.folded];
    this.graph = graph(nodes, this.grouping, this.folded);
    const form = shape(this.graph);
    if (form !== this.form) {
      const anchor = this.camera && this.anchor();
      this.form = form;
      this.at = new Map(this.graph.vertices.map(({ id }, index) => [id, index]));
      this.plan = layout(this.graph.vertices, this.graph.edges);
      const to = anchor && this.at.get(anchor.id);
      if (to != null) {
        this.camera.x += this.plan.x[to] - anchor.x;
        this.camera.y += this.plan.y[to] - anchor.y;
      }
    }
    if (this.lit) this.lit = criticalPath(this.graph, now());
    this.cursor = this.graph.vertices[this.at.get(this.cursor?.id)];
    this.small = null;
  }

  anchor() {
    const { x, y } = this.plan;
    const id = this.keep ?? this.state.selected ?? this.graph.vertices.find((_, index) => this.seen(x[index], y[index]))?.id;
    this.keep = null;
    const index = this.at.get(id);
    return index == null ? null : { id, x: x[index], y: y[index] };
  }

  seen(x, y) {
    const { camera, clientWidth: width, clientHeight: height } = this;
    return x + SIZE.width > camera.x && x < camera.x + width / camera.k && y + SIZE.height > camera.y && y - SIZE.height < camera.y + height / camera.k;
  }

  fit(all = false) {
    const { clientWidth: width, clientHeight: height, plan } = this;
    const k = Math.min(1, (width - 48) / plan.width, (height - 64) / plan.height);
    if (all || k > 0.68) {
      this.camera = { k, x: (plan.width - width / k) / 2, y: (plan.height - height / k) / 2 };
    } else {
      // Too much to read at once: begin where something happens.
      const { vertices } = this.graph;
      const want = (phase) => vertices.find((vertex) => vertex.phase === phase && vertex.id !== this.grouping.root);
      const index = this.at.get((this.state.selected && vertices[this.at.get(this.state.selected)] || want("Failed") || want("Running") || vertices[0])?.id) ?? 0;
      this.camera = { k: 0.85, x: 0, y: 0 };
      this.center(index);
    }
    this.update();
  }

  center(index) {
    const { camera } = this;
    camera.x = this.plan.x[index] + SIZE.width / 2 - this.clientWidth / camera.k / 2;
    camera.y = this.plan.y[index] - this.clientHeight / camera.k / 2;
    if (this.plan.width * camera.k < this.clientWidth) camera.x = (this.plan.width - this.clientWidth / camera.k) / 2;
    else camera.x = Math.max(-24 / camera.k, camera.x);
  }

  zoom(by, x = this.clientWidth / 2, y = this.clientHeight / 2) {
    const { camera } = this;
    const k = Math.min(2, Math.max(0.02, camera.k * by));
    camera.x += x / camera.k - x / k;
    camera.y += y / camera.k - y / k;
    camera.k = k;
    this.update();
  }

  light() {
    this.lit = this.lit ? null : criticalPath(this.graph, now());
    this.update();
  }

  toggle({ id }) {
    this.folded = new Set(this.folded);
    if (!this.folded.delete(id)) this.folded.add(id);
    this.keep = id;
    this.update();
  }

  foldAll(on) {
    this.folded = new Set(on ? this.grouping.members.keys() : []);
    this.camera = null;
    this.update();
  }

  step(dx, dy) {
    if (document.activeElement !== this.canvas) return false;
    const { x, y, layer, layers } = this.plan;
    const from = this.at.get(this.cursor?.id ?? this.state.selected) ?? 0;
    let to = from;
    if (dy) to = layers[layer[from]][layers[layer[from]].indexOf(from) + dy];
    else {
      const near = this.graph.edges.filter((edge) => edge[dx > 0 ? 0 : 1] === from).map((edge) => edge[dx > 0 ? 1 : 0]);
      to = near.sort((a, b) => Math.abs(y[a] - y[from]) - Math.abs(y[b] - y[from]))[0];
    }
    if (to != null) {
      this.cursor = this.graph.vertices[to];
      if (!this.seen(x[to], y[to])) this.center(to);
      this.update();
    }
  }

  choose(vertex) {
    this.cursor = vertex;
    if (vertex.node) this.emit("choose", vertex.node.id);
    else this.toggle(vertex);
  }

  /** The vertex at a point of the view, by its layer, then by height within it. */
  hit(px, py) {
    const x = this.camera.x + px / this.camera.k;
    const y = this.camera.y + py / this.camera.k;
    const list = this.plan.layers[Math.floor(x / (SIZE.width + SIZE.gapX))] ?? [];
    const index = list.find((at) => Math.abs(this.plan.y[at] - y) <= SIZE.height / 2 && x >= this.plan.x[at] && x <= this.plan.x[at] + SIZE.width);
    return index == null ? null : { vertex: this.graph.vertices[index], dx: x - this.plan.x[index] };
  }

  down(event) {
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    event.target.setPointerCapture(event.pointerId);
    this.moved = 0;
  }

  drag(event) {
    const old = this.pointers.get(event.pointerId);
    const at = [event.offsetX, event.offsetY];
    if (!old) {
      const over = this.hit(...at)?.vertex;
      this.canvas.style.setProperty("cursor", over ? "pointer" : "grab");
      const title = over ? `${over.name}${over.node?.message ? `\n${over.node.message}` : ""}` : "";
      if (this.canvas.title !== title) this.canvas.title = title;
      return;
    }
    this.pointers.set(event.pointerId, at);
    const { camera } = this;
    if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const far = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
      this.zoom(far(at, other) / Math.max(1, far(old, other)), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
    }
    camera.x -= (at[0] - old[0]) / camera.k / this.pointers.size;
    camera.y -= (at[1] - old[1]) / camera.k / this.pointers.size;
    this.moved += Math.abs(at[0] - old[0]) + Math.abs(at[1] - old[1]);
    this.update();
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    if (this.moved > 4 || event.type !== "pointerup") return;
    const found = this.hit(event.offsetX, event.offsetY);
    if (!found) return;
    if (found.vertex.group && found.dx > SIZE.width - 30) this.toggle(found.vertex);
    else this.choose(found.vertex);
  }

  wheel(event) {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) return this.zoom(Math.exp(-event.deltaY / (event.deltaMode ? 10 : 250)), event.offsetX, event.offsetY);
    const unit = event.deltaMode ? 20 : 1;
    const [dx, dy] = event.shiftKey ? [event.deltaY, 0] : [event.deltaX, event.deltaY];
    this.camera.x += (dx * unit) / this.camera.k;
    this.camera.y += (dy * unit) / this.camera.k;
    this.update();
  }

  draw() {
    if (!this.state.nodes.length) return h("p", { class: "empty" }, "No step has begun yet.");
    this.build();
    const { vertices } = this.graph;
    const big = vertices.length >= MINIMAP;
    const said = this.cursor ? `${this.cursor.name}, ${this.cursor.phase}${this.cursor.group ? `, ${this.cursor.folded ? "folded" : "unfolded"} group` : ""}` : "";
    const button = (words, label, act, pressed) => h("button", { "aria-label": label, title: label, onclick: act, "aria-pressed": pressed }, words);
    return [
      h("canvas", { class: "world", tabIndex: 0, role: "application", "aria-roledescription": "graph",
        "aria-label": `Graph of ${vertices.length} nodes. Arrows move, enter opens, space folds. The Tree tab has the same as a list.`,
        ref: (canvas) => {
          this.canvas = canvas;
          canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
        },
        onpointerdown: (event) => this.down(event), onpointermove: (event) => this.drag(event), onpointerup: (event) => this.up(event),
        onpointercancel: (event) => this.up(event), onkeydown: (event) => {
          if (event.key !== "Enter" || !this.cursor) return;
          event.preventDefault();
          this.choose(this.cursor);
        } }),
      h("div", { class: "tools", role: "toolbar", "aria-label": "Graph" },
        button("−", "Zoom out (-)", () => this.zoom(0.8)), button("+", "Zoom in (+)", () => this.zoom(1.25)), button("Fit", "Show all (0)", () => this.fit(true)),
        button("Critical path", "The steps that decide how long the run takes (c)", () => this.light(), String(Boolean(this.lit))),
        this.grouping.members.size > 0 && [button("Fold", "Fold all groups", () => this.foldAll(true)), button("Unfold", "Unfold all groups", () => this.foldAll(false))]),
      big && h("canvas", { class: "minimap", "aria-hidden": "true", ref: (canvas) => (this.minimap = canvas),
        onpointerdown: (event) => this.jump(event), onpointermove: (event) => event.buttons && this.jump(event) }),
      h("p", { class: "said", "aria-live": "polite" }, said),
    ];
  }

  drawn() {
    if (!this.canvas?.isConnected || !this.plan || !this.clientWidth) return;
    if (!this.camera) return this.fit();
    const ratio = devicePixelRatio || 1;
    const { canvas, camera } = this;
    const [width, height] = [this.clientWidth, this.clientHeight];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    }
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(ratio * camera.k, 0, 0, ratio * camera.k, -camera.x * ratio * camera.k, -camera.y * ratio * camera.k);
    context.lineJoin = context.lineCap = "round";
    context.textBaseline = "middle";
    this.drawEdges(context);
    const { x, y } = this.plan;
    let moving = 0;
    this.graph.vertices.forEach((vertex, index) => {
      if (!this.seen(x[index], y[index])) return;
      if (camera.k < DETAIL) this.drawBox(context, vertex, x[index], y[index]);
      else {
        this.drawNode(context, vertex, x[index], y[index]);
        moving += vertex.phase === "Running";
      }
    });
    this.drawMinimap(ratio);
    this.dataset.drawn = this.graph.vertices.length;
    // The arc of what runs turns a few times a second, while it is seen and motion is welcome.
    clearTimeout(this.turning);
    if (moving && !matchMedia("(prefers-reduced-motion: reduce)").matches && !document.hidden) this.turning = setTimeout(() => this.update(), 80);
  }

  drawEdges(context) {
    const { plan, graph: { edges, vertices }, tone, camera } = this;
    const [left, right] = [camera.x, camera.x + this.clientWidth / camera.k];
    const [top, bottom] = [camera.y, camera.y + this.clientHeight / camera.k];
    const plain = new Path2D();
    const strong = new Path2D();
    edges.forEach(([from, to], edge) => {
      const points = [[plan.x[from] + (vertices[from].dot ? SIZE.dot : SIZE.width), plan.y[from]], ...(plan.bends.get(edge) ?? []), [plan.x[to], plan.y[to]]];
      const ys = points.map(([, y]) => y);
      if (points[0][0] > right || points.at(-1)[0] < left || Math.min(...ys) > bottom || Math.max(...ys) < top) return;
      const path = this.lit?.has(vertices[from].id) && this.lit.has(vertices[to].id) ? strong : plain;
      path.moveTo(...points[0]);
      for (let index = 1; index < points.length; index++) {
        const [[ax, ay], [bx, by]] = [points[index - 1], points[index]];
        if (camera.k < DETAIL / 2) path.lineTo(bx, by);
        else path.bezierCurveTo((ax + bx) / 2, ay, (ax + bx) / 2, by, bx, by);
      }
    });
    context.strokeStyle = tone.edge;
    context.globalAlpha = edges.length > 2000 && camera.k < DETAIL ? 0.35 : 0.7;
    context.lineWidth = Math.max(1.2, 0.6 / camera.k);
    context.stroke(plain);
    context.globalAlpha = 1;
    context.strokeStyle = tone.accent;
    context.lineWidth = Math.max(2.5, 2 / camera.k);
    context.stroke(strong);
  }

  drawBox(context, vertex, x, y) {
    context.fillStyle = this.tone[vertex.phase];
    context.fillRect(x, y - SIZE.height / 2, vertex.dot ? SIZE.dot : SIZE.width, SIZE.height);
    if (vertex.id !== this.state.selected && !this.lit?.has(vertex.id)) return;
    context.strokeStyle = this.tone.text;
    context.lineWidth = 3 / this.camera.k;
    context.strokeRect(x, y - SIZE.height / 2, SIZE.width, SIZE.height);
  }

  drawNode(context, vertex, x, y) {
    const { tone } = this;
    const top = y - SIZE.height / 2;
    if (vertex.dot) {
      context.fillStyle = tone.edge;
      context.beginPath();
      context.arc(x + SIZE.dot / 2, y, SIZE.dot / 2, 0, 7);
      return context.fill();
    }
    const chosen = vertex.id === this.state.selected;
    const box = (shift) => {
      context.beginPath();
      context.roundRect(x + shift, top + shift, SIZE.width, SIZE.height, 6);
      context.fill();
      context.stroke();
    };
    context.lineWidth = chosen || this.lit?.has(vertex.id) ? 2 : 1;
    context.strokeStyle = chosen || this.lit?.has(vertex.id) ? tone.accent : tone.edge;
    context.fillStyle = chosen ? tone.chosen : tone.raised;
    if (vertex.folded) box(4);
    box(0);
    if (vertex === this.cursor && document.activeElement === this.canvas) {
      context.strokeStyle = tone.text;
      context.strokeRect(x - 3, top - 3, SIZE.width + 6, SIZE.height + 6);
    }
    this.drawShape(context, vertex.phase, tone[vertex.phase], x + 10, top + 12, vertex.phase === "Running");
    const wide = SIZE.width - 42 - (vertex.group ? 18 : 0);
    context.font = `500 13px ${this.font}`;
    context.fillStyle = tone.text;
    context.fillText(this.fitting(context, vertex.name, wide), x + 34, top + 13.5);
    context.font = `11px ${this.font}`;
    context.fillStyle = tone.dim;
    context.strokeStyle = tone.dim;
    context.lineWidth = 1.1;
    context.save();
    context.translate(x + 34, top + 22.5);
    context.stroke(paths[vertex.kind] ?? paths.Pod);
    context.restore();
    context.fillText(this.fitting(context, this.below(vertex), wide - 8), x + 48, top + 28);
    if (vertex.group) context.fillText(vertex.folded ? "▸" : "▾", x + SIZE.width - 18, top + 20);
    const share = vertex.phase === "Running" ? fraction(vertex.node?.progress) : null;
    if (share == null) return;
    context.fillStyle = tone.Running;
    context.fillRect(x + 3, top + SIZE.height - 3, (SIZE.width - 6) * share, 2);
  }

  below({ counts, folded, node, attempts }) {
    if (folded) {
      const all = Object.values(counts).reduce((sum, one) => sum + one, 0);
      const bad = (counts.Failed ?? 0) + (counts.Error ?? 0);
      return `${counts.Succeeded ?? 0}/${all}${bad ? `, ${bad} failed` : counts.Running ? `, ${counts.Running} running` : ""}`;
    }
    const took = span(seconds(node?.startedAt, node?.finishedAt, now()));
    const share = node?.phase === "Running" && fraction(node.progress) != null && node.progress !== "0/1" ? ` · ${node.progress}` : "";
    return (took || (node?.waitingFor ? "waits" : "")) + share + (attempts > 1 ? ` · ${attempts} attempts` : node?.memoHit ? " · from cache" : "");
  }

  drawShape(context, phase, color, x, y, turning) {
    context.save();
    context.translate(x + 8, y + 8);
    if (turning && !matchMedia("(prefers-reduced-motion: reduce)").matches) context.rotate((performance.now() / 1600) * 2 * Math.PI);
    context.translate(-8, -8);
    context.strokeStyle = color;
    context.lineWidth = 1.9;
    context.stroke(paths[phase]);
    context.restore();
  }

  fitting(context, name, width) {
    const key = `${width} ${name}`;
    if (this.names.size > 20_000) this.names.clear();
    if (!this.names.has(key)) {
      let text = name;
      while (text.length > 3 && context.measureText(text).width > width) text = `${text.slice(0, text.endsWith("…") ? -3 : -2)}…`;
      this.names.set(key, text);
    }
    return this.names.get(key);
  }

  /** The minimap is drawn once a change; moving the view only moves its frame. */
  drawMinimap(ratio) {
    const { minimap, plan, camera } = this;
    if (!minimap?.isConnected || this.graph.vertices.length < MINIMAP) return;
    const [width, height] = [180, 120];
    const [kx, ky] = (this.scale = [width / plan.width, height / plan.height]);
    if (!this.small) {
      this.small = document.createElement("canvas");
      [this.small.width, this.small.height] = [width * ratio, height * ratio];
      const context = this.small.getContext("2d");
      context.scale(ratio, ratio);
      this.graph.vertices.forEach((vertex, index) => {
        context.fillStyle = this.tone[vertex.phase];
        context.fillRect(plan.x[index] * kx, plan.y[index] * ky - 0.5, Math.max(2, SIZE.width * kx), Math.max(1, SIZE.height * ky));
      });
    }
    [minimap.width, minimap.height] = [width * ratio, height * ratio];
    const context = minimap.getContext("2d");
    context.drawImage(this.small, 0, 0);
    context.scale(ratio, ratio);
    context.strokeStyle = this.tone.text;
    context.lineWidth = 1.5;
    context.strokeRect(camera.x * kx + 0.5, camera.y * ky + 0.5, (this.clientWidth / camera.k) * kx - 1, Math.max(3, (this.clientHeight / camera.k) * ky - 1));
  }

  jump(event) {
    this.camera.x = event.offsetX / this.scale[0] - this.clientWidth / this.camera.k / 2;
    this.camera.y = event.offsetY / this.scale[1] - this.clientHeight / this.camera.k / 2;
    this.update();
  }
}
customElements.define("m-graph", Graph);
