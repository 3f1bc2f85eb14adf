// A schedule's form: choices become cron expressions, and only the fields that count are shown.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cronOf, scheduleFields } from "../../web/schedules/form.js";

const fields = scheduleFields("n", "UTC");
const values = Object.fromEntries(fields.map((field) => [field.name, field.value]));

test("every choice becomes its expression", () => {
  for (const [every, more, cron] of [
    ["every 15 minutes", {}, "*/15 * * * *"], ["every hour", { minute: "05" }, "5 * * * *"], ["every day", {}, "0 6 * * *"], ["Monday to Friday", { time: "09:30" }, "30 9 * * 1-5"],
    ["every week", { time: "00:05", weekday: "Sunday" }, "5 0 * * 0"], ["every month", { time: "23:59:00", day: "31" }, "59 23 31 * *"], ["a cron expression", { cron: " 0  6 * * 1,3 " }, "0 6 * * 1,3"],
  ]) assert.equal(cronOf({ ...values, every, ...more }), cron);
});

test("only fields that the choice needs are shown", () => {
  const shown = (every) => fields.filter((field) => field.when?.({ every }) ?? true).map((field) => field.name).join(" ");
  assert.equal(shown("every 15 minutes"), "name every timezone policy");
  assert.equal(shown("every week"), "name every time weekday timezone policy");
  assert.equal(shown("a cron expression"), "name every cron timezone policy");
});
