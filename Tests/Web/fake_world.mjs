// Made-up runs for the page's tests: three hundred usual ones and some that show a case each.

const PIPELINES = ["finetune-qwen", "nightly-eval", "tokenize-corpus", "quantize-release", "ingest-web"];
const HOUR = 3600_000;

function random(seed) {
  return () => {
    seed = (seed * 1664525 + 1013904223) % 4294967296;
    return seed / 4294967296;
  };
}

const stamp = (ms) => (ms == null ? null : new Date(ms).toISOString());

/** Builds nodes of one run; times in seconds since its start. */
class Builder {
  constructor(name, start) {
    Object.assign(this, { name, start, nodes: [] });
  }
  add(id, more = {}) {
    const node = {
      id, name: `${this.name}.${id}`, displayName: id, type: "Pod", phase: "Succeeded", message: "", template: id.replace(/\(.*/s, ""),
      boundary: "root", children: [], startedAt: null, finishedAt: null, progress: null, attempt: 1, hook: false, retryAttempt: false,
      daemoned: false, failureClass: null, waitingFor: null, exitCode: null, memoHit: false, hasLog: false, inputs: false, outputs: false,
      sequence: this.nodes.length, suspend: null, ...more,
    };
    if (more.from != null) node.startedAt = stamp(this.start + more.from * 1000);
    if (more.to != null) node.finishedAt = stamp(this.start + more.to * 1000);
    if (node.type === "Pod" && node.startedAt) node.hasLog = node.inputs = node.outputs = true;
    delete node.from;
    delete node.to;
    this.nodes.push(node);
    for (const parent of more.after ?? []) this.node(parent).children.push(id);
    delete node.after;
    return node;
  }
  node(id) {
    return this.nodes.find((node) => node.id === id);
  }
}

function finetune(name, start, phase) {
  const b = new Builder(name, start);
  b.add("root", { type: "DAG", boundary: null, displayName: name, phase, from: 0, to: phase === "Running" ? null : 2710, template: "main" });
  b.add("download", { from: 1, to: 95, after: ["root"], exitCode: 0 });
  b.add("tokenize", { from: 96, to: 260, after: ["download"], type: "TaskGroup", template: "tokenize" });
  for (let shard = 0; shard < 16; shard++) {
    b.add(`tokenize(${shard}:shard-${shard})`, { from: 96 + shard * 3, to: 180 + ((shard * 37) % 80), after: ["tokenize"], exitCode: 0 });
  }
  const shards = Array.from({ length: 16 }, (_, shard) => `tokenize(${shard}:shard-${shard})`);
  const live = phase === "Running";
  b.add("sft", { type: "Retry", from: 262, to: live ? null : 2400, phase: live ? "Running" : phase, after: shards,
    message: phase === "Failed" ? "No more retries left" : "" });
  b.add("sft(0)", { from: 262, to: 900, phase: "Failed", retryAttempt: true, after: ["sft"], exitCode: 86, failureClass: "memory",
    template: "sft", message: "out of memory at micro batch 8; retrying with 4" });
  b.add("sft(1)", { from: 912, to: live ? null : 2400, phase: live ? "Running" : phase, retryAttempt: true, after: ["sft"], template: "sft",
    exitCode: live ? null : phase === "Failed" ? 1 : 0, progress: live ? "412/900" : "900/900", attempt: 2,
    message: phase === "Failed" ? "exit code 1: RuntimeError: loss is NaN at step 412" : "" });
  const done = phase === "Succeeded";
  b.add("evaluate", { type: "Steps", after: ["sft(1)"], phase: done ? "Succeeded" : phase === "Failed" ? "Omitted" : "Pending",
    from: done ? 2402 : null, to: done ? 2600 : null, waitingFor: live ? "sft" : null });
  if (done) {
    b.add("evaluate-0", { type: "StepGroup", displayName: "[0]", boundary: "evaluate", from: 2402, to: 2600, after: ["evaluate"] });
    for (const task of ["mmlu", "gsm8k", "hellaswag"]) {
      b.add(task, { boundary: "evaluate", from: 2403, to: 2500 + task.length * 10, after: ["evaluate-0"], template: "eval", exitCode: 0 });
    }
    b.add("quantize", { from: 2601, to: 2700, after: ["mmlu", "gsm8k", "hellaswag"], exitCode: 0 });
  } else b.add("quantize", { after: ["evaluate"], phase: phase === "Failed" ? "Omitted" : "Pending", waitingFor: live ? "evaluate" : null });
  b.add("report.onExit", { displayName: "report", hook: true, from: done ? 2701 : null, to: done ? 2709 : null, after: [done ? "quantize" : "quantize"],
    phase: done ? "Succeeded" : phase === "Failed" ? "Skipped" : "Pending", memoHit: done });
  return b.nodes;
}

function approve(name, start) {
  const b = new Builder(name, start);
  b.add("root", { type: "Steps", boundary: null, displayName: name, phase: "Running", from: 0, template: "main" });
  b.add("train", { from: 1, to: 60, after: ["root"], exitCode: 0 });
  b.add("approve", { type: "Suspend", phase: "Running", from: 61, after: ["train"], message: "Is the new model good enough to ship?",
    suspend: { parameters: [
      { name: "choice", value: null, enum: ["ship", "hold", "retrain"], description: "What happens with the model." },
      { name: "note", value: "", description: "For the record.", default: "" },
    ] } });
  b.add("deploy", { phase: "Pending", after: ["approve"], waitingFor: "approve" });
  return b.nodes;
}

/** 4,000 steps: 40 chains over 20 layers of a wide DAG, with cross edges, none of them a loop that could be folded. */
function big(name, start) {
  const b = new Builder(name, start);
  const draw = random(7);
  b.add("root", { type: "DAG", boundary: null, displayName: name, phase: "Running", from: 0, template: "main" });
  const layers = [];
  for (let layer = 0, made = 0; made < 3999; layer++) {
    const wide = Math.min(100 + Math.floor(draw() * 150), 3999 - made);
    layers.push([]);
    for (let index = 0; index < wide; index++, made++) {
      const id = `step-${layer}-${index}`;
      const phase = layer < 12 ? (draw() < 0.01 ? "Failed" : "Succeeded") : layer === 12 ? "Running" : "Pending";
      const above = layers[layer - 1] ?? [];
      const after = layer === 0 ? ["root"] : [...new Set([0, 1].map((k) => above[Math.min(above.length - 1, Math.floor((index / wide) * above.length) + (k ? Math.floor(draw() * 4) : 0))]))];
      if (layer > 3 && draw() < 0.05) after.push(layers[layer - 3][Math.floor(draw() * layers[layer - 3].length)]);
      const node = { phase, from: layer < 13 ? layer * 60 + draw() * 10 : null, to: layer < 12 ? layer * 60 + 20 + draw() * 38 : null };
      const built = { ...node, id };
      layers[layer].push(id);
      // `add` looks parents up by a scan; this run is made with a map instead.
      b.nodes.push({ ...blank(name, id, b.nodes.length), phase, startedAt: built.from == null ? null : stamp(start + built.from * 1000),
        finishedAt: built.to == null ? null : stamp(start + built.to * 1000), hasLog: built.from != null, parents: after });
    }
  }
  const byId = new Map(b.nodes.map((node) => [node.id, node]));
  for (const node of b.nodes) {
    for (const parent of node.parents ?? []) byId.get(parent).children.push(node.id);
    delete node.parents;
  }
  return b.nodes;
}

const blank = (name, id, sequence) => ({ id, name: `${name}.${id}`, displayName: id, type: "Pod", phase: "Pending", message: "", template: "work",
  boundary: "root", children: [], startedAt: null, finishedAt: null, progress: null, attempt: 1, hook: false, retryAttempt: false, daemoned: false,
  failureClass: null, waitingFor: null, exitCode: null, memoHit: false, hasLog: false, inputs: true, outputs: true, sequence, suspend: null });

function longLog(name, start) {
  const b = new Builder(name, start);
  b.add("root", { type: "DAG", boundary: null, displayName: name, phase: "Running", from: 0, template: "main" });
  b.add("train", { phase: "Running", from: 1, after: ["root"], progress: "310/1000" });
  return b.nodes;
}

export function world({ empty = false } = {}) {
  const runs = new Map();
  const draw = random(42);
  const start = Date.now();
  const state = { runs, revision: 1000, logLines: 1_000_000, stepped: 0 };

  function add(name, at, phase, nodes, more = {}) {
    const uid = more.uid ?? `uid-${name}`;
    const seconds = more.seconds ?? 600;
    const ended = !["Running", "Pending"].includes(phase);
    const done = nodes?.filter((node) => node.type === "Pod" && node.finishedAt).length ?? 3;
    const all = nodes?.filter((node) => node.type === "Pod").length ?? 3;
    runs.set(uid, {
      uid, namespace: "default", name, phase, message: "", createdAt: stamp(at), startedAt: phase === "Pending" ? null : stamp(at + 800),
      finishedAt: ended ? stamp(at + 800 + seconds * 1000) : null, revision: ++state.revision, progress: `${done}/${all}`, suspended: false,
      pipeline: null, cron: null, creator: "ada", labels: {}, annotations: {}, parameters: {}, priority: 0, medianSeconds: 2650,
      metric: null, archived: false, nodes: nodes ?? finetune(name, at + 800, phase), ...more,
    });
    return uid;
  }

  if (!empty) {
    for (let index = 0; index < 300; index++) {
      const pipeline = PIPELINES[Math.floor(draw() * PIPELINES.length)];
      const pick = draw();
      const phase = pick < 0.82 ? "Succeeded" : pick < 0.93 ? "Failed" : pick < 0.96 ? "Error" : "Succeeded";
      const name = `${pipeline}-${Math.floor(draw() * 36 ** 5).toString(36).padStart(5, "0")}`;
      const seconds = 300 + draw() ** 3 * 6000;
      add(name, start - HOUR * 0.4 - (299 - index) * 0.11 * HOUR, phase, null, { pipeline, cron: pipeline === "nightly-eval" ? "nightly" : null,
        seconds, message: phase === "Failed" ? "child 'sft' failed" : phase === "Error" ? "artifact store did not answer" : "",
        creator: pipeline === "nightly-eval" ? null : ["ada", "grace", "linus"][Math.floor(draw() * 3)],
        labels: { team: draw() < 0.5 ? "nlp" : "vision" }, parameters: { learning_rate: ["1e-4", "3e-4", "5e-5"][Math.floor(draw() * 3)], epochs: "3" },
        metric: phase === "Succeeded" && draw() < 0.7 ? { name: draw() < 0.5 ? "eval_loss" : "score", value: 1 + draw() } : null });
    }
    add("finetune-failed", start - HOUR * 0.9, "Failed", null, { pipeline: "finetune-qwen", seconds: 2410, message: "`sft` failed after 2 attempts: loss is NaN at step 412",
      parameters: { learning_rate: "1e-3", epochs: "3", model: "Qwen/Qwen2.5-0.5B" } });
    add("finetune-done", start - HOUR * 0.85, "Succeeded", null, { pipeline: "finetune-qwen", seconds: 2710, metric: { name: "eval_loss", value: 1.243 },
      parameters: { learning_rate: "1e-4", epochs: "3", model: "Qwen/Qwen2.5-0.5B" } });
    add("logs-1m", start - 5000_000, "Running", longLog("logs-1m", start - 5000_000), { pipeline: "ingest-web" });
    add("big-4000", start - 800_000, "Running", big("big-4000", start - 799_000), { pipeline: "tokenize-corpus" });
    add("approve-release", start - 400_000, "Running", approve("approve-release", start - 399_000), { pipeline: "quantize-release", message: "waits for `approve`", suspended: true });
    add("finetune-live", start - 1500_000, "Running", finetune("finetune-live", start - 1499_000, "Running"), { pipeline: "finetune-qwen", estimatedSeconds: 2650,
      message: "`sft` ran out of memory at batch 8; retrying with 4" });
    add("waiting-gpu", start - 60_000, "Pending", [], { pipeline: "finetune-qwen", message: "waits for a GPU: 1 of 1 in use", namespace: "team-a" });
  }

  state.summary = ({ nodes, ...run }) => run;
  state.byName = (namespace, name) => [...runs.values()].find((run) => run.namespace === namespace && run.name === name);

  /** The live run goes one step on: progress moves, a million-line log grows. */
  state.step = () => {
    state.stepped += 1;
    const run = runs.get("uid-finetune-live");
    if (!run) return {};
    const node = run.nodes.find(({ id }) => id === "sft(1)");
    node.progress = `${Math.min(900, 412 + state.stepped)}/900`;
    run.revision = ++state.revision;
    const large = runs.get("uid-big-4000");
    const waiting = large.nodes.filter(({ phase }) => phase === "Running").slice(0, 5);
    for (const one of waiting) Object.assign(one, { phase: "Succeeded", finishedAt: stamp(Date.now()) });
    large.revision = ++state.revision;
    state.logLines += 3;
    return { runs: [run.uid, large.uid], nodes: { [run.uid]: [node.id], [large.uid]: waiting.map(({ id }) => id) },
      logs: [{ node: "train", attempt: 1, lines: state.logLines, bytes: state.logLines * 90, complete: false }] };
  };

  state.add = () => add(`fresh-${++state.stepped}`, Date.now() - 1000, "Running", null, { pipeline: "ingest-web" });
  return state;
}
