// Which of two evaluated models is better: a paired test over tasks, said in words.

/** Whether less is better of a metric by its name. */
export const lessIsBetter = (name) => /loss|perplexity|ppl|error|\bwer\b|\bcer\b|latency|seconds|bytes/i.test(name);

/** Two-sided probability of a normal deviate as large as |z|. Source: Abramowitz and Stegun 7.1.26; off by less than 2e-7. */
export function probability(z) {
  const x = Math.abs(z) / Math.SQRT2, t = 1 / (1 + 0.3275911 * x);
  return t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * Math.exp(-x * x);
}

/**
 * Compares run `b` with run `a` over `evaluations` ([{task, metric, values, errors}]). Each task's difference is turned so
 * that more is better. The standard errors of both are taken as independent, which is cautious when both answered the same
 * questions. Returns {tasks, better, worse, mean, error, z, p, rows: [{task, metric, difference, error, sure}]}, or null without
 * a task that has values and errors of both.
 */
export function paired(evaluations, a, b) {
  const rows = [];
  for (const { task, metric, values, errors } of evaluations) {
    const all = [values?.[a], values?.[b], errors?.[a], errors?.[b]];
    if (!all.every((v) => Number.isFinite(v))) continue;
    const difference = (all[1] - all[0]) * (lessIsBetter(metric) ? -1 : 1), error = Math.hypot(all[2], all[3]);
    rows.push({ task, metric, difference, error, sure: Math.abs(difference) > 1.96 * error });
  }
  if (!rows.length) return null;
  const mean = rows.reduce((sum, r) => sum + r.difference, 0) / rows.length;
  const error = Math.hypot(...rows.map((r) => r.error)) / rows.length;
  const z = error > 0 ? mean / error : mean === 0 ? 0 : Math.sign(mean) * Infinity;
  return {
    rows, tasks: rows.length, better: rows.filter((r) => r.difference > 0).length, worse: rows.filter((r) => r.difference < 0).length,
    mean, error, z, p: Number.isFinite(z) ? probability(z) : 0,
  };
}

/** The verdict for people. `nameA` is what is compared with. */
export function verdict(test, nameA, nameB) {
  if (!test) return "There are no evaluations with errors of both runs, so nothing can be said about chance.";
  const many = test.tasks === 1 ? "the one task" : `${test.tasks} tasks`;
  const size = `${signed(test.mean)} ± ${plain(1.96 * test.error)} on average over ${many}`;
  const chance = test.p < 0.001 ? "p < 0.001" : `p = ${test.p.toFixed(3)}`;
  const counts = test.tasks > 1 ? ` It leads on ${test.better}, trails on ${test.worse}.` : "";
  if (test.p >= 0.05) return `${nameB} and ${nameA} cannot be told apart: ${size} is within chance (${chance}).${counts}`;
  return `${nameB} is ${test.mean > 0 ? "better" : "worse"} than ${nameA}: ${size}, more than chance explains (${chance}).${counts}`;
}

export const plain = (x) => String(Number(x.toPrecision(2)));
export const signed = (x) => (x > 0 ? "+" : x < 0 ? "−" : "±") + plain(Math.abs(x));
