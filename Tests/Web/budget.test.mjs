// What a reader's browser fetches for each address of the page, uncompressed: the frame, the view and all that they
// import. A view that outgrows the budget is found here, before it is felt on a slow line.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import test from "node:test";

const WEB = resolve(import.meta.dirname, "../../web");
const BUDGET = 150_000; // bytes
const PANEL = 30_000; // bytes on top that a chosen step may bring

/** Files that a file needs at once: static imports, awaited sheets, links and scripts of a document. */
function needs(file) {
  if (!/\.(js|html)$/.test(file)) return [];
  const text = readFileSync(file, "utf8");
  const at = (address) => (address.startsWith("/") ? join(WEB, address) : resolve(dirname(file), address));
  const patterns = file.endsWith(".html")
    ? [/(?:href|src)="([^"]+)"/g]
    : [/^(?:import|export)[^;]*?from "([^"]+)"/gm, /^import "([^"]+)"/gm, /\bsheet\("([^"]+)"\)/g];
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => at(match[1])));
}

function closure(...files) {
  const seen = new Set();
  const open = [...files];
  while (open.length) {
    const file = open.pop();
    if (!seen.has(file)) open.push(...(seen.add(file), needs(file)));
  }
  return seen;
}

const bytes = (files) => [...files].reduce((sum, file) => sum + readFileSync(file).length, 0);
const matches = (file, pattern) => [...readFileSync(join(WEB, file), "utf8").matchAll(pattern)].map((match) => match[1]);

const frame = join(WEB, "index.html");
const views = matches("app.js", /^ {2}\["\/[^"]*", "([^"]+)", "m-/gm).map((name) => join(WEB, `${name}.js`));
const tabs = matches("run/run.js", /: "(\/[a-z]+\/[a-z]+\.js)"/g).map((address) => join(WEB, address));

test("The views and the tabs of a run are found", () => {
  assert.ok(views.length >= 11, `${views.length} views`);
  assert.ok(tabs.length >= 8, `${tabs.length} tabs`);
});

for (const view of views) {
  test(`${view.slice(WEB.length)} is fetched with at most ${BUDGET} bytes`, (context) => {
    const sum = bytes(closure(frame, view));
    context.diagnostic(`${sum} bytes`);
    assert.ok(sum <= BUDGET, `${sum} bytes`);
  });
}

for (const tab of new Set(tabs)) {
  test(`A run at ${tab.slice(WEB.length)} is fetched with at most ${BUDGET} bytes, its panel of a step when one is chosen`, (context) => {
    const opened = closure(frame, join(WEB, "run/run.js"), tab);
    const chosen = closure(...opened, join(WEB, "node/node.js"));
    context.diagnostic(`${bytes(opened)} bytes, ${bytes(chosen)} with the panel`);
    assert.ok(bytes(opened) <= BUDGET, `${bytes(opened)} bytes`);
    assert.ok(bytes(chosen) <= BUDGET + PANEL, `${bytes(chosen)} bytes with the panel`);
  });
}

test("No file is fetched by nothing", () => {
  const used = closure(frame, ...views, ...tabs, join(WEB, "node/node.js"), join(WEB, "help/help.js"),
    join(WEB, "signin/signin.js"));
  const all = readdirSync(WEB, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(js|css)$/.test(entry.name)).map((entry) => join(entry.parentPath, entry.name));
  assert.deepEqual(all.filter((file) => !used.has(file)), []);
});
