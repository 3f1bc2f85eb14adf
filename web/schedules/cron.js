// The plain choices of a schedule's form as a cron expression and back. What the choices cannot say stays an
// expression; the server says in words what it means and when it fires.

export const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/** `form`: {every: "minutes"|"hour"|"day"|"weekday"|"week"|"month"|"custom", step, minute, hour, weekday, day, text}. */
export function cronOf(form) {
  const { step = 15, minute = 0, hour = 0, weekday = 1, day = 1 } = form;
  switch (form.every) {
    case "minutes": return `*/${step} * * * *`;
    case "hour": return `${minute} * * * *`;
    case "day": return `${minute} ${hour} * * *`;
    case "weekday": return `${minute} ${hour} * * 1-5`;
    case "week": return `${minute} ${hour} * * ${weekday}`;
    case "month": return `${minute} ${hour} ${day} * *`;
    default: return (form.text ?? "").trim().replace(/\s+/g, " ");
  }
}

/** The form of an expression; one that no choice says is "custom". */
export function formOf(text) {
  const cron = text.trim().replace(/\s+/g, " ");
  for (const every of ["minutes", "hour", "day", "weekday", "week", "month"]) {
    const [a, b, c, , e] = cron.split(" ");
    const form = { every, step: Number((a ?? "").replace("*/", "")), minute: Number(a), hour: Number(b), day: Number(c), weekday: Number(e) };
    if (cronOf(form) === cron && !/NaN/.test(cronOf(form)) && !problem(cron)) return { ...form, text: cron };
  }
  return { every: "custom", text: cron };
}

const fields = [["minute", 0, 59], ["hour", 0, 23], ["day of the month", 1, 31], ["month", 1, 12], ["day of the week", 0, 7]];
const names = /^(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)$/i;

/** What is plainly wrong with an expression, in words, or "". */
export function problem(text) {
  const cron = text.trim();
  if (/^@(yearly|annually|monthly|weekly|daily|midnight|hourly|every \S+)$/.test(cron)) return "";
  const parts = cron.split(/\s+/);
  if (!cron || parts.length !== 5) return `Five fields are wanted (${fields.map((f) => f[0]).join(", ")}); here are ${cron ? parts.length : 0}.`;
  for (const [i, [name, low, high]] of fields.entries()) {
    for (const piece of parts[i].split(",")) {
      const match = /^(\*|\?|\w+)(?:-(\w+))?(?:\/(\d+))?$/.exec(piece);
      const wrong = !match || [match[1], match[2]].some((v) => v !== undefined && v !== "*" && v !== "?" && !names.test(v) && !(/^\d+$/.test(v) && v >= low && v <= high));
      if (wrong || match[3] === "0") return `“${piece}” is no ${name} (${low} to ${high}).`;
    }
  }
  return "";
}
