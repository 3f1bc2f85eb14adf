// Numbers, sizes, spans and moments in words. Pure; null gives "".

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"];

/** 1536 -> "1.5 KB" (1,024 a step). */
export function bytes(value) {
  if (value == null) return "";
  let step = 0;
  while (Math.abs(value) >= 1023.5 && step < UNITS.length - 1) [value, step] = [value / 1024, step + 1];
  return `${step && Math.abs(value) < 9.95 ? value.toFixed(1) : Math.round(value)} ${UNITS[step]}`;
}

/** 1234567 -> "1,234,567". */
export const count = (value) => (value == null ? "" : Math.round(value).toLocaleString("en-US"));

/** A measured number: four significant digits, exponents only where zeros would be many. */
export function number(value) {
  if (value == null) return "";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e7) return value.toLocaleString("en-US");
  if (size >= 1e7 || size < 1e-4) return value.toExponential(2).replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}

/** Seconds as "0.4 s", "12 s", "3 m 05 s", "2 h 07 m", "4 d 03 h". */
export function span(seconds) {
  if (seconds == null || Number.isNaN(seconds)) return "";
  if (seconds < 0) seconds = 0;
  if (seconds < 9.95) return `${seconds === 0 ? 0 : Math.max(seconds, 0.1).toFixed(1)} s`.replace(".0 ", " ");
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const two = (value) => String(value).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} m`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

/** Seconds between two moments (RFC 3339); to `now` (ms) while there is no end; null while there is no start. */
export function seconds(start, end, now) {
  if (!start) return null;
  return Math.max(0, ((end ? Date.parse(end) : now) - Date.parse(start)) / 1000);
}

/** "just now", "5 m ago", "in 3 h", "12 Nov" (beyond a week). `time` RFC 3339, `now` ms. */
export function relative(time, now) {
  if (!time) return "";
  const at = Date.parse(time);
  const past = (now - at) / 1000;
  const size = Math.abs(past);
  if (size < 5) return past >= 0 ? "just now" : "in a moment";
  if (size >= 7 * 86400) {
    const year = new Date(at).getFullYear() === new Date(now).getFullYear() ? undefined : "numeric";
    return new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "short", year });
  }
  const [unit, by] = size < 60 ? ["s", 1] : size < 3600 ? ["m", 60] : size < 86400 ? ["h", 3600] : ["d", 86400];
  const words = `${Math.floor(size / by)} ${unit}`;
  return past >= 0 ? `${words} ago` : `in ${words}`;
}

/** The moment in the reader's zone: "21 Nov 2026, 22:01:02". */
export const local = (time) =>
  time ? new Date(time).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" }) : "";

/** The moment in UTC, as it stands in commands: "2026-11-21 22:01:02 UTC". */
export const utc = (time) => (time ? `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC` : "");

/** The hours of the day with seconds, local: "22:01:02". */
export const clock = (time) => (time ? new Date(time).toLocaleTimeString("en-GB") : "");

/** "3/5" -> 0.6; null where there is nothing to divide. */
export function fraction(progress) {
  const [, done, all] = /^(\d+)\/(\d+)$/.exec(progress ?? "") ?? [];
  return Number(all) ? Math.min(1, done / all) : null;
}

/** "1 run", "2 runs". */
export const plural = (value, word) => `${count(value)} ${word}${value === 1 ? "" : "s"}`;

/** A word as a shell takes it whole. */
export const quote = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${String(word).replaceAll("'", "'\\''")}'`);
