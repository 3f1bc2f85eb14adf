// What lists of definitions share: the bar code of last runs, keys that walk rows, buttons that need a role.

import { at, may } from "../lib/api.js";
import { quote, relative, span } from "../lib/format.js";
import { h } from "../lib/view.js";
import { icon } from "../lib/phase.js";
import { now } from "../lib/state.js";
import { sheet } from "../lib/sheet.js";

await sheet("/pipelines/pipelines.css");

/** A table of rows {key, cells, class}; on narrow screens each row stacks, and cells say their column themselves.
 * `spare`: columns that a narrow screen does without. */
export const list = (head, rows, { spare = [], numbers = [] } = {}) => {
  const kind = (i) => [spare.includes(i) && "spare", numbers.includes(i) && "num"].filter(Boolean).join(" ");
  return h("div", { class: "wide" }, h("table", { class: "list" },
    h("thead", null, h("tr", null,
      head.map((words, i) => h("th", { scope: "col", class: kind(i) }, words || h("span", { class: "sr" }, "Actions"))))),
    h("tbody", null, rows.map(({ key, cells, class: look }) => h("tr", { key, class: look },
      cells.map((cell, i) => h("td", { class: kind(i), "data-label": i ? head[i] : null }, cell)))))));
};

/** Last runs as bars: colour and shape of the phase, height by duration. `runs` newest last. */
export function barcode(runs, namespace) {
  const longest = Math.max(1, ...runs.map((r) => r.seconds ?? 0));
  if (!runs.length) return h("span", { class: "dim" }, "no runs yet");
  return h("span", { class: "barcode", role: "list", "aria-label": "Last runs, oldest first" }, runs.map((r) =>
    h("a", {
      key: r.uid, role: "listitem", href: at`/runs/${r.namespace ?? namespace}/${r.name}`, class: `p-${r.phase}`,
      title: `${r.name}\n${r.phase}${r.seconds == null ? "" : `, ${span(r.seconds)}`}\n${relative(r.startedAt, now())}`,
      "aria-label": `${r.phase}${r.seconds == null ? "" : ` in ${span(r.seconds)}`}, ${r.name}`,
    }, h("i", { style: { height: `${Math.max(22, 100 * Math.sqrt((r.seconds ?? 0) / longest))}%` } }))));
}

/** Last runs as shapes of their phases. */
export const dots = (runs, namespace) => h("span", { class: "dots", role: "list", "aria-label": "Last runs, oldest first" },
  runs.map((r) => h("a", { key: r.uid, role: "listitem", href: at`/runs/${namespace}/${r.name}`,
    title: `${r.name}\n${r.phase}, ${relative(r.scheduledAt, now())}`, "aria-label": `${r.phase}, ${r.name}` }, icon(r.phase))));

/** j and k walk the rows' links (class "item"); Enter is the link's own. */
export function rowKeys(view) {
  const move = (by) => () => {
    const links = [...view.querySelectorAll("a.item")], now = links.indexOf(document.activeElement);
    links[Math.min(links.length - 1, Math.max(0, now < 0 ? 0 : now + by))]?.focus();
  };
  return { j: ["next row", move(1)], k: ["previous row", move(-1)], Enter: ["open the row", () => false] };
}

/** Calls `work` at most once in `wait` ms however often it is asked to, so that a busy stream cannot keep a list from loading. */
export function calmly(view, work, wait = 1000) {
  let timer = null;
  view.ends(() => clearTimeout(timer));
  return () => { timer ??= setTimeout(() => { timer = null; work(); }, wait); };
}

/** A button for what needs a role in a namespace; without it the reader learns why it is off. */
export function action(words, act, { role = "editor", namespace, kind = "", label } = {}) {
  const allowed = may(role, namespace);
  return h("button", { type: "button", class: kind, onclick: act, disabled: !allowed, "aria-label": label,
    title: allowed ? null : `This needs the role ${role}${namespace ? ` in ${namespace}` : ""}.` }, words);
}

/** A command line of words, each quoted where a shell needs it, and the namespace at its end. */
export const command = (words, namespace) => ["martlet", ...words.map((w) => quote(String(w))),
  ...(namespace ? ["-n", quote(namespace)] : [])].join(" ");

export const flags = (parameters) => Object.entries(parameters).flatMap(([name, value]) => ["-p", `${name}=${value}`]);

/** A workflow's parameter as a field of a form. */
export const parameterField = (p) => ({ name: p.name, value: p.value ?? "", options: p.enum, description: p.description,
  multiline: String(p.value ?? "").includes("\n"), required: p.value == null });

/** Those of `values` that differ from what the definition says, which are the ones to send. */
export const changed = (parameters, values) =>
  Object.fromEntries(parameters.filter((p) => values[p.name] !== undefined
    && values[p.name] !== (p.value ?? "")).map((p) => [p.name, values[p.name]]));

/** A manifest to read, in colour, beginning closed. */
export function manifest(yaml, tokens, lineStates) {
  const lines = yaml.split("\n").slice(0, 5000), states = lineStates(lines);
  return h("details", { class: "manifest" }, h("summary", null, "Manifest"),
    h("pre", { tabindex: 0 },
      lines.map((line, i) => [tokens(line, states[i]).map(([kind, text]) => h("span", { class: kind && `t-${kind}` }, text)), "\n"])));
}
