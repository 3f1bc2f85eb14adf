// Formats, filters, addresses, long lists, ANSI, timeline, words and colours: the pure parts of the page.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { ansi, level, marked } from "../../web/lib/ansi.js";
import * as format from "../../web/lib/format.js";
import { here, match } from "../../web/lib/router.js";
import { extent, LIMIT, reveal, scrollOf, topAt, window } from "../../web/lib/virtual.js";
import { asked, command, parse, passes, read, write } from "../../web/runs/filters.js";
import { culprit, headline, merge, tree } from "../../web/run/words.js";
import { groups } from "../../web/graph/model.js";
import { rows, ticks } from "../../web/timeline/bars.js";
import { Pages } from "../../web/logs/pages.js";
import { world } from "./fake_world.mjs";

const web = new URL("../../web/", import.meta.url).pathname;

test("Sizes, numbers and spans are short and exact enough", () => {
  const table = [
    [format.bytes, 0, "0 B"], [format.bytes, 1023, "1023 B"], [format.bytes, 1024, "1.0 KB"], [format.bytes, 1536, "1.5 KB"], [format.bytes, 1048575, "1.0 MB"],
    [format.bytes, 5e12, "4.5 TB"], [format.bytes, null, ""], [format.number, 0.000012345, "1.23e-5"], [format.number, 1.23456, "1.235"], [format.number, 1234567, "1,234,567"],
    [format.number, NaN, "NaN"], [format.number, -Infinity, "−∞"], [format.number, 0, "0"], [format.span, 0, "0 s"], [format.span, 0.04, "0.1 s"], [format.span, 1, "1 s"],
    [format.span, 9.96, "10 s"], [format.span, 59.6, "1 m 00 s"], [format.span, 185, "3 m 05 s"], [format.span, 7621, "2 h 07 m"], [format.span, 86399, "1 d 00 h"],
    [format.span, -3, "0 s"], [format.span, null, ""], [format.fraction, "3/5", 0.6], [format.fraction, "3/0", null], [format.fraction, "", null],
    [format.quote, "a-b.c", "a-b.c"], [format.quote, "it's", "'it'\\''s'"], [format.quote, "a b", "'a b'"],
  ];
  for (const [write, value, words] of table) assert.equal(write(value), words, `${write.name}(${value})`);
});

test("Moments are told from now, backward and forward", () => {
  const now = Date.parse("2026-11-21T22:00:00Z");
  const table = [[-2, "just now"], [-59, "59 s ago"], [-3600, "1 h ago"], [-90000, "1 d ago"], [7300, "in 2 h"], [2, "in a moment"]];
  for (const [past, words] of table) assert.equal(format.relative(new Date(now + past * 1000).toISOString(), now), words);
  assert.equal(format.utc("2026-11-21T22:01:02.345Z"), "2026-11-21 22:01:02 UTC");
});

test("Filters go to the address and back unchanged", () => {
  const filters = [["phase", "Failed"], ["phase", "Error"], ["q", "a b&c"], ["pipeline", "x"], ["label", "team=nlp"], ["label", "a!=b"], ["parameter", "lr=1e-4"], ["since", "24h"]];
  const address = here(write(filters), { pathname: "/runs", search: "?namespace=n" });
  const query = new URL(address, "http://x").searchParams;
  assert.deepEqual(read(query), filters);
  assert.equal(query.get("namespace"), "n");
  assert.equal(here(write([]), { pathname: "/runs", search: address.slice(5) }), "/runs?namespace=n");
});

test("What is typed becomes a filter, or is refused", () => {
  const table = [["phase:failed", ["phase", "Failed"]], ["phase:nope", null], ["since:7d", ["since", "7d"]], ["since:7x", null], ["label: team=nlp ", ["label", "team=nlp"]],
    ["param:lr=1", ["parameter", "lr=1"]], ["param:lr", null], ["some name", ["q", "some name"]], ["nonsense:x", null], ["", null]];
  for (const [text, filter] of table) assert.deepEqual(parse(text), filter, text);
});

