// The editor's text without a browser: colours of YAML, what keys do to indentation, where problems stand.

/**
 * State at the start of each line: -1, or within a block scalar the indentation of the line that opened it.
 * A block scalar (`script: |`) ends at the first line that is not deeper.
 */
export function lineStates(lines) {
  const states = new Int16Array(lines.length);
  let block = -1;
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i], blank = line.trim() === "", depth = indentation(line);
    if (block >= 0 && !blank && depth <= block) block = -1;
    states[i] = block;
    if (block < 0 && /(^|[:\s-]\s*)[|>][+-]?\d?[+-]?\s*(#.*)?$/.test(line) && !/^\s*#/.test(line)) {
      // The lines of `- script: |` are deeper than its key, not only than its dash.
      block = /^\s*(- +)+(?=\S+\s*:)/.exec(line)?.[0].length ?? depth;
    }
  }
  return states;
}

export const indentation = (line) => line.length - line.trimStart().length;

/** Pieces of a line for colouring, [[kind, text], ...]; joined they are the line. Kinds: key, string, number, comment, template, mark, block, "". */
export function tokens(line, state = -1) {
  const out = [];
  // A reference {{...}} stands out within every kind of text.
  const put = (kind, text) => {
    for (const piece of text.split(/(\{\{.*?\}\})/)) if (piece) out.push([piece.startsWith("{{") && piece.endsWith("}}")
      ? "template" : kind, piece]);
  };
  if (state >= 0) { put("block", line); return out; }
  if (/^(---|\.\.\.)(\s|$)/.test(line)) { put("mark", line); return out; }
  const lead = /^\s*(?:- +|-$)*/.exec(line)[0];
  put("mark", lead);
  let rest = line.slice(lead.length);
  const key = /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#"'[\]{},&*!|>%@`](?:(?!\s#).)*?)(\s*:)(?=\s|$)/.exec(rest);
  if (key) {
    put("key", key[1]);
    put("mark", key[2]);
    rest = rest.slice(key[0].length);
  }
  let apart = !key;
  while (rest) {
    const [piece] = /^(\s+|"(?:[^"\\]|\\.)*"?|'(?:[^']|'')*'?|(?:\{\{.*?\}\}|(?!\s+#)[^,[\]{}])+|.)/.exec(rest);
    if (apart && rest[0] === "#") { put("comment", rest); break; }
    const blank = !piece.trim();
    put(blank ? "" : /^["']/.test(piece) ? "string" : scalarKind(piece.trim()), piece);
    apart = blank;
    rest = rest.slice(piece.length);
  }
  return out;
}

function scalarKind(text) {
  if (/^([{}[\],]|[|>][+-]?\d?[+-]?)$/.test(text)) return "mark";
  return /^(true|false|null|~|[-+]?(\d[\d_]*(\.\d+)?([eE][-+]?\d+)?|\.\d+|0x[\da-fA-F]+))$/.test(text) ? "number" : "";
}

const lineStart = (text, at) => text.lastIndexOf("\n", at - 1) + 1;

/**
 * What Enter puts at `at`: the line's indentation, two more after a key that opens a block, under the text of `- key:`.
 */
export function enter(text, at) {
  const before = text.slice(lineStart(text, at), at);
  const dashes = /^\s*(- +)*/.exec(before)[0].length;
  const opens = /(:|[|>][+-]?)\s*$/.test(before) && !/^\s*#/.test(before);
  const item = /^\s*- /.test(before) && /:/.test(before);
  const depth = item ? dashes + (opens ? 2 : 0) : indentation(before) + (opens ? 2 : 0);
  return "\n" + " ".repeat(Math.min(depth, 200));
}

/** The edit of Tab (or Shift+Tab) on a selection: {from, to, text, start, end}, the new text of [from, to) and selection. */
export function indent(text, start, end, out = false) {
  if (!out && start === end) {
    const width = 2 - ((start - lineStart(text, start)) % 2);
    return { from: start, to: start, text: " ".repeat(width), start: start + width, end: start + width };
  }
  return perLine(text, start, end, (line) => (out ? line.replace(/^ {1,2}/, "") : line && "  " + line));
}

function perLine(text, start, end, change) {
  const from = lineStart(text, start);
  // A selection that ends at a line's beginning does not mean that line.
  const last = end > start && text[end - 1] === "\n" ? end - 1 : end;
  const stop = text.indexOf("\n", last) < 0 ? text.length : text.indexOf("\n", last);
  const old = text.slice(from, stop).split("\n"), changed = old.map(change);
  const replaced = changed.join("\n");
  const first = changed[0].length - old[0].length;
  return {
    from, to: stop, text: replaced,
    start: Math.max(from, start + first), end: Math.max(from, end + replaced.length - (stop - from)),
  };
}

/** Problems by line (from 0), the worst first; those without a line or beyond the text stand at the nearest line. */
export function placed(diagnostics, lineCount) {
  const lines = new Map();
  for (const problem of diagnostics) {
    const line = Math.min(Math.max(1, problem.line || 1), Math.max(1, lineCount)) - 1;
    if (!lines.has(line)) lines.set(line, []);
    lines.get(line).push(problem);
  }
  for (const list of lines.values()) list.sort((a, b) => (a.severity === "error" ? 0 : 1) - (b.severity === "error" ? 0 : 1));
  return lines;
}

/** The line as `martlet lint` prints it, without the file's name. */
export const words = (d) =>
  `${d.line ? `${d.line}:${d.column || 1}: ` : ""}${d.severity}: ${d.path ? d.path + ": " : ""}${d.message}`;

/** Offset of a line and column (both from 1) in the text. */
export function offset(text, line, column = 1) {
  let at = 0;
  for (let i = 1; i < line; i++) {
    const next = text.indexOf("\n", at);
    if (next < 0) return text.length;
    at = next + 1;
  }
  const end = text.indexOf("\n", at);
  return Math.min(at + Math.max(0, column - 1), end < 0 ? text.length : end);
}

/**
 * Runs `ask(value)` once input has rested, and gives answers to `show` in order: an answer that is overtaken by newer
 * input is dropped. Timers are handed in, so that tests own time.
 */
export function latest(ask, show, { wait = 250, set = setTimeout, clear = clearTimeout } = {}) {
  let timer = null, turn = 0;
  return (value) => {
    if (timer !== null) clear(timer);
    const mine = ++turn;
    timer = set(async () => {
      timer = null;
      let answer, error = null;
      try { answer = await ask(value); } catch (caught) { error = caught; }
      if (mine === turn) show(answer, error);
    }, wait);
  };
}
