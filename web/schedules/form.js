// The fields of a schedule in a dialog: plain choices, or an expression where they do not do. The server checks both.

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const EVERY = { // what is chosen -> the fields it needs, and its expression
  "every 15 minutes": [[], () => "*/15 * * * *"],
  "every hour": [["minute"], (v) => `${Number(v.minute)} * * * *`],
  "every day": [["time"], (v) => `${clock(v)} * * *`],
  "Monday to Friday": [["time"], (v) => `${clock(v)} * * 1-5`],
  "every week": [["time", "weekday"], (v) => `${clock(v)} * * ${DAYS.indexOf(v.weekday)}`],
  "every month": [["time", "day"], (v) => `${clock(v)} ${Number(v.day)} * *`],
  "a cron expression": [["cron"], (v) => v.cron.trim().replace(/\s+/g, " ")],
};
const clock = (v) => v.time.split(":").map(Number).slice(0, 2).reverse().join(" ");

/** Fields for `ask`. */
export function scheduleFields(name, timezone) {
  const part = (name, label, value, more) => ({ name, label, value, when: (v) => EVERY[v.every][0].includes(name), required: true,
    ...more });
  return [
    { name: "name", label: "Name", value: name, required: true, description: "Lower case letters, digits and dashes." },
    { name: "every", label: "Runs", value: "every day", options: Object.keys(EVERY) },
    part("time", "At", "06:00", { type: "time" }), part("minute", "At minute", "0", { type: "number" }),
    part("weekday", "On", "Monday", { options: DAYS }), part("day", "On day", "1",
      { type: "number", description: "Months without this day are left out." }),
    part("cron", "Cron expression", "0 6 * * *", { description: "Minute, hour, day of the month, month, day of the week." }),
    { name: "timezone", label: "Time zone", value: timezone, options: ["UTC", ...(Intl.supportedValuesOf?.("timeZone") ?? [])] },
    { name: "policy", label: "When the last run still goes", value: "Forbid", options: ["Forbid", "Allow", "Replace"],
      description: "Forbid leaves the new run out, Allow runs both, Replace stops the old one." },
  ];
}

/** The expression that the dialog's values mean. */
export const cronOf = (values) => EVERY[values.every][1](values);
