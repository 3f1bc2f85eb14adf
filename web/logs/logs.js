// A log: one node's by line number, of any size, or all nodes' merged. Only what is seen is in the page.

import { api, address, at } from "../lib/api.js";
import { ansi, level, LEVELS, marked } from "../lib/ansi.js";
import { bytes, clock, count, local, plural, quote, utc } from "../lib/format.js";
import { copy } from "../lib/parts.js";
import { here, go } from "../lib/router.js";
import { sheet } from "../lib/sheet.js";
import { saved, save } from "../lib/state.js";
import { extent, scrollOf, topAt, window as visible } from "../lib/virtual.js";
import { h, View } from "../lib/view.js";
import { command } from "../runs/actions.js";
import { Pages } from "./pages.js";

await sheet("/logs/logs.css");
const ROW = 20;
const PAGE = 1000; // lines of all nodes in one answer
const HELD = 50_000; // lines of all nodes that are held
const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

class Log extends View {
  pages = new Pages((from, count, signal) => api.get(`${this.base}/lines`, { from, count, attempt: this.state.attempt }, signal), () => this.update(), (error) => this.trouble(error));
  parts = []; // answers with lines of all nodes
  merged = []; // their lines
  whole = {}; // whether their first line is the log's, and the last
  top = 0; // the row on top, with fraction
  options = { wrap: false, times: false, ...saved("log") };
  find = null; // {text, regex, level, matches, total, capped, at}
  only = false; // only lines that match are shown

  begin() {
    const sizes = new ResizeObserver(() => (this.follow && this.toEnd(), this.update()));
    sizes.observe(this);
    this.ends(() => sizes.disconnect());
    this.ends(() => this.pages.stop());
    this.line = this.state.line == null || !this.state.node ? null : Number(this.state.line) - 1;
    this.follow = this.line == null && (this.state.compact || this.running);
    if (this.state.node) this.load("size", (signal) => api.get(this.base, { attempt: this.state.attempt }, signal), { done: (size) => this.sized(size) });
    else {
      this.read(this.follow ? "end" : "start");
      this.listen("run", () => this.whole.end && this.read("on"));
    }
  }

  changed(old) {
    const { told, node } = this.state;
    if (!node && told !== old.told && (this.whole.end || this.follow)) this.read("on");
    if (told !== old.told && told?.node === node?.id && told && (!this.state.attempt || told.attempt === this.state.attempt)) {
      this.slots.size = { value: { ...this.slots.size?.value, ...told } };
      this.pages.total = Math.max(this.pages.total, told.lines);
      if (this.follow) this.toEnd();
    }
    if (this.state.line !== old.line && this.state.line != null) this.goTo(Number(this.state.line) - 1);
    // The stream tells of a log's growth only while its step runs; the last lines come with its end.
    if (node && old.node && node.finishedAt && !old.node.finishedAt) this.load("size", (signal) => api.get(this.base, { attempt: this.state.attempt }, signal), { done: (size) => this.sized(size) });
  }

  keys() {
    if (this.state?.compact) return {};
    return {
      "s": ["search in the log", () => this.querySelector("[type=search]").focus()], "N": ["previous match", () => this.match(-1)], "n": ["next match", () => this.find ? this.match(1) : false],
      "e": ["follow the end", () => this.set({ follow: true })], "w": ["wrap lines", () => this.set({ wrap: !this.options.wrap })], "t": ["times", () => this.set({ times: !this.options.times })],
      "j": ["line down", () => this.by(1)], "k": ["line up", () => this.by(-1)], "g g": ["to the first line", () => this.home()], "G": ["to the last line", () => this.set({ follow: true })],
    };
  }

  get base() {
    return at`/runs/${this.state.run.uid}/nodes/${this.state.node.id}/log`;
  }
  get total() {
    return this.state.node ? this.pages.total : this.merged.length;
  }
  get rows() {
    return this.only && this.find?.matches ? this.find.matches.length : this.total;
  }
  number = (row) => (this.only && this.find?.matches ? this.find.matches[row] : row);
  lineOf = (n) => (this.state.node ? this.pages.line(n) : this.merged[n]);

  sized({ lines }) {
    this.pages.total = Math.max(this.pages.total, lines);
    if (this.line != null) this.goTo(this.line);
    else if (this.follow || this.state.compact) this.toEnd();
    this.update();
  }

