// Chart maths: scales, ticks, smoothing and paths, against values worked out by hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as chart from "../../web/lib/chart-math.js";

test("ticks are round, within the range and free of binary dust", () => {
  for (const [low, high, wanted] of [
    [0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]], [0, 100, [0, 20, 40, 60, 80, 100]], [-1, 1, [-1, -0.5, 0, 0.5, 1]],
    [0.00012, 0.00019, [0.00012, 0.00014, 0.00016, 0.00018]], [5, 5, [5]],
    [1e9, 3e9, [1e9, 1.5e9, 2e9, 2.5e9, 3e9]],
  ]) assert.deepEqual(chart.ticks(low, high), wanted, `${low}..${high}`);
});

test("log ticks are powers of ten, finer within one or two, thinned over many", () => {
  assert.deepEqual(chart.logTicks(0.001, 10), [0.001, 0.01, 0.1, 1, 10]);
  assert.deepEqual(chart.logTicks(1, 10), [1, 2, 5, 10]);
  assert.ok(chart.logTicks(1e-20, 1e20).length <= 6);
  assert.ok(chart.logTicks(3, 4).length >= 2);
});

test("time ticks fall on minutes and hours", () => {
  assert.deepEqual(chart.timeTicks(0, 600), [0, 120, 240, 360, 480, 600]);
  assert.deepEqual(chart.timeTicks(0, 7200), [0, 1800, 3600, 5400, 7200]);
  assert.deepEqual(chart.timeTicks(0, 10 * 86400).map((t) => t / 86400), [0, 2, 4, 6, 8, 10]);
});

test("the extent leaves out gaps, and on a log scale what is not positive", () => {
  assert.deepEqual(chart.extent([[3, null, -2], [NaN, 7]]), [-2, 7]);
  assert.deepEqual(chart.extent([[3, null, -2, 0], [7]], true), [3, 7]);
  assert.equal(chart.extent([[null]]), null);
});

test("a padded range has air, for constants and on a log scale too", () => {
  assert.deepEqual(chart.padded([0, 100]), [-5, 105]);
  assert.deepEqual(chart.padded([0, 0]), [-1, 1]);
  const [low, high] = chart.padded([1, 1], true);
  assert.ok(low > 0 && low < 1 && high > 1);
});

test("a scale maps both ways; what a log scale cannot show is a gap", () => {
  const x = chart.scale(0, 10, 50, 150), y = chart.scale(0.01, 100, 200, 0, true);
  assert.equal(x(5), 100);
  assert.equal(x.invert(100), 5);
  assert.ok(Math.abs(y(1) - 100) < 1e-9);
  assert.ok(Math.abs(y.invert(100) - 1) < 1e-9);
  assert.ok(Number.isNaN(y(0)));
  assert.equal(chart.scale(4, 4, 0, 10)(4), 0);
});

test("smoothing has its start's bias taken out and leaves gaps alone", () => {
  const values = [1, 2, null, 4];
  // s1 = .5, s2 = 1.25, s3 = 2.625, divided by 1/2, 3/4, 7/8.
  const wanted = [1, 1.25 / 0.75, null, 2.625 / 0.875];
  chart.smooth(values, 0.5).forEach((v, i) => (wanted[i] === null ? assert.equal(v, null) : assert.ok(Math.abs(v - wanted[i]) < 1e-12)));
  assert.equal(chart.smooth(values, 0), values);
  assert.ok(chart.smooth(Array(50).fill(3), 0.99).every((v) => Math.abs(v - 3) < 1e-9), "a constant stays itself");
});

test("the nearest point is found at both ends and between", () => {
  for (const [x, index] of [[-5, 0], [0, 0], [0.4, 0], [0.6, 1], [2.4, 2], [99, 3]]) assert.equal(chart.nearest([0, 1, 2, 10], x), index, `${x}`);
  assert.equal(chart.nearest([], 1), -1);
});

test("a path lifts its pen at gaps and draws a lone point as a dot", () => {
  const one = (v) => v;
  assert.equal(chart.path([0, 1, 2, 3, 4], [0, 1, null, 3, null], one, one), "M0 0L1 1M1.5 3h3");
  assert.equal(chart.path([0, 1], [null, NaN], one, one), "");
});

test("losses come first, then scores, then the rest", () => {
  assert.deepEqual(chart.byInterest(["lr", "eval/accuracy", "eval/loss", "loss", "grad_norm"]), ["loss", "eval/loss", "eval/accuracy", "grad_norm", "lr"]);
});

test("ten series of a thousand points are smoothed and turned into paths within a frame", () => {
  const xs = Array.from({ length: 1000 }, (_, i) => i), ys = xs.map((x) => Math.exp(-x / 300) + Math.sin(x) / 20);
  const x = chart.scale(0, 999, 0, 600), y = chart.scale(0, 1.1, 200, 0);
  const once = () => { for (let s = 0; s < 10; s++) chart.path(xs, chart.smooth(ys, 0.9), x, y); };
  for (let i = 0; i < 20; i++) once();
  const begun = process.cpuUsage();
  for (let i = 0; i < 20; i++) once();
  const spent = process.cpuUsage(begun);
  // Processor time, not the wall's, and an eighth of a second's leeway would not hide a quadratic loop.
  assert.ok((spent.user + spent.system) / 20_000 < 16, `${(spent.user + spent.system) / 20_000} ms`);
});