test("The server is asked for what the filters say, and a run is judged alike", () => {
  const now = Date.parse("2026-11-21T22:00:00Z");
  const filters = [["phase", "Failed"], ["label", "a=b"], ["label", "c=d"], ["since", "1h"]];
  const query = asked(filters, now, "default");
  assert.equal(query.phase, "Failed");
  assert.equal(query.label, "a=b,c=d");
  assert.equal(query.createdAfter, "2026-11-21T21:00:00.000Z");
  const run = { namespace: "default", name: "x", phase: "Failed", labels: { a: "b", c: "d" }, parameters: { lr: "1" }, createdAt: "2026-11-21T21:30:00.000Z" };
  assert.equal(passes(run, filters, now, "default"), true);
  const table = [[{ phase: "Running" }, false], [{ labels: { a: "b" } }, false], [{ createdAt: "2026-11-21T20:30:00.000Z" }, false], [{ namespace: "other" }, false]];
  for (const [change, verdict] of table) assert.equal(passes({ ...run, ...change }, filters, now, "default"), verdict);
  assert.equal(passes(run, [["label", "a in (b)"]], now, ""), null);
  assert.equal(passes(run, [["parameter", "lr=2"]], now, ""), false);
  assert.equal(command([["phase", "Failed"], ["since", "24h"], ["phase", "Error"], ["label", "a=b"]], "team"), "martlet list -n team --status Failed,Error -l a=b --since 24h");
  assert.equal(command([], ""), "martlet list");
});

test("Addresses mean views; what is none means nothing", () => {
  const routes = [["/runs", "list"], ["/runs/:namespace/:name", "one"]];
  assert.deepEqual(match(routes, "/runs/"), { view: ["list"], params: {} });
  assert.deepEqual(match(routes, "/runs/a/b%2Fc"), { view: ["one"], params: { namespace: "a", name: "b/c" } });
  for (const path of ["/", "/runs/a", "/runs/a/%E0%A4%A", "/x"]) assert.equal(match(routes, path), null, path);
});

test("Scrolling a long list reaches its first and its last row, squeezed or not", () => {
  for (const total of [0, 1, 30, 1000, 399_999, 10_000_000]) {
    for (const view of [100, 733]) {
      const { height, way, last } = extent(total, 20, view);
      assert.ok(height <= LIMIT);
      assert.equal(topAt(0, total, 20, view), 0);
      assert.ok(Math.abs(topAt(way, total, 20, view) - last) < 1e-6);
      const shown = window(last, total, 20, view);
      assert.equal(shown.end, total);
      assert.ok(shown.end - shown.first < view / 20 + 25);
      for (const share of [0.1, 0.5, 0.99]) {
        const top = last * share;
        assert.ok(Math.abs(topAt(scrollOf(top, total, 20, view), total, 20, view) - top) < 1e-3 * Math.max(1, top));
      }
    }
  }
});

test("Showing a row moves as little as it can", () => {
  assert.equal(reveal(5, 0, 100, 10, 100), 0);
  assert.equal(reveal(12, 0, 100, 10, 100), 3);
  assert.equal(reveal(2, 7, 100, 10, 100), 2);
  assert.equal(reveal(99, 0, 100, 10, 100), 90);
});

test("Colours of a terminal become styles, other escapes vanish, and no text is lost", () => {
  const e = "\u001b";
  const table = [
    ["plain", [["plain", ""]]],
    [`${e}[31mred${e}[0m no`, [["red", "a1"], [" no", ""]]],
    [`${e}[1;32mok${e}[22m still${e}[39m.`, [["ok", "a2 bold"], [" still", "a2"], [".", ""]]],
    [`${e}[2K${e}[1Gx${e}]0;title\u0007y`, [["x", ""], ["y", ""]]],
    [`${e}[38;5;9mhot${e}[38;2;1;2;3mtrue`, [["hot", "a1"], ["true", ""]]],
    [`${e}[97mwhite${e}[4munder${e}`, [["white", ""], ["under", "under"]]],
  ];
  for (const [line, pieces] of table) assert.deepEqual(ansi(line).map(({ text, style }) => [text, style]), pieces, JSON.stringify(line));
});

test("Marks lie where the match is, across colours too", () => {
  const pieces = marked(ansi("a\u001b[31mbc\u001b[0md bcd"), /bcd/g);
  assert.equal(pieces.map(({ text }) => text).join(""), "abcd bcd");
  assert.deepEqual(pieces.filter(({ mark }) => mark).map(({ text, style }) => [text, style]), [["bc", "a1"], ["d", ""], ["bcd", ""]]);
  assert.equal(marked([{ text: "aaa", style: "" }], /x*/g).map(({ text }) => text).join(""), "aaa");
});

