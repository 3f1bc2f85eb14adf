// The editor's text: colours, indentation keys, where problems stand, answers in order.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as model from "../../web/editor/model.js";

const kinds = (line, state) => model.tokens(line, state).map(([kind, text]) => `${kind}:${text}`);

test("tokens of a line, joined, are the line, whatever it holds", () => {
  const odd = ["", "   ", "- - a: b", "a:b", "key: value # no", "key: 'it''s' # c", 'k: "un#closed', "{{x}}", "- {{x}}: [a, {b: c}, 'd']", "? x", "k: *ref", "\t- tab", "a # b: c", "é: ü # ö", ": x", "k: {{a}} and {{b"];
  for (const line of odd) for (const state of [-1, 3]) assert.equal(model.tokens(line, state).map((t) => t[1]).join(""), line, JSON.stringify(line));
});

test("keys, values, comments and references have their own kinds", () => {
  assert.deepEqual(kinds("  name: main # the first"), ["mark:  ", "key:name", "mark::", ": ", ":main", ": ", "comment:# the first"]);
  assert.deepEqual(kinds("- count: 3"), ["mark:- ", "key:count", "mark::", ": ", "number:3"]);
  assert.deepEqual(kinds('image: "a#b"'), ["key:image", "mark::", ": ", 'string:"a#b"']);
  assert.deepEqual(kinds("url: http://x/#y"), ["key:url", "mark::", ": ", ":http://x/#y"]);
  assert.deepEqual(kinds("x: {{a.b}}-c"), ["key:x", "mark::", ": ", "template:{{a.b}}", ":-c"]);
  assert.deepEqual(kinds("echo # {{x}}", 4), ["block:echo # ", "template:{{x}}"]);
});

test("a block scalar ends where text is no deeper than its key", () => {
  const lines = ["a:", "  - script: |", "      # text", "", "      echo: b", "    image: c", "  # not", "d: >-", "  folded", "e: f # |", "g: h"];
  assert.deepEqual([...model.lineStates(lines)], [-1, -1, 4, 4, 4, -1, -1, -1, 0, -1, -1]);
});

test("Enter keeps the depth, goes deeper after a key that opens a block, and under a dash's text", () => {
  for (const [text, wanted] of [
    ["a: b", "\n"], ["  a: b", "\n  "], ["spec:", "\n  "], ["  source: |", "\n    "], ["  - name: x", "\n    "], ["  - steps:", "\n      "],
    ["  # a comment:", "\n  "], ["    echo hi", "\n    "], ["", "\n"],
  ]) assert.equal(model.enter(text, text.length), wanted, text);
  assert.equal(model.enter("spec:\n  a: b", 5), "\n  ", "in the middle of a text the line's own beginning counts");
});

const apply = (text, edit) => [text.slice(0, edit.from) + edit.text + text.slice(edit.to), edit.start, edit.end];

test("Tab fills to the next even column; with a selection it moves whole lines, and back", () => {
  assert.deepEqual(apply("abc", model.indent("abc", 1, 1)), ["a bc", 2, 2]);
  assert.deepEqual(apply("abc", model.indent("abc", 0, 0)), ["  abc", 2, 2]);
  const text = "a\n\nb\nc";
  const [moved, start, end] = apply(text, model.indent(text, 0, 4));
  assert.equal(moved, "  a\n\n  b\nc", "empty lines stay empty");
  assert.deepEqual([start, end], [2, 8]);
  assert.deepEqual(apply("    a\n b", model.indent("    a\n b", 0, 8, true)), ["  a\nb", 0, 5]);
  assert.equal(apply("a\nb", model.indent("a\nb", 0, 2))[0], "  a\nb", "a line that the selection only touches stays");
});

test("problems stand at their line, errors first; those without a line at the first, those beyond at the last", () => {
  const problem = (line, severity) => ({ line, severity, message: `${severity} ${line}` });
  const lines = model.placed([problem(2, "warning"), problem(2, "error"), problem(0, "error"), problem(99, "warning")], 5);
  assert.deepEqual([...lines.keys()].sort(), [0, 1, 4]);
  assert.deepEqual(lines.get(1).map((p) => p.severity), ["error", "warning"]);
});

test("a problem's words are the command line's", () => {
  assert.equal(model.words({ line: 41, column: 18, severity: "error", path: "spec.x", message: "no task" }), "41:18: error: spec.x: no task");
  assert.equal(model.words({ severity: "warning", message: "odd" }), "warning: odd");
});

test("a line and column become an offset that stays in its line", () => {
  const text = "ab\nc\n\nlast";
  for (const [line, column, wanted] of [[1, 1, 0], [1, 3, 2], [1, 99, 2], [2, 1, 3], [3, 9, 5], [4, 2, 7], [9, 1, 10]]) assert.equal(model.offset(text, line, column), wanted, `${line}:${column}`);
});

/** Timers that fire when told. */
function clock() {
  const timers = new Map();
  let next = 1;
  return {
    set: (work) => (timers.set(next, work), next++),
    clear: (id) => timers.delete(id),
    fire: () => { const all = [...timers.values()]; timers.clear(); all.forEach((work) => work()); },
    count: () => timers.size,
  };
}

test("checking waits for a rest in typing, and drops answers that newer input overtook", async () => {
  const time = clock(), asked = [], shown = [], answers = [];
  const check = model.latest((text) => { asked.push(text); return new Promise((done, fail) => answers.push({ done, fail })); }, (answer, error) => shown.push(answer ?? error.message), time);
  check("a");
  check("ab");
  assert.equal(time.count(), 1, "one timer however fast one types");
  time.fire();
  check("abc");
  time.fire();
  assert.deepEqual(asked, ["ab", "abc"]);
  answers[1].done("for abc");
  answers[0].done("for ab");
  await new Promise(setImmediate);
  assert.deepEqual(shown, ["for abc"]);
  check("abcd");
  time.fire();
  answers[2].fail(new Error("down"));
  await new Promise(setImmediate);
  assert.deepEqual(shown, ["for abc", "down"]);
});

test("five thousand lines are scanned within a frame", () => {
  const lines = Array.from({ length: 5000 }, (_, i) => (i % 7 === 0 ? "    - source: |" : `      key${i}: value # ${i}`));
  for (let i = 0; i < 5; i++) model.lineStates(lines);
  const begun = process.cpuUsage();
  for (let i = 0; i < 10; i++) model.lineStates(lines);
  const spent = process.cpuUsage(begun);
  assert.ok((spent.user + spent.system) / 10_000 < 16, `${(spent.user + spent.system) / 10_000} ms`);
});
