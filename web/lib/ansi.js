// ANSI escapes of a log line as styled pieces; and the level that a line speaks of. Pure.

/** Cuts a line into [{text, style}], style like "a1 bold" ("" is plain). Escapes other than colours are dropped. */
export function ansi(line) {
  if (!line.includes("\u001b")) return [{ text: line, style: "" }];
  const pieces = [];
  let [color, bold, faint, under] = ["", false, false, false];
  let from = 0;
  const add = (text) => {
    if (text) pieces.push({ text, style: [color, bold && "bold", faint && "faint", under && "under"].filter(Boolean).join(" ") });
  };
  for (const escape of line.matchAll(/\u001b(?:\[([\d;:]*)([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\|$)|[@-Z\\^_]|$)/g)) {
    add(line.slice(from, escape.index));
    from = escape.index + escape[0].length;
    if (escape[2] !== "m") continue;
    const codes = escape[1].split(/[;:]/).map(Number);
    for (let index = 0; index < codes.length; index++) {
      const code = codes[index];
      if (code === 0) [color, bold, faint, under] = ["", false, false, false];
      else if (code === 1) bold = true;
      else if (code === 2) faint = true;
      else if (code === 22) bold = faint = false;
      else if (code === 4) under = true;
      else if (code === 24) under = false;
      else if (code === 39) color = "";
      else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) color = tone(code % 10);
      else if (code === 38 || code === 48) {
        // 256 colours keep their first sixteen; true colours have no place in two themes.
        if (code === 38) color = codes[index + 1] === 5 && codes[index + 2] < 16 ? tone(codes[index + 2] % 8) : "";
        index += codes[index + 1] === 5 ? 2 : 4;
      }
    }
  }
  add(line.slice(from));
  return pieces;
}

// Black and white are the text's own colour in one theme or the other.
const tone = (digit) => (digit === 0 || digit === 7 ? "" : `a${digit}`);

/** The pieces with what `test` (a global RegExp) finds marked: {text, style, mark}. */
export function marked(pieces, test) {
  if (!test) return pieces;
  const whole = pieces.map(({ text }) => text).join("");
  const found = [...whole.matchAll(test)].filter(([text]) => text).slice(0, 100).map((match) => [match.index, match.index + match[0].length]);
  let at = 0;
  return pieces.flatMap(({ text, style }) => {
    const cuts = [];
    let from = at;
    const end = at + text.length;
    for (const [start, stop] of found) {
      if (stop <= from || start >= end) continue;
      if (start > from) cuts.push({ text: whole.slice(from, start), style });
      cuts.push({ text: whole.slice(Math.max(from, start), Math.min(end, stop)), style, mark: true });
      from = Math.min(end, stop);
    }
    at = end;
    if (from < end) cuts.push({ text: whole.slice(from, end), style });
    return cuts;
  });
}

/** Patterns of levels, as the server's search takes them too. */
export const LEVELS = {
  error: "ERROR|CRITICAL|FATAL|Traceback|Exception|Error:",
  warning: "WARN|ERROR|CRITICAL|FATAL|Traceback|Exception|Error:",
};
const [bad, warn, faint] = [new RegExp(LEVELS.error), /\bWARN/, /\b(?:DEBUG|TRACE)\b/];

/** "error", "warning", "debug" or "". */
export const level = (text) => {
  const start = text.slice(0, 400);
  return bad.test(start) ? "error" : warn.test(start) ? "warning" : faint.test(start) ? "debug" : "";
};
