// Families of models, evaluations side by side, and the events of an answer.

import assert from "node:assert/strict";
import test from "node:test";
import { events, piece } from "../../web/deployments/sse.js";
import { table, tree } from "../../web/models/family.js";

const model = (id, parents = [], more = {}) => ({ id, name: "m", version: id, sha256: `hash-${id}`, parents: parents.map((p) => ({ id: p, role: "model" })), ...more });

test("children stand below their first parent that is there", () => {
  const family = [model(1), model(2, [1]), model(3, [2]), model(4, [1]), model(5, [9]), model(6, [6])];
  assert.deepEqual(tree(family).map(({ item, depth }) => [item.id, depth]), [[1, 0], [2, 1], [3, 2], [4, 1], [5, 0], [6, 0]]);
});

test("each evaluation is a row, each metric a column, and what was not measured stays empty", () => {
  const run = { name: "r" };
  const { names, rows } = table([
    { sha256: "hash-1", adapterSha256: null, template: "before", run, metrics: { score: 0.5 } },
    { sha256: "hash-1", adapterSha256: "hash-2", template: "after", run, metrics: { score: 0.7, loss: 1 } },
    { sha256: "unknown-model", adapterSha256: null, template: "x", run, metrics: {} },
  ], [model(1), model(2)], "hash-2");
  assert.deepEqual(names, ["loss", "score"]);
  assert.deepEqual(rows.map((r) => [r.words, r.template, r.here]), [["m:v1", "before", false], ["m:v2", "after", true], ["unknown-", "x", false]]);
  assert.deepEqual(rows.map((r) => r.values), [[undefined, 0.5], [1, 0.7], [undefined, undefined]]);
});

test("events are taken whole, however the text was cut", () => {
  const text = 'data: {"choices":[{"delta":{"content":"a"}}]}\n\n: ping\n\ndata: {"choices":[{"delta":{"reasoning_content":"b"}}]}\r\n\r\ndata: [DONE]\n\n';
  for (let cut = 0; cut <= text.length; cut++) {
    const first = events(text.slice(0, cut)), second = events(first.rest + text.slice(cut));
    assert.equal([...first.data, ...second.data].map(piece).join(""), "ab");
    assert.equal(second.rest, "");
  }
});