  /** Lines of all nodes: `on`, `back`, or anew from `start` or `end`. */
  read(way) {
    if (this.slots.merged?.loading) return void (this.again = way);
    const { parts, whole } = this;
    const place = { on: { from: parts.at(-1)?.next }, back: { to: parts[0]?.first }, end: { to: "end" } }[way];
    this.load("merged", (signal) => api.get(at`/runs/${this.state.run.uid}/log`, { ...place, count: PAGE }, signal), { done: (part) => {
      const full = part.lines.length >= PAGE;
      const sum = () => parts.reduce((total, { lines }) => total + lines.length, 0);
      if (way === "start" || way === "end") parts.splice(0, Infinity), Object.assign(whole, { start: way === "start", end: way === "end" });
      if (part.lines.length) way === "back" ? (parts.unshift(part), (this.top += part.lines.length)) : parts.push(part);
      if (way === "on" || way === "start") whole.end = !full;
      if (way === "back" || way === "end") whole.start = !full;
      while (sum() > HELD) {
        if (way === "back") parts.pop(), (whole.end = false);
        else (this.top = Math.max(0, this.top - parts.shift().lines.length)), (whole.start = false);
      }
      this.merged = parts.flatMap(({ lines }) => lines);
      this.placed = false;
      if (this.find) this.seek(0);
      if (this.follow) whole.end ? this.toEnd() : this.read("end");
      else if (this.again) this.read(this.again);
      this.again = null;
    } });
  }

  trouble(error) {
    this.slots.lines = { error, retry: () => ((this.slots.lines = null), this.update()) };
    if (error.passing) setTimeout(() => this.isConnected && this.slots.lines?.retry(), 3000);
    this.update();
  }

  set({ follow, ...options }) {
    if (Object.keys(options).length) save("log", (this.options = { ...this.options, ...options }));
    if (follow != null) this.follow = follow;
    if (follow) this.finish();
    this.update();
  }

  /** To the very first or last line, which may not be here. */
  home = () => (this.state.node || this.whole.start ? this.jump(0) : ((this.top = 0), (this.follow = false), this.read("start")));
  finish = () => (this.state.node || this.whole.end ? this.toEnd() : ((this.follow = true), this.read("end")));

  get view() {
    return Math.min(this.scroller?.clientHeight || 400, 4000);
  }

  toEnd() {
    this.jump(Infinity, true);
  }

  jump(row, follow = false) {
    this.follow = follow;
    this.top = Math.min(Math.max(0, row), extent(this.rows, ROW, this.view).last);
    this.placed = false;
    this.update();
  }

  by = (lines) => this.jump(this.top + lines);

  goTo(line) {
    this.line = line;
    const row = this.only && this.find?.matches ? Math.max(0, this.find.matches.findIndex((one) => one >= line)) : line;
    this.jump(row - this.view / ROW / 3);
  }

  scrolled() {
    const { scrollTop } = this.scroller;
    if (this.set_ != null && Math.abs(scrollTop - this.set_) < 1.5) return;
    this.top = topAt(scrollTop, this.rows, ROW, this.view);
    this.set_ = null;
    this.follow = this.top >= extent(this.rows, ROW, this.view).last - 0.5 && this.running && Boolean(this.state.node || this.whole.end);
    this.update();
  }

  /** Over a squeezed scroll bar a wheel's notch would be thousands of lines; it moves by lines instead. */
  wheel(event) {
    if (event.ctrlKey || !event.deltaY || !(extent(this.rows, ROW, this.view).squeezed || this.options.wrap)) return;
    event.preventDefault();
    this.jump(this.top + (event.deltaY * (event.deltaMode ? ROW : 1)) / ROW);
  }

  get running() {
    return this.state.node ? !this.state.node.finishedAt : !this.state.run.finishedAt;
  }

  search(text, { level = this.find?.level ?? "", regex = this.find?.regex ?? false } = {}) {
    const pattern = regex ? text : escape(text);
    this.find = text || level ? { text, level, regex, at: -1 } : null;
    if (!this.find) {
      this.only = false;
      return this.update();
    }
    if (level) this.only = true;
    try {
      this.find.mark = text ? new RegExp(pattern, "gi") : null;
    } catch {
      this.find.error = "not a regular expression";
      return this.update();
    }
    const asked = !level ? { q: text, regex }
      : { q: text ? `(${LEVELS[level]}).*(${pattern})|(${pattern}).*(${LEVELS[level]})` : LEVELS[level], regex: true, case: !text };
    this.find.query = { ...asked, attempt: this.state.attempt };
    this.seek(0);
  }

