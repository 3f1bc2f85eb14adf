// Lines of charts stand out from their ground, and from each other by dash where colours look alike to some eyes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const read = (file) => readFileSync(new URL(`../../web/${file}`, import.meta.url), "utf8");
const linear = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
const luminance = (hex) => linear(hex).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => { const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y); return (high + 0.05) / (low + 0.05); };

test("every line's colour keeps 4.5 : 1 on the ground, light and dark", () => {
  for (const [index, scheme] of ["light", "dark"].entries()) {
    const ground = [...read("style/tokens.css").matchAll(/--ground: (#\w{6})/g)][index][1];
    const colors = [...read("lib/chart.css").matchAll(/--c\d: (#\w{6})/g)].slice(index * 8, index * 8 + 8).map((m) => m[1]);
    assert.equal(new Set(colors).size, 8);
    for (const color of colors) assert.ok(contrast(color, ground) >= 4.5, `${color} on ${ground} in ${scheme}: ${contrast(color, ground).toFixed(2)}`);
  }
});

test("thirty-two lines have thirty-two looks, and neighbours never the same dash", () => {
  const source = /export const look = (.*);/.exec(read("lib/chart.js"))[1], look = new Function(`return ${source}`)();
  const looks = Array.from({ length: 32 }, (_, i) => look(i));
  assert.equal(new Set(looks).size, 32);
  for (let i = 1; i < 32; i++) assert.notEqual(looks[i].slice(3), looks[i - 1].slice(3), `${i}`);
});
