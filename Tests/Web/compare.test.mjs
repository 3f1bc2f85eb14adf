// The verdict on two evaluated models, and series of metrics as charts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { lessIsBetter, paired, probability, signed, verdict } from "../../web/compare/paired.js";
import { metricRows } from "../../web/compare/rows.js";
import { charts, nodeNames } from "../../web/charts/series.js";

const task = (name, values, errors, metric = "accuracy") => ({ task: name, metric, values, errors });

test("the normal distribution's tail agrees with tables", () => {
  for (const [z, p] of [[0, 1], [1, 0.317311], [1.959964, 0.05], [-2.575829, 0.01], [3.290527, 0.001]]) assert.ok(Math.abs(probability(z) - p) < 1e-6, `${z}`);
});

test("a difference beyond its error is better, one within is chance", () => {
  const clear = paired([task("a", [0.5, 0.6], [0.01, 0.01]), task("b", [0.4, 0.5], [0.01, 0.01])], 0, 1);
  assert.deepEqual([clear.tasks, clear.better, clear.worse], [2, 2, 0]);
  assert.ok(Math.abs(clear.mean - 0.1) < 1e-12 && Math.abs(clear.error - 0.01) < 1e-12);
  assert.match(verdict(clear, "old", "new"), /^new is better than old: \+0\.1 ± 0\.02 on average over 2 tasks.*p < 0\.001/);
  const noise = paired([task("a", [0.5, 0.51], [0.02, 0.02])], 0, 1);
  assert.match(verdict(noise, "old", "new"), /cannot be told apart.*the one task/);
});

test("where less is better the sign is turned, and a worse model is called worse", () => {
  const test = paired([task("wiki", [10, 12], [0.1, 0.1], "perplexity")], 0, 1);
  assert.ok(test.mean < 0);
  assert.match(verdict(test, "old", "new"), /new is worse than old: −2/);
  for (const [name, less] of [["eval/loss", true], ["word_perplexity", true], ["accuracy", false], ["exact_match", false]]) assert.equal(lessIsBetter(name), less, name);
});

test("without errors of both nothing is said about chance", () => {
  assert.equal(paired([task("a", [0.5, 0.6], [null, 0.1]), task("b", [null, 1], [0.1, 0.1]), { task: "c", metric: "m", values: [1, 2] }], 0, 1), null);
  assert.match(verdict(null, "a", "b"), /nothing can be said/);
});

test("exact values have a verdict, too", () => {
  assert.match(verdict(paired([task("a", [1, 1], [0, 0])], 0, 1), "a", "b"), /cannot be told apart/);
  assert.match(verdict(paired([task("a", [1, 2], [0, 0])], 0, 1), "a", "b"), /is better/);
  assert.equal(signed(-0.01234), "−0.012");
});

const series = (node, name, steps, values, more = {}) => ({ node, nodeName: node, attempt: 1, name, steps, values, times: steps.map((s) => 1_000_000 + s * 1000), ...more });
const loaded = (uid, list, checkpoints = []) => ({ uid, name: uid, metrics: { series: list, checkpoints } });

test("runs overlaid keep their look in every chart; loss comes first", () => {
  const all = charts([loaded("a", [series("n", "lr", [1, 2], [1, 2]), series("n", "loss", [1, 2], [3, 4])]), loaded("b", [series("n", "loss", [1, 2], [5, 6])])]);
  assert.deepEqual(all.map((c) => c.name), ["loss", "lr"]);
  assert.deepEqual(all[0].series.map((s) => [s.name, s.look]), [["a", 0], ["b", 1]]);
  assert.equal(all[1].series[0].look, 0);
});

test("on the time axis runs begin together, and checkpoints stand at their step's time", () => {
  const late = series("n", "loss", [0, 10, 20], [3, 2, 1], { times: [9_000_000, 9_005_000, 9_010_000] });
  const [chart] = charts([loaded("a", [late], [{ node: "n", step: 10 }, { node: "other", step: 0 }])], { axis: "time" });
  assert.deepEqual(chart.series[0].xs, [0, 5, 10]);
  assert.deepEqual(chart.marks, [5]);
});

test("steps that come again after a resume are there once, the later value wins", () => {
  const [chart] = charts([loaded("a", [series("n", "loss", [1, 2, 3, 2, 3, 4], [9, 9, 9, 5, 4, 3])])]);
  assert.deepEqual([chart.series[0].xs, chart.series[0].ys], [[1, 2, 3, 4], [9, 5, 4, 3]]);
});

test("a column that most lines lack is joined; one that sometimes lacks a value has gaps", () => {
  const [gaps, rare] = charts([loaded("a", [series("n", "loss", [1, 2, 3, 4], [1, null, 3, NaN]), series("n", "z", [1, 2, 3, 4, 5], [7, null, null, null, 8])])]);
  assert.deepEqual(gaps.series[0].ys, [1, null, 3, null]);
  assert.deepEqual([rare.series[0].xs, rare.series[0].ys], [[1, 5], [7, 8]]);
});

test("steps come in the order in which they began, and one that was not tried again is called without a number", () => {
  const at = (node, nodeName, time) => series(node, "loss", [1], [1], { nodeName, times: [time] });
  const names = (...list) => charts([loaded("a", list)])[0].series.map((s) => s.name);
  assert.deepEqual(names(at("z", "dpo(0)", 3000), at("y", "pretrain(0)", 1000), at("x", "sft(0)", 2000)), ["pretrain", "sft", "dpo"]);
  assert.deepEqual(names(at("x", "sft(1)", 2000), at("y", "sft(0)", 1000), at("z", "try(0:a)", 3000)), ["sft(0)", "sft(1)", "try(0:a)"]);
});

test("charts may be of one step or of names with a word; attempts and steps are told apart", () => {
  const list = [series("n", "loss", [1], [1]), series("n", "loss", [1], [1], { attempt: 2 }), series("m", "acc", [1], [1])];
  assert.deepEqual(charts([loaded("a", list)]).find((c) => c.name === "loss").series.map((s) => s.name), ["n · attempt 1", "n · attempt 2"]);
  assert.deepEqual(charts([loaded("a", list)], { node: "m" }).map((c) => c.name), ["acc"]);
  assert.deepEqual(charts([loaded("a", list)], { filter: "LOS" }).map((c) => c.name), ["loss"]);
  assert.deepEqual(nodeNames([loaded("a", list)]), ["m", "n"]);
});

test("runs of one step, which bear their run's name, are compared in one row", () => {
  const metric = (node, values) => ({ name: "loss", node, values, best: values });
  const rows = metricRows([metric("run-a", [1, null]), metric("run-b", [null, 2]), metric("sft", [3, 4])], [{ name: "run-a" }, { name: "run-b" }]);
  assert.deepEqual(rows.map((r) => [r.node, r.values, r.best]), [["", [1, 2], [1, 2]], ["sft", [3, 4], [3, 4]]]);
  assert.deepEqual(nodeNames([loaded("run-a", [series("run-a", "loss", [1], [1])])]), []);
});