test("Levels are told by words, not by parts of words", () => {
  const table = [["ERROR x", "error"], ["2026 WARNING y", "warning"], ["DEBUG z", "debug"], ["no errors", ""], ["ValueError: bad", "error"], ["Traceback (most recent", "error"], ["step 1", ""]];
  for (const [line, is] of table) assert.equal(level(line), is, line);
});

test("The timeline puts attempts in one row, and the wait before the first", () => {
  const { nodes } = world().runs.get("uid-finetune-done");
  const list = rows(nodes, Date.now());
  const sft = list.find(({ id }) => id === "sft");
  assert.equal(sft.bars.length, 2);
  assert.ok(sft.bars[0].to <= sft.bars[1].from);
  assert.ok(sft.wait[1] > sft.wait[0] && sft.wait[1] === sft.bars[0].from);
  assert.equal(list.some(({ id }) => ["root", "tokenize", "evaluate-0"].includes(id)), false);
  assert.deepEqual(ticks(0, 60_000, 0, 6).map(([, at]) => at), [0, 10, 20, 30, 40, 50, 60]);
  assert.ok(ticks(0, 86400e3 * 400, 0, 8).length <= 9);
});

test("A failed run says which step failed, and not one that a retry mended", () => {
  const { runs } = world();
  const failed = runs.get("uid-finetune-failed");
  assert.equal(culprit(failed.nodes).id, "sft(1)");
  assert.equal(culprit(runs.get("uid-finetune-done").nodes), null);
  assert.match(headline({ ...failed, message: "child failed" }, failed.nodes), /^`sft` failed: exit code 1/);
  const asks = runs.get("uid-approve-release");
  assert.equal(headline(asks, asks.nodes), "`approve` waits for an answer.");
});

test("Nodes that the stream tells keep their children, and new ones hang under their parents", () => {
  const nodes = [{ id: "a", phase: "Running", children: ["b"] }, { id: "b", phase: "Running", children: [] }];
  const later = merge(nodes, [{ id: "b", phase: "Succeeded", parents: ["a"] }, { id: "c", phase: "Pending", parents: ["b", "gone"] }]);
  assert.deepEqual(later.map(({ id, phase, children }) => [id, phase, children]), [["a", "Running", ["b"]], ["b", "Succeeded", ["c"]], ["c", "Pending", []]]);
  assert.deepEqual(nodes[1].children, [], "what was given stays as it was");
});

test("The tree holds every node once, attempts under their retry, items under their loop", () => {
  const { nodes } = world().runs.get("uid-finetune-done");
  const list = tree(nodes, groups(nodes), new Set());
  assert.equal(list.length, nodes.filter(({ type }) => type !== "StepGroup").length);
  assert.equal(new Set(list.map(({ id }) => id)).size, list.length);
  const depth = (id) => list.find((row) => row.id === id).depth;
  assert.equal(depth("sft(1)"), depth("sft") + 1);
  assert.equal(depth("tokenize(2:shard-2)"), depth("tokenize") + 1);
  assert.equal(tree(nodes, groups(nodes), new Set(["tokenize"])).length, list.length - 16);
});

test("Pages of a log: what is seen is fetched once, what is left behind is given up, a grown page is fetched again", async () => {
  const asks = [];
  const waits = [];
  const fetch = (from, count, signal) => new Promise((resolve, reject) => {
    asks.push(from);
    waits.push({ from, resolve: (total) => resolve({ total, lines: Array.from({ length: Math.min(count, total - from) }, (_, at) => ({ n: from + at })) }) });
    signal.addEventListener("abort", () => reject(Object.assign(new Error(), { name: "AbortError" })));
  });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const pages = new Pages(fetch, () => {}, (error) => assert.fail(error));
  pages.total = 10_000;
  pages.want([0, 1, 499, 500]);
  pages.want([0, 500]);
  assert.deepEqual(asks, [0, 500]);
  pages.want([9000]);
  await settle();
  assert.deepEqual(asks, [0, 500, 9000]);
  waits[2].resolve(10_000);
  await settle();
  assert.equal(pages.line(9000).n, 9000);
  assert.equal(pages.line(0), undefined);
  pages.total = 9600;
  pages.want([9500]);
  waits.at(-1).resolve(9600);
  await settle();
  assert.equal(pages.line(9599).n, 9599);
  pages.total = 9700;
  pages.want([9599]);
  assert.equal(asks.at(-1), 9500);
  assert.equal(asks.length, 5);
});

