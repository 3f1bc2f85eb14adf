// The fake server's answers for the frame, the list of runs and one run. Other views' answers are in fake_forms.mjs.

import { fail } from "./fake_answer.mjs";

const OWN = "/api/martlet/v1";
const route = (method, pattern, answer) => [method, new RegExp(`^${pattern.replace(/:\w+/g, "([^/]+)")}$`), answer];

/** Line `n` of the long log: levels, colours, a traceback now and then. */
export function logLine(n, start) {
  return { n, t: new Date(start + n * 4).toISOString(), c: "main", e: n % 1000 === 13, s: logText(n) };
}

function logText(n) {
  let text = `step ${n} loss=${(4 / (1 + n / 50000) + Math.sin(n) / 20).toFixed(4)} lr=3.0e-04 tokens/s=${18000 + (n % 997)}`;
  if (n % 100 === 7) text = `\u001b[33mWARNING\u001b[0m gradient norm ${(n % 13) + 1.5} clipped to 1.0`;
  if (n % 1000 === 13) text = `\u001b[1;31mERROR\u001b[0m worker ${n % 8} lost its connection; \u001b[4mreconnecting\u001b[0m`;
  if (n % 500 === 21) text = `INFO evaluation: ${"accuracy of a very long list of tasks, ".repeat(6)}done <b>&amp;</b>`;
  if (n % 250 === 3) text = `DEBUG cache hit rate ${(n % 100) / 100}`;
  return text;
}

const TAIL = ["INFO loading checkpoint-400", "step 410 loss=2.914", "step 411 loss=37.20", "step 412 loss=nan", "Traceback (most recent call last):",
  '  File "train.py", line 88, in step', "    raise RuntimeError(f'loss is NaN at step {step}')", "RuntimeError: loss is NaN at step 412"];

