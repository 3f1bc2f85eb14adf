// Filters of the list of runs: in the address, in words, for the server, and against a run that the stream told of. Pure.

import { quote } from "../lib/format.js";

const HOURS = { "1h": 1, "6h": 6, "24h": 24, "7d": 168, "30d": 720 };
export const NAMES = ["phase", "q", "pipeline", "cron", "label", "parameter", "since", "from", "to"];
export const PHASES = ["Running", "Pending", "Succeeded", "Failed", "Error"];

/** The filters in a query: [[name, value], ...], in the order of `NAMES`; `phase` one by one. */
export function read(query) {
  return NAMES.flatMap((name) => query.getAll(name).flatMap((value) => (name === "phase" ? value.split(",") : [value]))
    .filter(Boolean).map((value) => [name, value]));
}

/** The filters as changes of the address, for `here`: names without a value are taken out. */
export const write = (filters) => Object.fromEntries(NAMES.map((name) => {
  const values = filters.filter(([one]) => one === name).map(([, value]) => value);
  return [name, name === "phase" ? values.join(",") : values];
}));

/** What someone typed: "pipeline:x", "label:team=nlp", "param:lr=1e-4", "since:7d", "phase:failed", else part of the name. */
export function parse(text) {
  const [, name, value] = /^\s*(\w+):\s*(.+?)\s*$/s.exec(text) ?? [null, "q", text.trim()];
  const known = { param: "parameter", name: "q", l: "label", p: "parameter" }[name] ?? name;
  if (known === "phase") {
    const phase = PHASES.find((one) => one.toLowerCase() === value.toLowerCase());
    return phase ? ["phase", phase] : null;
  }
  if (known === "since") return HOURS[value] ? ["since", value] : null;
  if (known === "parameter" && !value.includes("=")) return null;
  return value && NAMES.includes(known) ? [known, value] : null;
}

/** Query of GET /runs. `now`: ms. */
export function asked(filters, now, namespace) {
  const { since, from, to, ...rest } = write(filters);
  const hours = HOURS[since[0]];
  return { namespace, ...rest, label: rest.label.join(","),
    createdAfter: hours ? new Date(now - hours * 3600_000).toISOString() : from[0], createdBefore: to[0] };
}

/** Whether a run passes; null where only the server knows (label selectors beyond NAME=VALUE). */
export function passes(run, filters, now, namespace) {
  if (namespace && run.namespace !== namespace) return false;
  const phases = filters.filter(([name]) => name === "phase").map(([, phase]) => phase);
  if (phases.length && !phases.includes(run.phase)) return false;
  let unsure = false;
  for (const [name, value] of filters) {
    if (name === "q" && !run.name.includes(value)) return false;
    if ((name === "pipeline" || name === "cron") && run[name] !== value) return false;
    if (name === "since" && Date.parse(run.createdAt) < now - HOURS[value] * 3600_000) return false;
    if (name === "from" && run.createdAt < value) return false;
    if (name === "to" && run.createdAt >= value) return false;
    const [, key, wanted] = /^([^=!]+)=([^=]*)$/.exec(value) ?? [];
    if (name === "parameter" && run.parameters?.[key] !== wanted) return false;
    if (name === "label" && (!key || value.includes(","))) unsure = true;
    else if (name === "label" && run.labels?.[key] !== wanted) return false;
  }
  return unsure ? null : true;
}

/** The same filters for `martlet list`. */
export function command(filters, namespace) {
  const words = [["phase", "--status"], ["label", "-l"], ["since", "--since"], ["q", "--prefix"]].map(([name, flag]) => {
    const values = filters.filter(([one]) => one === name).map(([, value]) => value).join(",");
    return values && `${flag} ${quote(values)}`;
  });
  return ["martlet list", namespace && `-n ${namespace}`, ...words].filter(Boolean).join(" ");
}
