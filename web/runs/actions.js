// What can be done with runs, each as a request and as the same `martlet` command. Destructive ones ask once.

import { api, at, may } from "../lib/api.js";
import { plural, quote } from "../lib/format.js";
import { ask, toast } from "../lib/parts.js";
import { shown } from "../lib/phase.js";
import { go } from "../lib/router.js";

const verb = (run, name, body = {}) =>
  api.put(at`/api/v1/workflows/${run.namespace}/${run.name}/` + name, { name: run.name, namespace: run.namespace, ...body });
const ended = (run) => Boolean(run.finishedAt);
const flags = (pairs) => pairs.map((pair) => ` -p ${quote(pair)}`).join("");
const place = (run) => at`/runs/${run.namespace}/${run.name}`;
export const command = (word, run, rest = "") => `martlet ${word} ${run.name}${run.namespace === "default" ? "" : ` -n ${run.namespace}`}${rest}`;

/** Arguments of a run as fields of a form; `changed(values)` are those that someone changed, as NAME=VALUE. */
function parameters(run) {
  const list = run.arguments ?? [];
  const fields = list.map(({ name, value, enum: options, description }) => ({ name, value: value ?? "", options, description }));
  const changed = (values) => list.filter(({ name, value }) => values[name] !== (value ?? "")).map(({ name }) => `${name}=${values[name]}`);
  return { fields, changed };
}

/** The actions that fit a run now: [{id, label, danger, act}]. */
export function actions(run) {
  if (!may("editor", run.namespace)) return [];
  const phase = shown(run);
  return [
    { id: "retry", label: "Retry", when: phase === "Failed" || phase === "Error", act: () => retry(run) },
    { id: "resume", label: "Resume", when: !ended(run) && run.suspended && !run.waits, act: () => resume(run) },
    { id: "suspend", label: "Suspend", when: !ended(run) && !run.suspended, act: () => suspend(run) },
    { id: "stop", label: "Stop", when: !ended(run), danger: true, act: () => stop(run) },
    { id: "resubmit", label: "Run again", when: true, act: () => resubmit(run) },
    { id: "delete", label: "Delete", when: ended(run), danger: true, act: () => remove([run]) },
  ].filter(({ when }) => when);
}

/** Runs what failed again; with `node` that one too, although it succeeded. */
export function retry(run, node) {
  const { fields, changed } = parameters(run);
  const selector = node ? `id=${node.id}` : "";
  return ask({
    title: node ? `Retry ${run.name} from ${node.displayName}` : `Retry ${run.name}`,
    words: "What succeeded is kept; what failed runs again" + (node ? `, and ${node.displayName} with what depends on it.` : "."),
    fields, action: "Retry",
    command: (values) => command("retry", run, (node ? ` --restart-successful --node-field-selector ${selector}` : "") + flags(changed(values))),
    act: (values) => verb(run, "retry", { restartSuccessful: Boolean(node), nodeFieldSelector: selector, parameters: changed(values) }),
  });
}

async function resubmit(run) {
  const { fields, changed } = parameters(run);
  let made;
  const done = await ask({
    title: `Run ${run.name} again`, words: "A new run of the same definition.", fields, action: "Run",
    command: (values) => command("resubmit", run, flags(changed(values))),
    act: async (values) => (made = await verb(run, "resubmit", { parameters: changed(values) })),
  });
  if (done && made?.metadata) go(place(made.metadata));
}

const stop = (run) => ask({
  title: `Stop ${run.name}?`, danger: true, action: "Stop",
  lost: "Running steps are ended, and what they have not saved is lost. Retry goes on from there.",
  fields: [{ name: "how", label: "Exit handlers", value: "run", options: ["run", "skip"], description: "“skip” terminates at once." }],
  command: ({ how }) => command(how === "skip" ? "terminate" : "stop", run),
  act: ({ how }) => verb(run, how === "skip" ? "terminate" : "stop"),
});

const simple = (word, past) => async (run) => {
  try {
    await verb(run, word);
    toast(`${run.name} is ${past}. The same as a command: ${command(word, run)}`);
  } catch (error) {
    toast(`${run.name} could not be ${past}: ${error.message}`, true);
  }
};
const suspend = simple("suspend", "suspended");
const resume = simple("resume", "resumed");

/** Lets a suspend node go on, with the parameters that it asks for; `fail` ends it as Failed. */
export function answer(run, node) {
  const fields = (node.suspend?.parameters ?? []).map(({ name, value, default: fallback, enum: options, description }) =>
    ({ name, value: value ?? fallback ?? "", options, description, required: fallback == null }));
  const selector = `id=${node.id}`;
  return ask({
    title: `Resume ${node.displayName}`, words: node.message, fields, action: "Resume",
    command: (values) => (fields.length ? command("node set", run, ` --node-field-selector ${selector}`
      + flags(fields.map(({ name }) => `${name}=${values[name]}`))) + " && " : "") + command("resume", run, ` --node-field-selector ${selector}`),
    act: async (values) => {
      if (fields.length) await verb(run, "set", { nodeFieldSelector: selector, outputParameters: JSON.stringify(values) });
      await verb(run, "resume", { nodeFieldSelector: selector });
    },
  });
}

/** Retries several failed runs; says which could not be. */
export async function retryAll(runs) {
  const bad = runs.filter((run) => ["Failed", "Error"].includes(run.phase));
  await ask({
    title: `Retry ${plural(bad.length, "run")}?`, words: "What succeeded in them is kept; what failed runs again.", action: "Retry",
    command: () => `martlet retry ${bad.map(({ name }) => name).join(" ")}`,
    act: () => each(bad, (run) => verb(run, "retry")),
  });
}

export function remove(runs) {
  return ask({
    title: runs.length === 1 ? `Delete ${runs[0].name}?` : `Delete ${plural(runs.length, "run")}?`, danger: true, action: "Delete",
    lost: "Their records, logs and working files are lost for good, and artifacts where the manifest says so.".replace("Their", runs.length === 1 ? "Its" : "Their"),
    command: () => `martlet delete ${runs.map(({ name }) => name).join(" ")}`,
    act: () => each(runs, (run) => api.delete(at`/api/v1/workflows/${run.namespace}/${run.name}`)),
  });
}

/** One after the other, so that a hundred do not fall on the server at once; the failures in one message. */
async function each(runs, work) {
  const failures = [];
  for (const run of runs) await work(run).catch((error) => failures.push(`${run.name}: ${error.message}`));
  if (failures.length) throw new Error(failures.slice(0, 5).join("; "));
}