export function routes(fake) {
  const { world } = fake;
  const session = () => ({ authRequired: false, signedIn: fake.signedIn, name: "ada", roles: { "*": "admin" }, csrf: "token" });
  const find = (uid) => {
    const run = world.runs.get(uid);
    if (!run) throw fail(404, `there is no run ${uid}`);
    return run;
  };
  const named = (namespace, name) => {
    const run = world.byName(namespace, name);
    if (!run) throw fail(404, `there is no workflow ${name} in namespace ${namespace}`);
    return run;
  };
  const nodeOf = (uid, id) => {
    const node = find(uid).nodes.find((node) => node.id === id);
    if (!node) throw fail(404, `there is no node ${id}`);
    return node;
  };
  function filtered(query) {
    let items = [...world.runs.values()].sort((a, b) => b.createdAt.localeCompare(a.createdAt));
    const phases = query.phase?.split(",");
    if (phases) items = items.filter(({ phase }) => phases.includes(phase));
    for (const name of ["namespace", "pipeline", "cron"]) if (query[name]) items = items.filter((run) => run[name] === query[name]);
    if (query.q) items = items.filter(({ name }) => name.includes(query.q));
    if (query.createdAfter) items = items.filter(({ createdAt }) => createdAt >= query.createdAfter);
    for (const pair of query.all("parameter")) {
      const [name, value] = pair.split("=");
      items = items.filter(({ parameters }) => parameters[name] === value);
    }
    for (const term of query.label?.split(",") ?? []) {
      const [name, value] = term.split("=");
      items = items.filter(({ labels }) => labels[name] === value);
    }
    return items;
  }
  const logSize = (uid, id) => (uid === "uid-logs-1m" ? world.logLines : id.startsWith("sft") ? TAIL.length : 40);
  function line(uid, id, n) {
    const start = Date.parse(find(uid).startedAt);
    if (uid === "uid-logs-1m" || !id.startsWith("sft")) return logLine(n, start);
    return { n, t: new Date(start + 900_000 + n * 900).toISOString(), c: "main", e: n > 3, s: TAIL[n] };
  }
  const verb = (name, change) => route("PUT", `/api/v1/workflows/:ns/:name/${name}`, ({ params, body }) => {
    const run = named(...params);
    change(run, body);
    run.revision = ++world.revision;
    fake.tell({ runs: [run.uid], nodes: { [run.uid]: run.nodes.map(({ id }) => id) } });
    return { metadata: { name: run.name, uid: run.uid, namespace: run.namespace } };
  });

  return [
    route("GET", `${OWN}/session`, () => ({ ...session(), authRequired: process.argv.includes("--auth") })),
    route("POST", `${OWN}/session`, ({ body }) => {
      if (body.token !== "mrt_good") throw fail(401, "this token is not known; `martlet token create` makes one");
      fake.signedIn = true;
      return { ...session(), authRequired: true };
    }),
    route("DELETE", `${OWN}/session`, () => ((fake.signedIn = false), {})),
    route("GET", `${OWN}/overview`, () => {
      const runs = [...world.runs.values()];
      const hour = 3600_000;
      const first = Math.floor(Date.now() / hour) * hour - 23 * hour;
      return {
        version: "0.6.0", startedAt: new Date(Date.now() - 9e6).toISOString(), executor: "local", storageProblem: null,
        namespaces: ["default", "team-a"], revision: world.revision, running: runs.filter(({ phase }) => phase === "Running").length, pending: 1,
        hours: Array.from({ length: 24 }, (_, index) => {
          const start = first + index * hour;
          const within = runs.filter(({ createdAt }) => Date.parse(createdAt) >= start && Date.parse(createdAt) < start + hour);
          const counted = Object.fromEntries(["Succeeded", "Failed", "Error", "Running"].map((phase) => [phase, within.filter((run) => run.phase === phase).length]));
          return { start: new Date(start).toISOString(), ...counted };
        }),
        diskFreeBytes: 2.1e11, slots: { cpuUsed: 6, cpuAll: 16, memoryUsedBytes: 2.2e10, memoryAllBytes: 6.4e10, gpuUsed: 1, gpuAll: 1 },
      };
    }),
    route("GET", `${OWN}/search`, ({ query }) => ({ items: filtered({ all: () => [], q: query.q }).slice(0, 20)
      .map((run) => ({ kind: "run", namespace: run.namespace, name: run.name, uid: run.uid, phase: run.phase, at: run.createdAt })) })),
    route("GET", `${OWN}/runs`, ({ query }) => {
      const items = filtered(query);
      const from = Number(query.after ?? 0);
      const limit = Number(query.limit ?? 50);
      return { items: items.slice(from, from + limit).map(world.summary), next: items.length > from + limit ? String(from + limit) : null, revision: world.revision };
    }),
    route("GET", `${OWN}/runs/counts`, ({ query }) => {
      const items = filtered(query);
      const counts = Object.fromEntries(["Pending", "Running", "Succeeded", "Failed", "Error"].map((phase) => [phase, items.filter((run) => run.phase === phase).length]));
      return { ...counts, total: items.length };
    }),
    route("GET", `${OWN}/runs/:uid`, ({ params }) => {
      const run = find(params[0]);
      return { ...run, entrypoint: "main", outputs: null, resubmittedFrom: null, conditions: [], resources: { cpu: 5230, memory: 9e9 },
        estimatedSeconds: run.phase === "Running" ? 2650 : null,
        arguments: [{ name: "learning_rate", value: "1e-4", description: "Peak of the schedule." }, { name: "model", value: "small", enum: ["small", "large"] }] };
    }),
    route("GET", `${OWN}/runs/:uid/manifest`, () => ({ manifest: {}, yaml: "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata:\n  generateName: finetune-\nspec:\n  entrypoint: main\n" })),
    route("GET", `${OWN}/runs/:uid/events`, ({ params, query }) => {
      const run = find(params[0]);
      const items = run.nodes.filter(({ startedAt }) => startedAt).slice(0, 200).flatMap((node, index) => [
        { id: index * 2, at: node.startedAt, node: node.id, kind: "NodeRunning", message: `${node.displayName} began` },
        ...(node.finishedAt ? [{ id: index * 2 + 1, at: node.finishedAt, node: node.id, kind: `Node${node.phase}`, message: node.message || `${node.displayName} ended` }] : []),
      ]);
      return { items: query.after ? [] : items, next: null };
    }),
    route("GET", `${OWN}/runs/:uid/artifacts`, ({ params }) => ({ items: find(params[0]).nodes.some(({ id }) => id === "sft(1)") ? [
      { node: "sft(1)", name: "model", path: "/out/model", direction: "output", bytes: 988_000_000, sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", files: 9, deleted: false, kind: "directory" },
      { node: "sft(1)", name: "metrics", path: "/out/metrics.csv", direction: "output", bytes: 48_212, sha256: "ab12".repeat(16), files: null, deleted: false, kind: "file" },
      { node: "download", name: "dataset", path: "/out/data.jsonl", direction: "output", bytes: 12_345_678, sha256: "cd34".repeat(16), files: null, deleted: true, kind: "file" },
    ] : [] })),
    route("GET", `${OWN}/runs/:uid/nodes/:id/artifacts/:name/preview`, ({ params, query }) => {
      if (query.path === "config.json") return { kind: "json", bytes: 40, text: '{"hiddenSize": 896, "numHiddenLayers": 24}', truncated: false, url: "/artifact-files/x" };
      if (params[2] === "model") return { kind: "directory", bytes: 988e6, truncated: false, url: "/artifact-files/x", entries: [
        { name: "config.json", kind: "file", bytes: 672 }, { name: "model.safetensors", kind: "file", bytes: 988e6 }, { name: "tokenizer.json", kind: "file", bytes: 7e6 }] };
      return { kind: "table", bytes: 48_212, truncated: true, url: "/artifact-files/x", table: { columns: ["step", "loss", "<b>note</b>"], rows: Array.from({ length: 100 }, (_, row) => [row, 3 - row / 80, "ok"]) } };
    }),
    route("GET", `${OWN}/runs/:uid/nodes/:id`, ({ params }) => {
      const node = nodeOf(...params);
      return { ...node,
        inputs: { parameters: [{ name: "learning_rate", value: "1e-4" }, { name: "dataset", value: "/data/very/long/path/".repeat(5) }], artifacts: [{ name: "tokens", path: "/in/tokens" }] },
        outputs: { parameters: [{ name: "train_loss", value: "1.382" }], artifacts: [{ name: "model", path: "/out/model" }], result: null, exitCode: node.exitCode },
        template: { name: node.template, container: { image: "martlet/steps", command: ["martlet", "sft"] } },
        command: ["martlet", "sft", "--model", "/in/model", "--learning-rate", "1e-4", "--note", "it's fine"], env: [{ name: "HF_TOKEN", value: "***" }, { name: "SEED", value: "7" }],
        image: "martlet/steps:0.6", resources: { asked: { cpu: 4, memory: 17179869184, gpu: 1 }, used: { cpuSeconds: 5230, maxMemoryBytes: 14.1e9 } },
        exitExplained: node.exitCode === 86 ? "86: the step ran out of memory" : node.exitCode === 1 ? "1: the step failed" : null, templateName: node.template,
        likelyCause: node.exitCode === 1 ? "RuntimeError: loss is NaN at step 412" : null,
        attempts: [{ number: 1, startedAt: node.startedAt, finishedAt: node.finishedAt, exitCode: node.exitCode, logBytes: 9000 }],
        shell: `martlet node shell finetune ${params[1]}` };
    }),
    route("GET", `${OWN}/runs/:uid/nodes/:id/log`, ({ params }) => {
      const lines = logSize(...params);
      return { attempt: 1, lines, bytes: lines * 90, complete: Boolean(nodeOf(...params).finishedAt) };
    }),
    route("GET", `${OWN}/runs/:uid/nodes/:id/log/lines`, ({ params, query }) => {
      const total = logSize(...params);
      const asked = Number(query.from ?? 0);
      const from = asked < 0 ? Math.max(0, total + asked) : asked;
      const count = Math.min(2000, Number(query.count ?? 500), Math.max(0, total - from));
      return { from, total, lines: Array.from({ length: count }, (_, index) => line(...params, from + index)) };
    }),
    route("GET", `${OWN}/runs/:uid/nodes/:id/log/search`, ({ params, query }) => {
      const test = new RegExp(query.regex === "true" ? query.q : query.q.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), query.case === "true" ? "" : "i");
      const matches = [];
      let total = 0;
      for (let n = 0; n < logSize(...params); n++) {
        if (!test.test(params[0] === "uid-logs-1m" ? logText(n) : line(...params, n).s)) continue;
        total += 1;
        if (n >= Number(query.from ?? 0) && matches.length < Number(query.limit ?? 1000)) matches.push(n);
      }
      return { total, capped: false, matches };
    }),
    route("GET", `${OWN}/runs/:uid/nodes/:id/log/raw`, ({ params }) => ({ raw: Array.from({ length: 100 }, (_, n) => line(...params, n)?.s).join("\n") })),
    route("GET", `${OWN}/runs/:uid/notifications`, ({ params }) => ({ items: find(params[0]).name !== "finetune-failed" || fake.toldAgain ? [] : [
      { id: 1, to: "the webhook at hooks.example.com", state: "given up", attempts: 29, createdAt: new Date().toISOString(), nextAttemptAt: null, doneAt: new Date().toISOString(), error: "the webhook answered 503" }] })),
    route("POST", `${OWN}/runs/:uid/notifications/retry`, () => (fake.toldAgain = true, { retried: 1 })),
    route("GET", `${OWN}/runs/:uid/log`, ({ params, query }) => {
      const nodes = find(params[0]).nodes.filter(({ hasLog }) => hasLog).slice(0, 5);
      const [all, count] = [nodes.length ? 3200 : 0, Number(query.count ?? 500)];
      const end = query.to == null ? null : query.to === "end" ? all : Number(query.to);
      const from = end == null ? (query.from == null ? 0 : Number(query.from) + 1) : Math.max(0, end - count);
      const lines = Array.from({ length: Math.max(0, Math.min(count, (end ?? all) - from)) }, (_, index) => ({ ...logLine(from + index, 0), node: nodes[index % nodes.length].id }));
      return { lines, first: lines.length ? String(from) : null, next: lines.length ? String(from + lines.length - 1) : query.from ?? null };
    }),
    route("GET", "/api/v1/workflows/:ns/:name", ({ params }) => ({ metadata: { uid: named(...params).uid } })),
    verb("suspend", (run) => (run.suspended = true)),
    verb("resume", (run, body) => {
      run.suspended = false;
      const node = run.nodes.find(({ id }) => body.nodeFieldSelector?.includes(id));
      if (node) Object.assign(node, { phase: "Succeeded", finishedAt: new Date().toISOString(), suspend: null });
    }),
    verb("set", () => {}),
    verb("stop", (run) => Object.assign(run, { phase: "Failed", message: "stopped", finishedAt: new Date().toISOString() })),
    verb("terminate", (run) => Object.assign(run, { phase: "Failed", message: "terminated", finishedAt: new Date().toISOString() })),
    verb("retry", (run) => Object.assign(run, { phase: "Running", message: "", finishedAt: null })),
    route("PUT", "/api/v1/workflows/:ns/:name/resubmit", () => {
      const uid = world.add();
      fake.tell({ runs: [uid] });
      const run = world.runs.get(uid);
      return { metadata: { name: run.name, uid, namespace: run.namespace } };
    }),
    route("DELETE", "/api/v1/workflows/:ns/:name", ({ params }) => {
      const run = named(...params);
      world.runs.delete(run.uid);
      world.revision += 1;
      fake.tell({ deleted: [{ uid: run.uid, namespace: run.namespace, name: run.name }] });
      return {};
    }),
  ];
}
