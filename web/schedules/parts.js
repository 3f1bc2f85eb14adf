// A schedule's state in words and what can be done with it; the list and the schedule's own view share them.

import { api, at } from "../lib/api.js";
import { clock, local, relative, span, utc } from "../lib/format.js";
import { ask, toast } from "../lib/parts.js";
import { icon } from "../lib/phase.js";
import { go } from "../lib/router.js";
import { now } from "../lib/state.js";
import { h } from "../lib/view.js";
import { action, command } from "../pipelines/parts.js";
import { backfill } from "./backfill.js";

/** "in 3 h" with the local day and time beside it. */
export function nextFire(schedule) {
  const next = schedule.suspended || schedule.stopped ? null : schedule.next?.[0];
  if (!next) return h("span", { class: "dim" }, "–");
  return h("time", { datetime: next, title: `${local(next)}\n${utc(next)}` }, relative(next, now()), h("small", null, day(next, now())));
}

/** The day as people say it, and the hour: "today 06:00", "Tue 06:00", "3 Dec 06:00". */
export function day(time, at) {
  const then = new Date(time), midnight = new Date(at).setHours(0, 0, 0, 0),
    days = Math.floor((new Date(time).setHours(12, 0, 0, 0) - midnight) / 86_400_000);
  const word = days === 0 ? "today" : days === 1 ? "tomorrow" : days === -1 ? "yesterday"
    : then.toLocaleDateString("en-GB", days > 1 && days < 7 ? { weekday: "long" } : { day: "numeric", month: "short",
      ...(then.getFullYear() !== new Date(at).getFullYear() && { year: "numeric" }) });
  return `${word} ${clock(time).slice(0, 5)}`;
}

export function stateOf(s) {
  if (s.stopped) return h("span", { class: "badge p-Skipped" }, icon("Skipped"), "stopped");
  if (s.suspended) return h("span", { class: "badge p-Suspended" }, icon("Suspended"), "suspended");
  if (s.lateSeconds) return h("span", { class: "badge p-Suspended", title: "The last fire has no run yet." }, icon("Error"),
    `${span(s.lateSeconds)} late`);
  if (s.active?.length) return h("span", { class: "badge p-Running" }, icon("Running"), "running");
  return h("span", { class: "dim" }, "waits");
}

/** Buttons of a schedule. `done` is called after a change. */
export function actions(s, done, short = false) {
  const { namespace, name } = s;
  const act = (work, words) => async () => {
    try { await work(); toast(words); done(); } catch (error) { toast(error.message, true); }
  };
  const set = (verb) => api.put(at`/api/v1/cron-workflows/${namespace}/${name}` + `/${verb}`, { namespace, name });
  const run = () => ask({
    title: `Run ${name} now?`, words: "This run does not count as one of the schedule's times.", action: "Run now",
    command: () => command(["submit", "--from", `cronwf/${name}`], namespace),
    act: async () => { const made = await api.post(at`/schedules/${namespace}/${name}/run`,
      {}); go(at`/runs/${made.namespace}/${made.name}`); },
  });
  return h("div", { class: "row" },
    action("Run now", run, { namespace, label: short ? `Run ${name} now` : null }),
    s.suspended ? action("Resume", act(() => set("resume"), `${name} is resumed.`), { namespace, label: short ? `Resume ${name}` : null })
      : action("Suspend", act(() => set("suspend"), `${name} is suspended. Resume it any time.`),
        { namespace, label: short ? `Suspend ${name}` : null }),
    !short && action("Backfill…", () => backfill(s, done), { namespace }),
    !short && h("a", { class: "button", href: `/submit?${new URLSearchParams({ schedule: name, in: namespace })}` }, "Edit"),
    !short && action("Delete", async () => {
      const gone = await ask({
        title: `Delete ${name}?`, lost: "The schedule is lost and fires no more. Its runs stay.", action: "Delete", danger: true,
        command: () => command(["cron", "delete", name], namespace), act: () => api.delete(at`/api/v1/cron-workflows/${namespace}/${name}`),
      });
      if (gone) { toast(`${name} is deleted.`); go("/schedules"); }
    }, { namespace, kind: "danger" }));
}
