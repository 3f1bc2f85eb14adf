// The dialog that makes up for missed times: choose a span, see the instants, then start their runs.

import { api, at } from "../lib/api.js";
import { local, plural, utc } from "../lib/format.js";
import { toast } from "../lib/parts.js";
import { h, paint } from "../lib/view.js";
import { command } from "../pipelines/parts.js";

const SHOWN = 100; // instants in the preview's list
const stamp = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

const told = ({ instants, runs }) => !instants.length ? "It would not have fired in this span."
  : `It would have fired ${instants.length === 1 ? "once" : `${instants.length} times`}, ${runs.length === instants.length ? "without a run so far" : runs.length ? `${runs.length} of them without a run so far` : "each with its run"}.`;

/** Opens the dialog for a schedule; `done` is called when runs were made. */
export function backfill(s, done) {
  const dialog = document.createElement("dialog"), today = new Date().setHours(0, 0, 0, 0);
  const form = { start: stamp(today - 86_400_000), end: stamp(today) };
  let preview = null, error = "", busy = false;
  const moment = (value) => new Date(value).toISOString();
  const set = (name) => (event) => { form[name] = event.target.value; preview = null; draw(); };
  const send = async (event) => {
    event.preventDefault();
    [busy, error] = [true, ""];
    draw();
    try {
      const dry = !preview;
      const answer = await api.post(at`/schedules/${s.namespace}/${s.name}/backfill`,
        { start: moment(form.start), end: moment(form.end), preview: dry });
      if (dry) preview = answer;
      else { toast(`${plural(answer.runs.length, "run")} started.`); dialog.close(); done(); }
    } catch (problem) { error = problem.message; }
    busy = false;
    draw();
  };
  const field = (name, words) => h("div", { class: "field" }, h("label", { for: `backfill-${name}` }, words),
    h("input", { id: `backfill-${name}`, type: "datetime-local", required: true, value: form[name], oninput: set(name) }));
  const draw = () => paint(dialog, h("form", { method: "dialog", onsubmit: send },
    h("h2", { id: "backfill-title" }, `Backfill ${s.name}`),
    h("p", null, "Starts a run for each time the schedule would have fired. Times that had their run get none."),
    field("start", "From"), field("end", "Until"),
    preview && h("div", { role: "status" }, h("h3", null, told(preview)),
      h("ol", { class: "instants" }, preview.instants.slice(0, SHOWN).map((t) => h("li", { key: t, title: utc(t) }, local(t)))),
      preview.instants.length > SHOWN && h("p", { class: "dim" }, `and ${preview.instants.length - SHOWN} more`)),
    error && h("p", { class: "problem", role: "alert" }, error),
    h("details", null, h("summary", null, "As a command"), h("m-command",
      { state: form.start && form.end ? command(["cron", "backfill", s.name, "--start", moment(form.start), "--end",
      moment(form.end)], s.namespace) : "" })),
    h("footer", null, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
      h("button", { class: "primary", disabled: busy || preview?.runs.length === 0 },
        busy ? "…" : preview ? `Start ${plural(preview.runs.length, "run")}` : "Show times"))));
  dialog.setAttribute("aria-labelledby", "backfill-title");
  dialog.onclose = () => dialog.remove();
  draw();
  document.body.append(dialog);
  dialog.showModal();
}
