// The fields of a schedule in a dialog, and what they say as a cron expression.

import { cronOf, days, formOf, problem } from "./cron.js";

const EVERY = { "every 15 minutes": "minutes", "every hour": "hour", "every day": "day", "Monday to Friday": "weekday", "every week": "week", "every month": "month", "a cron expression": "custom" };

const is = (...kinds) => (values) => kinds.includes(EVERY[values.every]);
const two = (n) => String(n).padStart(2, "0");

/** Fields for `ask`, filled from an expression. */
export function cronForm({ name, cron, timezone }) {
  const form = formOf(cron), zones = Intl.supportedValuesOf?.("timeZone") ?? [];
  return [
    { name: "name", label: "Name", value: name, required: true, description: "Lower case letters, digits and dashes." },
    { name: "every", label: "Runs", value: Object.keys(EVERY).find((words) => EVERY[words] === form.every), options: Object.keys(EVERY) },
    { name: "time", label: "At", type: "time", value: `${two(form.hour || 0)}:${two(form.minute || 0)}`, when: is("day", "weekday", "week", "month") },
    { name: "minute", label: "At minute", type: "number", value: String(form.minute || 0), when: is("hour") },
    { name: "weekday", label: "On", value: days[form.weekday || 1], options: days, when: is("week") },
    { name: "day", label: "On day", type: "number", value: String(form.day || 1), description: "Months without this day are left out.", when: is("month") },
    { name: "text", label: "Cron expression", value: cron, description: "Minute, hour, day of the month, month, day of the week.", when: is("custom") },
    { name: "timezone", label: "Time zone", value: timezone, options: zones.length ? zones : null },
    { name: "policy", label: "When the last run still goes", value: "Forbid", options: ["Forbid", "Allow", "Replace"], description: "Forbid leaves the new run out, Allow runs both, Replace stops the old one." },
  ];
}

/** The dialog's values with their expression as `cron`. Throws an Error in words for the reader. */
export function cronField(values) {
  const [hour, minute] = (values.time || "0:00").split(":").map(Number);
  const cron = cronOf({ every: EVERY[values.every], hour, minute: EVERY[values.every] === "hour" ? Number(values.minute) : minute, weekday: days.indexOf(values.weekday), day: Number(values.day), text: values.text });
  const wrong = problem(cron);
  if (wrong) throw new Error(wrong);
  return { ...values, cron };
}
