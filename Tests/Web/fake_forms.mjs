// The fake server's answers for metrics, compare, pipelines, schedules, the editor and settings.

const OWN = "/api/martlet/v1";
const route = (method, pattern, answer) => [method, new RegExp(`^${pattern.replace(/:\w+/g, "([^/]+)")}$`), answer];
const HOUR = 3600_000;
const stamp = (ms) => new Date(ms).toISOString();

/** A learning curve that differs from run to run, with noise that is the same each time. */
function curve(seed, n, from, to, noise) {
  let state = seed * 7919 + 17;
  const draw = () => ((state = (state * 1664525 + 1013904223) % 4294967296) / 4294967296);
  return Array.from({ length: n }, (_, i) => to + (from - to) * Math.exp((-5 * i) / n) + (draw() - 0.5) * noise);
}

function metricsOf(run, index, points, grown) {
  const start = Date.parse(run.startedAt ?? run.createdAt), n = run.phase === "Running" ? Math.floor(points * 0.45) + grown : points;
  const steps = Array.from({ length: n }, (_, i) => i * 10), times = steps.map((s) => start + s * 260);
  const seed = index + 1, series = (name, values, node = "sft(1)", nodeName = "sft") => ({ node, nodeName, attempt: 1, name, steps, values, times });
  const loss = curve(seed, n, 4.1, 1.3 + seed * 0.04, 0.28).map((v, i) => (i > 300 && i < 318 ? null : v));
  return {
    series: [
      series("learning_rate", steps.map((s) => 3e-4 * Math.min(1, s / 500) * (0.55 + 0.45 * Math.cos((Math.PI * s) / (points * 10))))),
      series("loss", loss), series("grad_norm", curve(seed + 40, n, 9, 0.8, 0.9).map((v) => Math.abs(v))),
      series("eval/loss", curve(seed + 20, n, 4, 1.42, 0.02).map((v, i) => (i % 50 === 0 ? v : null))),
      series("eval/accuracy", curve(seed + 30, n, 0.24, 0.61 - seed * 0.01, 0.02)),
      series("tokens_per_second", curve(seed + 50, n, 12_000, 18_400, 900)),
    ],
    names: ["loss"], checkpoints: [100, 400, 700, 1000].map((i) => ({ node: "sft(1)", step: i * 10 })).filter((c) => c.step < n * 10),
  };
}

const YAML = (kind, name, more = "") => `apiVersion: argoproj.io/v1alpha1
kind: ${kind}
metadata:
  name: ${name}
spec:
${more}  entrypoint: main
  arguments:
    parameters:
      - name: model
        value: Qwen/Qwen3-0.6B
        enum: [Qwen/Qwen3-0.6B, Qwen/Qwen3-1.7B]
        description: What is fine-tuned.
      - name: epochs
        value: "3"
  templates:
    - name: main
      script:
        image: martlet/steps
        command: [sh]
        source: |
          # not a comment of the manifest
          echo {{workflow.parameters.model}}
`;

const PARAMETERS = [
  { name: "model", value: "Qwen/Qwen3-0.6B", enum: ["Qwen/Qwen3-0.6B", "Qwen/Qwen3-1.7B"], description: "What is fine-tuned." },
  { name: "epochs", value: "3", enum: null, description: "Passes over the data set." },
  { name: "learning_rate", value: "1e-4", enum: null, description: "Peak of the schedule." },
  { name: "data", value: null, enum: null, description: "Data set on the hub or a path. It has no default." },
];