// Relative luminance and contrast as WCAG 2.2 defines them.
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
const linear = (hex) => rgb(hex).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
const luminance = (hex) => linear(hex).reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
const contrast = (a, b) => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};
const themes = (() => {
  const blocks = [...readFileSync(join(web, "style/tokens.css"), "utf8").matchAll(/:root \{([^}]*)\}/g)];
  return blocks.map(([, body]) => Object.fromEntries([...body.matchAll(/--([\w-]+): (#[0-9a-f]{6})\b/g)].map(([, name, value]) => [name, value])));
})();
const PHASES = ["Pending", "Running", "Succeeded", "Failed", "Error", "Skipped", "Suspended"];

test("Every text tone keeps WCAG AA on every ground, in light and in dark", () => {
  assert.equal(themes.length, 2);
  for (const theme of themes) {
    for (const name of ["text", "dim", "accent", ...PHASES, "a1", "a2", "a3", "a4", "a5", "a6"]) {
      for (const ground of ["ground", "raised"]) assert.ok(contrast(theme[name], theme[ground]) >= 4.5, `${name} on ${ground}: ${contrast(theme[name], theme[ground]).toFixed(2)}`);
    }
    for (const ground of ["hover", "chosen"]) {
      for (const name of ["text", "dim", "accent", ...PHASES]) assert.ok(contrast(theme[name], theme[ground]) >= 4.5, `${name} on ${ground}: ${contrast(theme[name], theme[ground]).toFixed(2)}`);
    }
    assert.ok(contrast(theme["on-accent"], theme.accent) >= 4.5);
    assert.ok(contrast(theme.text, theme.match) >= 4.5);
    assert.ok(contrast(theme.edge, theme.ground) >= 3, "edges of controls");
  }
});

test("Phases that matter stay apart for colour-blind eyes", () => {
  // Machado, Oliveira and Fernandes 2009, severity 1, on linear light.
  const kinds = {
    protan: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    deutan: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    tritan: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
  };
  const lab = (light) => {
    const [x, y, z] = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]].map((row) => row.reduce((sum, value, at) => sum + value * light[at], 0));
    const f = (value) => (value > 0.008856 ? Math.cbrt(value) : 7.787 * value + 16 / 116);
    const [a, b, c] = [f(x / 0.9505), f(y), f(z / 1.089)];
    return [116 * b - 16, 500 * (a - b), 200 * (b - c)];
  };
  const pairs = [["Succeeded", "Failed"], ["Succeeded", "Error"], ["Running", "Failed"], ["Running", "Succeeded"], ["Failed", "Error"], ["Succeeded", "Suspended"], ["Running", "Suspended"]];
  for (const theme of themes) {
    for (const [kind, matrix] of Object.entries(kinds)) {
      const seen = (name) => lab(matrix.map((row) => Math.min(1, Math.max(0, row.reduce((sum, value, at) => sum + value * linear(theme[name])[at], 0)))));
      for (const [a, b] of pairs) {
        const apart = Math.hypot(...seen(a).map((value, at) => value - seen(b)[at]));
        assert.ok(apart > 10, `${a} and ${b} for ${kind}: ${apart.toFixed(1)}`);
      }
    }
  }
});

test("The page keeps its own rules: nothing from outside, nothing inline, no markup from text", () => {
  const files = (folder) => readdirSync(folder).flatMap((name) => (statSync(join(folder, name)).isDirectory() ? files(join(folder, name)) : [join(folder, name)]));
  for (const file of files(web).filter((name) => /\.(js|css|html)$/.test(name))) {
    const text = readFileSync(file, "utf8");
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\("style"/, file);
    assert.doesNotMatch(text.replaceAll("http://www.w3.org/2000/svg", ""), /https?:\/\/(?!127|localhost)[a-z]/, file);
    if (file.endsWith(".html")) assert.doesNotMatch(text, / style=|<script(?![^>]* src=)| on\w+=/, file);
    if (!file.endsWith(".html")) assert.match(text.trimStart(), /^(\/\/|\/\*|E)/, `${file} opens with what it is for`);
  }
});
