// What the page reads out of a manifest's text, and the same text as another kind.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { asSchedule, asTemplate, named, outline, quoted, scheduleOf } from "../../web/editor/manifest.js";

const TEXT = `# A comment that stays.
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  generateName: train-   # why
  labels: {a: b}
spec:
  entrypoint: main
  arguments:
    parameters:
    - name: epochs
      value: "3"
      description: 'How many, it''s'
    - name: model
      value: Qwen/Qwen3-0.6B # c
      enum: [a, "b, c", Qwen/Qwen3-0.6B]
    - {name: lr, value: 1e-4}
    -
      name: late
      enum:
        - x
        - y
    - name: script
      value: |
        kind: no
          b: c

  templates:
    - name: main
      script:
        source: |
          kind: no
`;

test("parameters are read in block and flow style, quoted and plain, with enums and blocks", () => {
  const { kind, generated, parameters } = outline(TEXT);
  assert.equal(kind, "Workflow");
  assert.equal(generated, "train-");
  assert.deepEqual(parameters.map((p) => [p.name, p.value, p.enum]), [
    ["epochs", "3", null], ["model", "Qwen/Qwen3-0.6B", ["a", "b, c", "Qwen/Qwen3-0.6B"]], ["lr", "1e-4", null], ["late", null, ["x", "y"]], ["script", "kind: no\n  b: c", null],
  ]);
  assert.equal(parameters[0].description, "How many, it's");
});

test("only the first document counts, and only the workflow's own arguments", () => {
  const text = "---\nkind: CronWorkflow\nmetadata: \n  name: n\nspec:\n  workflowSpec:\n    arguments:\n      parameters:\n        - name: a\n          value: 1\n---\nkind: Workflow\n";
  assert.deepEqual([outline(text).kind, outline(text).parameters.map((p) => p.name)], ["CronWorkflow", ["a"]]);
  const inner = "kind: Workflow\nspec:\n  templates:\n    - name: x\n      dag:\n        tasks:\n          - name: y\n            arguments:\n              parameters:\n                - name: inner\n";
  assert.deepEqual(outline(inner).parameters, []);
});

test("half-typed and wild text never throws", () => {
  for (let cut = 0; cut < TEXT.length; cut += 3) outline(TEXT.slice(0, cut));
  for (const wild of ["", "{", "- - -", "{\"kind\": \"Workflow\"}", "a:\n\t- b", "kind: [", "spec:\n  arguments:\n    parameters: x", "__proto__: 1\nkind: x", ":::", "- {", "\0"]) outline(wild);
});

test("every example of the repository keeps its name through the outline", () => {
  const folder = new URL("../../workflows/", import.meta.url);
  for (const file of readdirSync(folder).filter((f) => f.endsWith(".yaml"))) {
    const { kind, name, generated } = outline(readFileSync(new URL(file, folder), "utf8"));
    assert.ok(kind && (name || generated), file);
  }
});

test("a run's manifest becomes a template: another kind, a name, the rest as it was", () => {
  const text = asTemplate(TEXT, "train");
  assert.match(text, /^kind: WorkflowTemplate$/m);
  assert.match(text, /^metadata:\n {2}name: train\n {2}labels: \{a: b\}$/m);
  assert.ok(!text.includes("generateName"));
  assert.ok(text.startsWith("# A comment that stays."));
  assert.ok(text.includes("          kind: no\n"), "text in scripts is left alone");
});

test("a run's manifest becomes a schedule, its spec two deeper", () => {
  const text = asSchedule(TEXT, "nightly", { cron: "0 6 * * *", timezone: "Europe/Paris", policy: "Forbid" });
  assert.ok(text.includes('kind: CronWorkflow\nmetadata:\n  name: nightly\n'));
  assert.ok(text.includes('spec:\n  schedules:\n    - "0 6 * * *"\n  timezone: Europe/Paris\n  concurrencyPolicy: Forbid\n  workflowSpec:\n    entrypoint: main\n'));
  assert.deepEqual(outline(text).parameters, outline(TEXT).parameters);
});

test("what cannot be rewritten line by line is refused in words", () => {
  for (const text of ["{}", "kind: Workflow\n", `${TEXT}---\nkind: Workflow\n`, "kind: Workflow\nmetadata: {name: x}\nspec:\n  a: b\n"]) assert.throws(() => asTemplate(text, "x"), /block style/);
});

test("a schedule of a stored template names it, with parameters quoted", () => {
  const text = scheduleOf("train", true, "train-daily", { cron: "@daily", timezone: "", policy: "Forbid" }, { lr: "1e-4", note: 'a "b": c' });
  assert.ok(text.includes("workflowTemplateRef:\n      name: train\n      clusterScope: true\n"));
  assert.ok(text.includes('value: "a \\"b\\": c"'));
  assert.deepEqual(outline(text).parameters.map((p) => p.value), ["1e-4", 'a "b": c']);
});

test("names are made fit, scalars quoted where they could mean something else", () => {
  for (const [text, wanted] of [["My Pipeline!", "my-pipeline"], ["-a.-", "a"], ["train-", "train"], ["x".repeat(99), "x".repeat(63)], ["é", ""]]) assert.equal(named(text), wanted);
  for (const [text, wanted] of [["main", "main"], ["true", '"true"'], ["3", '"3"'], ["a: b", '"a: b"'], ["Europe/Paris", "Europe/Paris"], [" x", '" x"'], ["n", '"n"']]) assert.equal(quoted(text), wanted);
});
