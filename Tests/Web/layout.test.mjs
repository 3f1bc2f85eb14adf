// The graph's model and layout: what a picture of a run may never do wrong, over drawn graphs of many shapes.

import assert from "node:assert/strict";
import test from "node:test";
import { isotonic, layout, SIZE } from "../../web/graph/layout.js";
import { criticalPath, foldedAtFirst, graph, groups, loopOf, shape } from "../../web/graph/model.js";
import { world } from "./fake_world.mjs";

function random(seed) {
  return () => ((seed = (seed * 1664525 + 1013904223) % 4294967296) / 4294967296);
}

/** A drawn graph without circles; every thirtieth seed adds one. */
function drawn(seed) {
  const draw = random(seed);
  const count = 1 + Math.floor(draw() * 60);
  const vertices = Array.from({ length: count }, (_, index) => ({ id: `v${index}`, dot: draw() < 0.1 }));
  const edges = [];
  for (let to = 1; to < count; to++) for (let k = Math.floor(draw() * 3); k > 0; k--) edges.push([Math.floor(draw() * to), to]);
  if (seed % 30 === 0 && count > 2) edges.push([count - 1, 0]);
  return { vertices, edges };
}

test("No two nodes of a layer overlap, and nothing lies outside of the picture", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const { vertices, edges } = drawn(seed);
    const plan = layout(vertices, edges);
    for (const list of plan.layers) {
      const sorted = [...list].sort((a, b) => plan.y[a] - plan.y[b]);
      assert.deepEqual(sorted, list, "a layer's order is the order of its heights");
      for (let index = 1; index < list.length; index++) {
        const height = (at) => (vertices[at].dot ? SIZE.dot : SIZE.height);
        const gap = plan.y[list[index]] - plan.y[list[index - 1]] - (height(list[index]) + height(list[index - 1])) / 2;
        assert.ok(gap > SIZE.gapY - 0.01, `seed ${seed}: gap ${gap}`);
      }
    }
    for (const at of vertices.keys()) {
      assert.ok(Number.isFinite(plan.x[at]) && plan.y[at] >= 0 && plan.y[at] <= plan.height && plan.x[at] <= plan.width);
    }
    assert.equal(plan.layers.flat().length, vertices.length);
  }
});

test("An edge always leads to a later layer, but for those that close a circle", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const { vertices, edges } = drawn(seed);
    const { layer } = layout(vertices, edges);
    const wrong = edges.filter(([from, to]) => layer[from] >= layer[to]);
    assert.ok(wrong.length <= (seed % 30 === 0 ? 1 : 0), `seed ${seed}: ${JSON.stringify(wrong)}`);
  }
});

test("The same graph gives the same picture, and a chain is straight", () => {
  const { vertices, edges } = drawn(77);
  assert.deepEqual(layout(vertices, edges), layout(vertices, edges));
  const chain = layout([{}, {}, {}, {}], [[0, 1], [1, 2], [2, 3]]);
  assert.equal(new Set(chain.y).size, 1);
});

test("A graph of four thousand nodes is laid out well under a second", () => {
  const { nodes } = world().runs.get("uid-big-4000");
  const grouping = groups(nodes);
  const { vertices, edges } = graph(nodes, grouping, new Set());
  const begin = process.cpuUsage();
  layout(vertices, edges);
  const { user } = process.cpuUsage(begin);
  assert.equal(vertices.length, 4000);
  assert.ok(user < 1_000_000, `${user} µs`);
});

test("The nearest sequence that never falls", () => {
  assert.deepEqual(isotonic([1, 3, 2, 4]), [1, 2.5, 2.5, 4]);
  assert.deepEqual(isotonic([3, 2, 1]), [2, 2, 2]);
  assert.deepEqual(isotonic([]), []);
});

const named = ({ vertices }, id) => vertices.find((vertex) => vertex.id === id);
const finetune = () => world().runs.get("uid-finetune-done").nodes;

test("A long loop is one node with counts until it is unfolded, and edges lead through it", () => {
  const nodes = finetune();
  const grouping = groups(nodes);
  const folded = foldedAtFirst(nodes, grouping);
  assert.deepEqual([...folded], ["tokenize"]);
  const small = graph(nodes, grouping, folded);
  assert.equal(named(small, "tokenize").counts.Succeeded, 16);
  assert.equal(named(small, "tokenize(3:shard-3)"), undefined);
  const edge = small.edges.map(([from, to]) => `${small.vertices[from].id} ${small.vertices[to].id}`);
  assert.ok(edge.includes("download tokenize") && edge.includes("tokenize sft"));
  const large = graph(nodes, grouping, new Set());
  assert.equal(large.vertices.length, small.vertices.length + 16);
});

test("Attempts are folded into their retry node, and step groups dissolve", () => {
  const nodes = finetune();
  const all = graph(nodes, groups(nodes), new Set());
  assert.equal(named(all, "sft").attempts, 2);
  assert.equal(named(all, "sft(1)"), undefined);
  assert.equal(named(all, "evaluate-0"), undefined);
  const edge = all.edges.map(([from, to]) => `${all.vertices[from].id} ${all.vertices[to].id}`);
  assert.ok(edge.includes("evaluate gsm8k") && edge.includes("gsm8k quantize"));
});

test("A folded template hides what it holds, and its followers hang on it", () => {
  const nodes = finetune();
  const grouping = groups(nodes);
  const folded = graph(nodes, grouping, new Set(["evaluate"]));
  assert.equal(named(folded, "mmlu"), undefined);
  assert.ok(folded.edges.some(([from, to]) => folded.vertices[from].id === "evaluate" && folded.vertices[to].id === "quantize"));
});

test("A change of phase alone does not change the shape", () => {
  const nodes = finetune();
  const before = shape(graph(nodes, groups(nodes), new Set()));
  const later = nodes.map((node) => ({ ...node, phase: "Failed" }));
  assert.equal(shape(graph(later, groups(later), new Set())), before);
  const less = nodes.slice(0, -1);
  assert.notEqual(shape(graph(less, groups(less), new Set())), before);
});

test("The critical path goes back through what ended last", () => {
  const nodes = finetune();
  const grouping = groups(nodes);
  const path = criticalPath(graph(nodes, grouping, foldedAtFirst(nodes, grouping)), Date.now());
  assert.deepEqual([...path], ["report.onExit", "quantize", "hellaswag", "evaluate", "sft", "tokenize", "download", "root"]);
});

test("Items of loops are known by their names", () => {
  const rows = [["train(0:a)", "train"], ["train(12:lr:1,seed:2)", "train"], ["train(3)", "train"], ["train", null], ["train(final)", null], ["a(0:x(1))", "a"]];
  for (const [displayName, loop] of rows) assert.equal(loopOf({ displayName }), loop, displayName);
});

test("Nodes whose parents are not there yet are no reason to stumble", () => {
  const lost = [{ id: "a", displayName: "a", type: "Pod", phase: "Running", boundary: "gone", children: ["b", "missing"] }];
  const made = graph(lost, groups(lost), new Set());
  assert.equal(made.vertices.length, 1);
  assert.equal(made.edges.length, 0);
});