  /** Matches from line `from` on: a thousand at a time, more when they are come to. */
  seek(from) {
    const { find } = this;
    if (!this.state.node) {
      find.matches = this.merged.flatMap(({ s }, n) => ((find.level ? new RegExp(LEVELS[find.level]).test(s) : true) && (!find.mark || s.search(find.mark) >= 0) ? [n] : []));
      find.total = find.matches.length;
      return this.update();
    }
    this.load("search", async (signal) => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      signal.throwIfAborted();
      return api.get(`${this.base}/search`, { ...find.query, from, limit: 1000 }, signal);
    }, { done: ({ total, capped, matches, stoppedAt }) => {
      if (this.find !== find) return;
      if (from) find.matches.push(...matches);
      else Object.assign(find, { matches, total, capped: capped || stoppedAt != null });
      find.done = matches.length === 0 && stoppedAt == null;
      // A long search stops at times, so that others get their turn; it goes on while nothing was found.
      if (!find.matches.length && stoppedAt != null) return this.seek(stoppedAt);
      if (!from && matches.length) this.match(1, this.number(Math.floor(this.top)) - 1);
    } });
  }

  match(step, after = this.find?.matches?.[this.find.at] ?? -1) {
    const { matches } = this.find ?? {};
    if (!matches?.length) return;
    let next = step > 0 ? matches.findIndex((line) => line > after) : matches.findLastIndex((line) => line < after);
    if (next < 0 && step > 0 && matches.length < this.find.total && !this.find.done) return this.seek(matches.at(-1) + 1);
    if (next < 0) next = step > 0 ? 0 : matches.length - 1;
    this.find.at = next;
    this.goTo(matches[next]);
  }

  draw() {
    const { compact, node, run } = this.state;
    if (node && !node.hasLog && !node.startedAt) return h("p", { class: "none dim" }, node.waitingFor ? `Not begun: waits for ${node.waitingFor}.` : "Not begun, so there is no log.");
    const { height } = extent(this.rows, ROW, this.view);
    const failed = this.slots.size?.error ? "size" : this.slots.merged?.error ? "merged" : this.slots.lines?.error ? "lines" : null;
    return [
      !compact && this.toolbar(node, run), failed && this.show(failed, () => null),
      h("div", { class: `scroll${this.options.wrap || compact ? " wrap" : ""}`, tabIndex: 0, role: "log", "aria-live": "off", "aria-label": `Log of ${node?.displayName ?? run.name}, ${count(this.total)} lines`,
        ref: (scroller) => {
          this.scroller = scroller;
          scroller.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
        }, onscroll: () => this.scrolled(),
        onkeydown: (event) => {
          const pages = { PageDown: 1, PageUp: -1 }[event.key];
          if (pages) event.preventDefault(), this.by(pages * (this.view / ROW - 2));
          else if (event.key === "Home" || event.key === "End") event.preventDefault(), event.key === "Home" ? this.home() : this.set({ follow: true });
        } },
      h("div", { class: "space", style: { height: `${Math.max(height, 1)}px` } }), h("div", { class: "lines" }, this.lines())),
      this.total > 0 && this.rows === 0 && h("p", { class: "none dim" }, "No line matches."),
      this.total === 0 && !this.slots.size?.loading && !this.slots.merged?.loading && !failed && h("p", { class: "none dim" }, this.running ? "Nothing written yet." : node ? "This step wrote nothing." : "No step wrote anything."),
    ];
  }

  lines() {
    const { first, end } = visible(this.top, this.rows, ROW, this.view, 12);
    // Wrapped lines: some before the one on top too, for the end of the log may need them to fill the view.
    this.first = this.wrapped ? Math.max(0, Math.min(Math.floor(this.top), end - Math.ceil(this.view / ROW) - 13)) : first;
    const rows = Array.from({ length: end - this.first }, (_, index) => this.first + index);
    const numbers = rows.map(this.number);
    if (this.state.node) this.pages.want(numbers);
    else if (this.parts.length && !this.only) {
      if (end >= this.rows - 50 && !this.whole.end) this.read("on");
      else if (first < 50 && !this.whole.start) this.read("back");
    }
    if (this.only && this.find?.matches && end >= this.rows - 20 && this.rows < this.find.total && !this.find.done && !this.slots.search?.loading) this.seek(this.find.matches.at(-1) + 1);
    const names = !this.state.node && new Map(this.state.nodes.map(({ id, displayName }) => [id, displayName]));
    const current = this.find?.matches?.[this.find.at] ?? this.line;
    return numbers.map((n) => {
      const line = this.lineOf(n);
      const style = line ? `${level(line.s)}${line.e ? " err" : ""}` : "absent";
      const link = names ? line && { node: line.node, line: line.n + 1 } : { node: this.state.node.id, line: n + 1 };
      return h("div", { key: n, class: `line ${style}${n === current || n === this.line ? " on" : ""}` },
        !this.state.compact && link && h("a", { class: "n", href: here({ tab: "logs", ...link }), tabIndex: -1, "aria-label": `Link to line ${link.line}` }, link.line),
        line && this.options.times && !this.state.compact && h("time", { title: `${local(line.t)}\n${utc(line.t)}` }, clock(line.t)),
        names && line && h("span", { class: "of cut" }, names.get(line.node) ?? line.node),
        h("span", { class: "text" }, line ? marked(ansi(line.s), this.find?.mark).map(({ text, style, mark }) => (mark ? h("mark", { class: style }, text) : style ? h("span", { class: style }, text) : text)) : "", line?.cut && h("small", null, " … cut")));
    });
  }

  get wrapped() {
    return this.options.wrap || this.state.compact;
  }

  drawn() {
    const lines = this.querySelector(".lines");
    if (!lines || !this.scroller) return;
    const { squeezed, last } = extent(this.rows, ROW, this.view);
    if (this.follow) this.top = last;
    if (!this.placed || this.follow) {
      this.scroller.scrollTop = scrollOf(this.top, this.rows, ROW, this.view);
      // Read back, since browsers round and clamp it: the event that follows is ours, not the reader's.
      this.set_ = this.scroller.scrollTop;
      this.placed = true;
    }
    const { scrollTop } = this.scroller;
    let y = this.first * ROW;
    if (this.wrapped) {
      // Wrapped lines have heights of their own: the line on top is put where it belongs, the last one at the end.
      const first = lines.children[Math.min(Math.floor(this.top) - this.first, lines.childElementCount - 1)];
      y = scrollTop - (first ? first.offsetTop + (this.top % 1) * first.offsetHeight : 0);
      if (this.top >= last - 0.01) y = lines.offsetHeight < this.view ? 0 : scrollTop + this.view - lines.offsetHeight;
    } else if (squeezed) y = scrollTop + (this.first - this.top) * ROW;
    lines.style.transform = `translateY(${y}px)`;
  }

  toolbar(node, run) {
    const { find, options } = this;
    const size = this.slots.size?.value;
    const choices = this.state.nodes.filter(({ hasLog }) => hasLog);
    const toggle = (words, on, act, label) => h("button", { class: "chip", "aria-pressed": String(on), onclick: act, title: label }, words);
    return h("div", { class: "row toolbar", role: "toolbar", "aria-label": "Log" },
      h("select", { "aria-label": "Whose log", value: node?.id ?? "", onchange: (event) => go(here({ node: event.target.value, line: null })) },
        h("option", { value: "" }, "All steps"), (choices.length > 500 ? choices.filter((one) => one.id === node?.id || one.phase !== "Succeeded").slice(0, 500) : choices).map(({ id, displayName, phase }) =>
          h("option", { value: id }, displayName + (phase === "Failed" || phase === "Error" ? " ✗" : "")))),
      h("form", { class: "row seek grow", role: "search", onsubmit: (event) => (event.preventDefault(), this.match(1)) },
        h("input", { type: "search", placeholder: "Search (s)", "aria-label": "Search in the log", value: find?.text ?? "", oninput: (event) => this.search(event.target.value),
          onkeydown: (event) => event.key === "Enter" && event.shiftKey && (event.preventDefault(), this.match(-1)) }),
        find && h("small", { role: "status" }, find.error ?? (find.matches ? `${find.at >= 0 ? `${count(find.at + 1)} of ` : ""}${count(find.total)}${find.capped ? "+" : ""}` : "…")),
        find?.matches?.length > 0 && [h("button", { type: "button", class: "plain", "aria-label": "Previous match (N)", onclick: () => this.match(-1) }, "↑"),
          h("button", { class: "plain", "aria-label": "Next match (n)" }, "↓")],
        toggle(".*", Boolean(find?.regex), (event) => (event.preventDefault(), this.search(find?.text ?? "", { regex: !find?.regex })), "Regular expression"),
        find && toggle("Only matches", this.only, (event) => (event.preventDefault(), (this.only = !this.only), this.jump(0)), "Hide lines that do not match")),
      h("select", { "aria-label": "Level", value: find?.level ?? "", onchange: (event) => this.search(find?.text ?? "", { level: event.target.value }) },
        [["", "All levels"], ["warning", "Warnings"], ["error", "Errors"]].map(([value, words]) => h("option", { value }, words))),
      this.running && toggle("Follow", this.follow, () => this.set({ follow: !this.follow }), "Stay at the end (e)"),
      toggle("Wrap", options.wrap, () => this.set({ wrap: !options.wrap }), "Wrap long lines (w)"), toggle("Time", options.times, () => this.set({ times: !options.times }), "Times of lines (t)"),
      h("small", null, `${plural(this.total, "line")}${node || (this.whole.start && this.whole.end) || !this.total ? "" : " here"}${size?.bytes ? `, ${bytes(size.bytes)}` : ""}`),
      node && h("a", { class: "button plain", href: address(`${this.base}/raw`, { attempt: this.state.attempt }), download: `${run.name}-${node.displayName}.log` }, "Download"),
      h("button", { class: "plain", onclick: () => copy(command("logs", run, (node ? ` ${quote(node.displayName)}` : "") + (this.follow ? " -f" : "") + (find?.text ? ` --grep ${quote(find.text)}` : ""))) }, "Copy as command"));
  }
}
customElements.define("m-log", Log);
