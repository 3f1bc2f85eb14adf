// What a manifest's text says about itself (kind, name, parameters), and the same text as another kind. It reads block
// style line by line, for forms only: the server alone judges a manifest.

import { indentation, lineStates } from "./model.js";

const entry = /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#"'[\]{},|>%@`](?:(?!\s#).)*?)\s*:(?:\s+(.*))?$/;
const pieces = /\s*((?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|\{\{.*?\}\}|[^,])+)/g;

/** A scalar's text as YAML means it; null without one. */
function scalar(text = "") {
  if (/^"/.test(text)) { try { return JSON.parse(/^"(?:[^"\\]|\\.)*"/.exec(text)[0]); } catch { return text; } }
  if (/^'/.test(text)) return (/^'((?:[^']|'')*)'/.exec(text)?.[1] ?? text).replaceAll("''", "'");
  const plain = text.replace(/(^|\s+)#.*$/, "").trim();
  return plain === "" || plain === "null" || plain === "~" ? null : plain;
}

const flowList = (text) => [...text.replace(/^\[|\]\s*(#.*)?$/g, "").matchAll(pieces)].map((m) => scalar(m[1].trim()));

/** Calls `see(path, value)` for each entry; path is like `spec.arguments.parameters.0.name`. Ends at the first document's end. */
function walk(text, see) {
  const lines = text.split("\n"), states = lineStates(lines), stack = [];
  const place = () => stack.map((s) => s.key).join(".");
  for (let i = 0, begun = false; i < lines.length; i++) {
    if (states[i] >= 0 || /^\s*(#.*)?$/.test(lines[i])) continue;
    if (/^---(\s|$)/.test(lines[i])) { if (begun) return; continue; }
    begun = true;
    let depth = indentation(lines[i]), rest = lines[i].slice(depth);
    for (;;) {
      const dash = /^-(\s+|$)/.exec(rest);
      // A list may stand at its key's own depth, so its dashes close only entries that are deeper, or other items.
      while (stack.length && (stack.at(-1).depth > depth || (stack.at(-1).depth === depth && (!dash || stack.at(-1).item)))) {
        const gone = stack.pop();
        if (dash && gone.item && gone.depth === depth) { stack.push({ ...gone, key: gone.key + 1 }); break; }
      }
      if (!dash) break;
      if (!(stack.at(-1)?.item && stack.at(-1).depth === depth)) stack.push({ key: 0, depth, item: true });
      depth += dash[0].length;
      rest = rest.slice(dash[0].length);
    }
    const found = entry.exec(rest);
    if (!found) {
      const flow = /^\{(.*)\}\s*(#.*)?$/.exec(rest);
      for (const m of flow ? flow[1].matchAll(pieces) : []) {
        const inner = entry.exec(m[1].trim());
        if (inner) see(`${place()}.${scalar(inner[1])}`, scalar(inner[2]));
      }
      if (rest && !flow) see(place(), scalar(rest));
      continue;
    }
    stack.push({ key: scalar(found[1]), depth });
    const value = (found[2] ?? "").trim();
    if (/^[|>]/.test(value)) {
      const block = [];
      for (let j = i + 1; j < lines.length && (states[j] >= 0 || !lines[j].trim()); j++) block.push(lines[j]);
      const margin = Math.min(...block.filter((l) => l.trim()).map(indentation));
      see(place(), block.map((l) => l.slice(margin)).join("\n").trimEnd());
    } else if (/^\[/.test(value)) flowList(value).forEach((v, n) => see(`${place()}.${n}`, v));
    else see(place(), scalar(value));
  }
}

/** {kind, name, generated, namespace, parameters: [{name, value, description, enum}]} of the first document. */
export function outline(text) {
  const out = { kind: "", name: "", generated: "", namespace: "", parameters: [] }, list = [];
  const heads = { kind: "kind", "metadata.name": "name", "metadata.generateName": "generated", "metadata.namespace": "namespace" };
  walk(text, (path, value) => {
    if (heads[path] && value) out[heads[path]] = value;
    const [, index, field, inner] = /^spec\.(?:workflowSpec\.)?arguments\.parameters\.(\d+)\.(\w+)(\.\d+)?$/.exec(path) ?? [];
    if (!field) return;
    const parameter = (list[index] ??= { name: "", value: null, description: "", enum: null });
    if (field === "enum" && inner) (parameter.enum ??= []).push(value);
    else if (field === "default") parameter.value ??= value;
    else if (field === "name" || field === "value" || field === "description") parameter[field] = value ?? parameter[field];
  });
  out.parameters = list.filter((p) => p?.name);
  return out;
}

/** A name a definition may have: lower case, digits, dashes. */
export const named = (text) => text.toLowerCase().replace(/[^a-z0-9.-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "").slice(0, 63);

/** Plain YAML text of a scalar: quoted when a reader could take it for something else. */
export const quoted = (text) =>
  /^[A-Za-z_/][\w ./@+-]*$/.test(text) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(text) && text.trim() === text ? text
    : JSON.stringify(text);

/** The text's top-level entries: [{key, from, to}] in lines. */
function entries(lines) {
  const out = [];
  lines.forEach((line, i) => {
    const key = /^([A-Za-z]\w*)\s*:/.exec(line)?.[1];
    if (key) out.push({ key, from: i, to: lines.length });
    if (key && out.length > 1) out.at(-2).to = i;
  });
  return out;
}

function rewritten(text, kind, name, respec) {
  const lines = text.replace(/\s+$/, "").split("\n"), found = entries(lines);
  const at = (key) => found.find((e) => e.key === key);
  if (!at("kind") || !at("spec") || /^---/m.test(text.replace(/^---\s*\n/, ""))) {
    throw new Error("This works with one manifest in block style: kind, metadata and spec on lines of their own.");
  }
  const out = [];
  let head = 0;
  for (const entry of found) {
    out.push(...lines.slice(head, entry.from));
    head = entry.to;
    const body = lines.slice(entry.from, entry.to);
    if (entry.key === "kind") out.push(`kind: ${kind}`, ...body.slice(1));
    else if (entry.key === "metadata") {
      if (body[0].replace(/#.*/, "").trim() !== "metadata:") throw new Error("Write metadata in block style, one field a line.");
      out.push(body[0], `  name: ${quoted(name)}`, ...body.slice(1).filter((l) => !/^ {1,4}(name|generateName)\s*:/.test(l)));
    } else if (entry.key === "spec") out.push(...respec(body));
    else out.push(...body);
  }
  if (!at("metadata")) out.splice(out.findIndex((l) => l.startsWith("kind:")) + 1, 0, "metadata:", `  name: ${quoted(name)}`);
  return out.join("\n") + "\n";
}

/** The same as a stored template. Throws an Error with words for the reader. */
export const asTemplate = (text, name) => rewritten(text, "WorkflowTemplate", name, (spec) => spec);

/** The same under a schedule. `schedule`: {cron, timezone, policy}. */
export const asSchedule = (text, name, schedule) =>
  rewritten(text, "CronWorkflow", name, (spec) => ["spec:", ...scheduleLines(schedule), "  workflowSpec:",
    ...spec.slice(1).map((l) => l && "  " + l)]);

/** A schedule of a stored template. `parameters`: {name: value}. */
export function scheduleOf(template, cluster, name, schedule, parameters = {}) {
  const names = Object.keys(parameters);
  return [
    "apiVersion: argoproj.io/v1alpha1", "kind: CronWorkflow", "metadata:", `  name: ${quoted(name)}`, "spec:", ...scheduleLines(schedule),
    "  workflowSpec:", "    workflowTemplateRef:", `      name: ${quoted(template)}`, ...(cluster ? ["      clusterScope: true"] : []),
    ...(names.length ? ["    arguments:", "      parameters:"] : []),
    ...names.flatMap((n) => [`        - name: ${quoted(n)}`, `          value: ${JSON.stringify(String(parameters[n]))}`]),
  ].join("\n") + "\n";
}

const scheduleLines = ({ cron, timezone, policy }) => [
  "  schedules:", `    - ${JSON.stringify(cron)}`,
  ...(timezone ? [`  timezone: ${quoted(timezone)}`] : []), ...(policy ? [`  concurrencyPolicy: ${policy}`] : []),
];