export function routes(fake, { fail }) {
  const { world } = fake, now = Date.now();
  const ofPipeline = (name) => [...world.runs.values()].filter((r) => r.pipeline === name).sort((a, b) => a.createdAt.localeCompare(b.createdAt)).slice(-20);
  const pipelines = new Map(process.argv.includes("--empty") ? [] : [
    ["finetune-qwen", "Fine-tune a Qwen model with LoRA, evaluate, quantize."], ["nightly-eval", "Score the newest checkpoint on all tasks."],
    ["tokenize-corpus", ""], ["quantize-release", "GPTQ and AWQ of a release candidate, with perplexity before and after."], ["unused", ""],
  ].map(([name, description], i) => [name, {
    namespace: "default", name, cluster: name === "tokenize-corpus", description, parameters: i < 2 ? PARAMETERS : [], generation: 7 - i, updatedAt: stamp(now - i * 31 * HOUR),
    medianSeconds: name === "unused" ? null : 2650 / (i + 1), yaml: YAML("WorkflowTemplate", name), templates: [{ name: "main", kind: "dag" }, { name: "sft", kind: "container" }, { name: "eval", kind: "container" }],
  }]));
  const shownPipeline = (p) => ({ ...p, runs: ofPipeline(p.name).map((r) => ({ uid: r.uid, name: r.name, phase: r.phase, seconds: r.finishedAt ? (Date.parse(r.finishedAt) - Date.parse(r.startedAt)) / 1000 : null, startedAt: r.startedAt })) });
  const schedule = (name, words, cron, firstIn, everyHours, more = {}) => [name, {
    namespace: "default", name, schedules: [cron], timezone: "Europe/Paris", words, next: Array.from({ length: 10 }, (_, i) => stamp(now + firstIn + i * everyHours * HOUR)), suspended: false, stopped: false,
    concurrencyPolicy: "Forbid", lastScheduledAt: stamp(now - HOUR), lateSeconds: null, active: [], succeeded: 41, failed: 3, conditions: [], yaml: YAML("CronWorkflow", name, `  schedules: ["${cron}"]\n  timezone: Europe/Paris\n  workflowSpec:\n`).replace(/\n {2}(entrypoint|arguments|templates)/g, "\n    $1"),
    runs: ofPipeline("nightly-eval").slice(-10).map((r) => ({ uid: r.uid, name: r.name, phase: r.phase, scheduledAt: r.createdAt })), ...more,
  }];
  const schedules = new Map(process.argv.includes("--empty") ? [] : [
    schedule("nightly-eval", "every day at 06:00 (Europe/Paris)", "0 6 * * *", 3.3 * HOUR, 24), schedule("hourly-ingest", "every hour at minute 15 (Europe/Paris)", "15 * * * *", 0.4 * HOUR, 1, { lateSeconds: 780 }),
    schedule("weekly-report", "every Monday at 09:30 (Europe/Paris)", "30 9 * * 1", 60 * HOUR, 168, { suspended: true, runs: [] }), schedule("refresh-index", "every 15 minutes (UTC)", "*/15 * * * *", 300_000, 0.25, { active: ["refresh-index-1"] }),
  ]);
  const tokens = process.argv.includes("--empty") ? [] : [
    { id: "t1", name: "ada", roles: { "*": "admin" }, createdAt: stamp(now - 90 * 24 * HOUR), expiresAt: null, lastUsedAt: stamp(now - 60_000), revokedAt: null },
    { id: "t2", name: "ci", roles: { default: "editor", "team-a": "viewer" }, createdAt: stamp(now - 9 * 24 * HOUR), expiresAt: stamp(now + 81 * 24 * HOUR), lastUsedAt: stamp(now - 3 * HOUR), revokedAt: null },
    { id: "t3", name: "old-laptop", roles: { "*": "viewer" }, createdAt: stamp(now - 200 * 24 * HOUR), expiresAt: null, lastUsedAt: null, revokedAt: stamp(now - 20 * 24 * HOUR) },
  ];
  const secrets = process.argv.includes("--empty") ? [] : [{ namespace: "default", name: "hub-token", keys: ["token"], updatedAt: stamp(now - 5 * 24 * HOUR) }, { namespace: "team-a", name: "s3", keys: ["access-key", "secret-key"], updatedAt: stamp(now - 40 * 24 * HOUR) }];
  const audit = Array.from({ length: 130 }, (_, i) => ({
    id: 130 - i, at: stamp(now - i * 17 * 60_000), who: ["ada", "ci", ""][i % 7 === 6 ? 2 : i % 2], what: ["SubmitWorkflow", "CreateToken", "UpdateWorkflowTemplate", "DeleteWorkflow"][i % 4],
    namespace: i % 4 === 1 ? "" : "default", target: ["finetune-qwen-8x2kf", "ci", "finetune-qwen", "ingest-web-x"][i % 4], from: "192.0.2.17", status: i % 7 === 6 ? 403 : 200,
  }));
  const one = (map, name, what) => map.get(name) ?? (() => { throw fail(404, `there is no ${what} ${name}`); })();

  /** Enough of a linter for the page: a tab, an unknown template, a wrong kind. */
  function lint(text) {
    const found = [], names = [...text.matchAll(/^\s*-?\s*name:\s*(\S+)/gm)].map((m) => m[1]);
    text.split("\n").forEach((line, i) => {
      const put = (severity, column, path, message, remedy = "") => found.push({ file: "manifest.yaml", line: i + 1, column, path, severity, message, remedy });
      if (/^\s*\t/.test(line)) put("error", 1, "", "a tab cannot indent", "indent with spaces");
      const entry = /entrypoint:\s*(\S+)/.exec(line)?.[1];
      if (entry && !names.includes(entry)) put("error", line.indexOf(entry) + 1, "spec.entrypoint", `no template is named "${entry}"`, `templates: ${names.slice(1).join(", ")}`);
      if (/^\s*imagePullPolice:/.test(line)) put("warning", line.search(/\S/) + 1, "spec.templates[0].container", 'unknown field "imagePullPolice"', 'did you mean "imagePullPolicy"?');
    });
    return found;
  }
  const refuse = (text) => {
    const diagnostics = lint(text);
    if (diagnostics.some((d) => d.severity === "error")) throw Object.assign(fail(400, "the manifest has errors"), { body: { code: 3, message: "the manifest has errors", details: [], diagnostics } });
  };
  const nameOf = (text) => /^ {2}(?:name|generateName): *"?([\w.-]+)/m.exec(text)?.[1] ?? "unnamed";

  return [
    route("GET", `${OWN}/runs/:uid/metrics`, ({ params, query }) => {
      const run = world.runs.get(params[0]);
      if (!run) throw fail(404, `there is no run ${params[0]}`);
      if (run.pipeline === "ingest-web") return { series: [], names: [], checkpoints: [] };
      return metricsOf(run, [...params[0]].reduce((a, c) => a + c.charCodeAt(0), 0) % 9, Number(query.maxPoints ?? 1000), fake.grown ?? 0);
    }),
    route("GET", `${OWN}/compare`, ({ query }) => {
      const runs = query.runs.split(",").map((uid) => world.runs.get(uid) ?? (() => { throw fail(404, `there is no run ${uid}`); })());
      const names = [...new Set(runs.flatMap((r) => Object.keys(r.parameters)))];
      return {
        runs: runs.map(world.summary),
        parameters: names.map((name) => { const values = runs.map((r) => r.parameters[name] ?? null); return { name, values, differs: new Set(values).size > 1 }; }),
        metrics: [{ name: "loss", node: "sft", values: runs.map((_, i) => 1.412 + i * 0.031 - (i === 2 ? 0.2 : 0)), best: runs.map((_, i) => 1.38 + i * 0.03) }, { name: "eval/accuracy", node: "evaluate", values: runs.map((_, i) => 0.612 - i * 0.004), best: runs.map((_, i) => 0.612 - i * 0.004) }],
        artifacts: [{ name: "tokenize.tokens", sha256: runs.map(() => "9f86d081884c7d659a2feaa0c55ad015") }, { name: "sft.model", sha256: runs.map((_, i) => (i === 1 ? null : `${i}b12`.repeat(8))) }],
        evaluations: ["mmlu", "gsm8k", "hellaswag", "arc_challenge"].map((task, t) => ({ task, metric: "accuracy", values: runs.map((_, i) => 0.4 + t * 0.1 + i * 0.035 * (t === 2 ? -0.2 : 1)), errors: runs.map(() => 0.011 + t * 0.002) })),
      };
    }),
    route("GET", `${OWN}/pipelines`, () => ({ items: [...pipelines.values()].map(({ yaml: _, templates: __, ...p }) => shownPipeline(p)) })),
    route("GET", `${OWN}/pipelines/:ns/:name`, ({ params }) => shownPipeline(one(pipelines, params[1], "pipeline"))),
    route("DELETE", "/api/v1/workflow-templates/:ns/:name", ({ params }) => { pipelines.delete(params[1]); return {}; }),
    route("POST", `${OWN}/lint`, ({ body }) => ({ diagnostics: lint(body.text) })),
    route("POST", `${OWN}/submit`, ({ body }) => {
      if (body.text) refuse(body.text);
      if (body.pipeline && PARAMETERS.some((p) => p.value === null && pipelines.get(body.pipeline)?.parameters.includes(p) && !body.parameters[p.name])) throw fail(400, "the parameter data has no value");
      return { status: 201, body: world.summary(world.runs.get(world.add())) };
    }),
    route("POST", `${OWN}/definitions`, ({ body }) => {
      refuse(body.text);
      const kind = /^kind: *(\w+)/m.exec(body.text)[1], name = nameOf(body.text), map = kind === "CronWorkflow" ? schedules : pipelines, before = map.get(name);
      if (before && !body.replace) throw fail(409, `${name} is stored already`);
      if (kind === "CronWorkflow") map.set(name, before ? { ...before, yaml: body.text } : { ...schedule(name, "every day at 06:00 (UTC)", "0 6 * * *", 4 * HOUR, 24, { runs: [] })[1], yaml: body.text });
      else map.set(name, { ...(before ?? { ...pipelines.get("unused"), name, generation: 0 }), yaml: body.text, generation: (before?.generation ?? 0) + 1, updatedAt: stamp(Date.now()) });
      return { items: [{ kind, namespace: "default", name, generation: 1 }] };
    }),
    route("GET", `${OWN}/schedules`, () => ({ items: [...schedules.values()].map(({ yaml: _, ...s }) => s) })),
    route("GET", `${OWN}/schedules/:ns/:name`, ({ params }) => one(schedules, params[1], "schedule")),
    route("POST", `${OWN}/schedules/:ns/:name/run`, () => world.summary(world.runs.get(world.add()))),
    route("POST", `${OWN}/schedules/:ns/:name/backfill`, ({ body }) => {
      const [from, to] = [Date.parse(body.start), Date.parse(body.end)], instants = [];
      if (!(to > from)) throw fail(400, "the end lies before the start");
      for (let t = Math.ceil(from / (6 * HOUR)) * 6 * HOUR; t < to && instants.length < 500; t += 6 * HOUR) instants.push(stamp(t));
      return { instants, runs: instants.slice(1).map((_, i) => `backfill-${i}`) };
    }),
    ...["suspend", "resume"].map((verb) => route("PUT", `/api/v1/cron-workflows/:ns/:name/${verb}`, ({ params }) => { one(schedules, params[1], "schedule").suspended = verb === "suspend"; return {}; })),
    route("DELETE", "/api/v1/cron-workflows/:ns/:name", ({ params }) => { schedules.delete(params[1]); return {}; }),
    route("GET", `${OWN}/tokens`, () => ({ items: tokens })),
    route("POST", `${OWN}/tokens`, ({ body }) => {
      const made = { id: `t${tokens.length + 1}`, name: body.name, roles: body.roles, createdAt: stamp(Date.now()), expiresAt: body.ttlSeconds ? stamp(Date.now() + body.ttlSeconds * 1000) : null, lastUsedAt: null, revokedAt: null };
      tokens.push(made);
      return { ...made, token: `mrt_${"Zk3vR9".repeat(7).slice(0, 40)}` };
    }),
    route("DELETE", `${OWN}/tokens/:id`, ({ params }) => { tokens.find((t) => t.id === params[0]).revokedAt = stamp(Date.now()); return {}; }),
    route("GET", `${OWN}/secrets`, ({ query }) => ({ items: secrets.filter((s) => !query.namespace || s.namespace === query.namespace) })),
    route("PUT", `${OWN}/secrets/:ns/:name`, ({ params, body }) => {
      const at = secrets.findIndex((s) => s.namespace === params[0] && s.name === params[1]), made = { namespace: params[0], name: params[1], keys: Object.keys(body.values), updatedAt: stamp(Date.now()) };
      if (at < 0) secrets.push(made); else secrets[at] = made;
      return {};
    }),
    route("DELETE", `${OWN}/secrets/:ns/:name`, ({ params }) => { secrets.splice(secrets.findIndex((s) => s.namespace === params[0] && s.name === params[1]), 1); return {}; }),
    route("GET", `${OWN}/audit`, ({ query }) => {
      const from = Number(query.after ?? 0), limit = Number(query.limit ?? 50);
      return { items: audit.slice(from, from + limit), next: from + limit < audit.length ? String(from + limit) : null };
    }),
    route("GET", `${OWN}/models`, () => ({ items: [] })),
    route("GET", `${OWN}/deployments`, () => ({ items: [] })),
  ];
}
