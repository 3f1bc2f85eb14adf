// A schedule's form: choices to cron expressions and back, and what is wrong with an expression in words.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cronOf, formOf, problem } from "../../web/schedules/cron.js";
import { cronField, cronForm } from "../../web/schedules/form.js";

test("every choice becomes an expression that reads back as the same choice", () => {
  for (const [form, cron] of [
    [{ every: "minutes", step: 5 }, "*/5 * * * *"], [{ every: "hour", minute: 15 }, "15 * * * *"], [{ every: "day", hour: 6, minute: 0 }, "0 6 * * *"],
    [{ every: "weekday", hour: 9, minute: 30 }, "30 9 * * 1-5"], [{ every: "week", hour: 9, minute: 30, weekday: 0 }, "30 9 * * 0"], [{ every: "month", hour: 0, minute: 5, day: 31 }, "5 0 31 * *"],
  ]) {
    assert.equal(cronOf(form), cron);
    const back = formOf(cron);
    assert.equal(back.every, form.every, cron);
    assert.equal(cronOf(back), cron);
  }
});

test("what no choice says stays an expression", () => {
  for (const cron of ["0 6 * * 1,3", "*/7 1-5 * * *", "@daily", "0 0 1 1 *", "0 6 * * MON", "61 * * * *", "rubbish"]) assert.deepEqual([formOf(cron).every, formOf(cron).text], ["custom", cron]);
});

test("wrong expressions are told in words, good ones pass", () => {
  for (const good of ["* * * * *", "*/15 0-6,22 1 JAN-MAR mon", "@hourly", "@every 1h30m", "0 0 ? * 7", "5/10 * * * *"]) assert.equal(problem(good), "", good);
  for (const [bad, words] of [["", /Five fields/], ["* * * *", /here are 4/], ["60 * * * *", /“60” is no minute/], ["* 24 * * *", /hour/], ["* * 0 * *", /day of the month/], ["* * * 13 *", /month/], ["* * * * 8", /week/], ["*/0 * * * *", /minute/], ["1- * * * *", /minute/], ["@often", /Five fields/]]) {
    assert.match(problem(bad), words, bad);
  }
});

test("the dialog's fields hold an expression and give it back; fields that do not count are hidden", () => {
  for (const cron of ["15 * * * *", "0 6 * * *", "30 9 * * 1-5", "30 9 * * 3", "0 0 15 * *", "*/15 * * * *", "0 6 * * 1,3"]) {
    const fields = cronForm({ name: "n", cron, timezone: "UTC" }), values = Object.fromEntries(fields.map((f) => [f.name, f.value]));
    assert.equal(cronField(values).cron, cron);
  }
  const shown = (every) => { const fields = cronForm({ name: "n", cron: "0 6 * * *", timezone: "UTC" }); return fields.filter((f) => f.when?.({ every }) ?? true).map((f) => f.name).join(" "); };
  assert.equal(shown("every day"), "name every time timezone policy");
  assert.equal(shown("a cron expression"), "name every text timezone policy");
  assert.throws(() => cronField({ every: "a cron expression", text: "no" }), /Five fields/);
});
