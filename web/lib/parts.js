// Small parts that many views use: moments, meters, the command behind an action, dialogs that ask, words that pass.

import { h, paint } from "./dom.js";
import { local, relative, utc } from "./format.js";
import { now } from "./state.js";

/** A moment, relative; exact in the reader's zone and in UTC on hover. */
export const moment = (time, words) =>
  time ? h("time", { datetime: time, title: `${local(time)}\n${utc(time)}` }, words ?? relative(time, now())) : h("span", { class: "dim" }, "–");

/** A share from 0 to 1 as a thin bar. `mark` is a share too: what is usual. */
export const meter = (share, { label, phase = "Running", mark } = {}) =>
  h("span", { class: `meter p-${phase}`, role: "img", "aria-label": label ?? `${Math.round(share * 100)} %` },
    h("i", { style: { width: `${Math.min(1, share) * 100}%` } }),
    mark != null && mark < 1 && h("u", { style: { left: `${mark * 100}%` } }));

/** Copies a text and says so. */
export async function copy(text, what = "Command") {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied.`);
  } catch {
    toast("The browser does not let this page copy. Select the text and copy it by hand.", true);
  }
}

/** A command with a button that copies it: <m-command>, state = the command. */
class Command extends HTMLElement {
  connectedCallback() {
    if (this.pending) this.render(this.pending);
  }
  render(text) {
    this.pending = null;
    paint(this, h("code", null, text),
      h("button", { class: "plain", title: "Copy", "aria-label": "Copy the command", onclick: () => copy(text) }, "Copy"));
  }
}
customElements.define("m-command", Command);

/** Says something for some seconds; `bad` stays until it is clicked away. */
export function toast(words, bad = false) {
  let host = document.getElementById("toasts");
  if (!host) {
    host = document.createElement("div");
    Object.assign(host, { id: "toasts", role: "status" });
    host.setAttribute("aria-live", "polite");
    document.body.append(host);
  }
  const note = document.createElement("div");
  note.className = bad ? "bad" : "";
  const close = () => note.remove();
  paint(note, h("span", null, words), bad && h("button", { class: "plain", onclick: close, "aria-label": "Dismiss" }, "×"));
  host.append(note);
  while (host.childElementCount > 4) host.firstChild.remove();
  if (!bad) setTimeout(close, 4000);
}

/** Asks in a dialog. `fields`: [{name, label, value, options?, description?, multiline?, required?, when?(values)}]; `lost`: what will
 * be lost, for what destroys; `command(values)`: the same as a command; `act(values)` does it, and what it throws is
 * shown in the dialog, which stays open. Resolves to the values, or to null when it was left. */
export function ask({ title, words, lost, fields = [], action = "OK", danger = false, command, act }) {
  const dialog = document.createElement("dialog");
  const values = Object.fromEntries(fields.map(({ name, value }) => [name, value ?? ""]));
  let error = null;
  let busy = false;
  const draw = () => paint(dialog, h("form", { method: "dialog", onsubmit: submit },
    h("h2", { id: "asked" }, title),
    words && h("p", null, words),
    lost && h("p", { class: "lost" }, lost),
    fields.map((field) => (field.when?.(values) ?? true) && input(field, values, draw)),
    error && h("p", { class: "problem", role: "alert" }, error),
    command && h("details", null, h("summary", null, "As a command"), h("m-command", { state: command(values) })),
    h("footer", null,
      h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
      h("button", { class: danger ? "danger" : "primary", disabled: busy, autofocus: !fields.length }, busy ? "…" : action))));
  dialog.setAttribute("aria-labelledby", "asked");
  let result = null;
  async function submit(event) {
    event.preventDefault();
    [busy, error] = [true, null];
    draw();
    try {
      await act?.(values);
      result = values;
      dialog.close();
    } catch (problem) {
      [busy, error] = [false, problem.message];
      draw();
    }
  }
  draw();
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      dialog.remove();
      resolve(result);
    };
  });
}

/** One field of a form, its label above and its description below. Changes go into `values`, then `changed`. */
export function input(field, values, changed) {
  const { name, label = name, options, description, multiline, required, type = "text" } = field;
  const set = (event) => {
    values[name] = type === "checkbox" ? event.target.checked : event.target.value;
    changed?.(name);
  };
  const shared = { id: `field-${name}`, oninput: set, required, "aria-describedby": description ? `about-${name}` : null };
  const control =
    type === "checkbox" ? h("input", { ...shared, type, checked: Boolean(values[name]) })
    : options ? h("select", { ...shared, value: values[name] },
        !options.includes(values[name]) && h("option", { value: values[name] }, values[name] || "Choose…"),
        options.map((option) => h("option", { value: option, selected: option === values[name] }, option)))
    : multiline || String(values[name]).includes("\n") ? h("textarea", { ...shared, rows: 4, value: values[name] })
    : h("input", { ...shared, type, value: values[name], autocomplete: "off", spellcheck: "false" });
  return h("div", { class: `field ${type}`, key: name }, h("label", { for: `field-${name}` }, label), control,
    description && h("small", { id: `about-${name}` }, description));
}

/** Tabs as links that change one name of the query. `tabs`: [[id, label, count?]]. */
export const tabs = (list, chosen, address, label) =>
  h("nav", { class: "tabs", "aria-label": label },
    list.map(([id, words, number]) => h("a", { key: id, href: address(id), "aria-current": id === chosen ? "page" : null },
      words, number != null && h("small", null, number))));
