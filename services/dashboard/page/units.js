// Numbers for people, by the names that Grafana has for units.

const SI = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];
const LADDERS = {
  s: [[86400, " d"], [3600, " h"], [60, " min"], [1, " s"], [1e-3, " ms"], [1e-6, " µs"]],
  bytes: [[2 ** 30, " GiB"], [2 ** 20, " MiB"], [2 ** 10, " KiB"], [1, " B"]],
  percentunit: [[0.01, " %"]],
  ops: SI.map(([by, name]) => [by, `${name}/s`]),
  short: SI,
  none: SI,
  currencyUSD: SI,
};
// A size is told in the first step of its ladder that it reaches; minutes begin at two, as 90 s is easier to read than 1.5 min.
const REACH = { s: (by) => (by > 1 ? 2 * by : by) };

// What an axis counts in, so that its marks are round: seconds as clocks have them, bytes in powers of two.
const STEPS = {
  s: [1e-6, 1e-5, 1e-4, 1e-3, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
    3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000, 864000, 1728000, 4320000, 8640000],
  bytes: Array.from({ length: 50 }, (_, power) => 2 ** power),
};

export const axisSteps = (unit) => STEPS[unit];

// [divisor, suffix] in which a size is told.
function told(unit, size) {
  const ladder = LADDERS[unit] ?? SI;
  const reach = REACH[unit] ?? ((by) => by);
  return ladder.find(([by]) => size >= reach(by)) ?? ladder.at(-1);
}

const written = (number, digits) =>
  new Intl.NumberFormat("en", { maximumSignificantDigits: digits, useGrouping: true }).format(number);

function join(unit, number, suffix) {
  return unit === "currencyUSD" ? `${number.startsWith("-") ? "-" : ""}$${number.replace("-", "")}${suffix}` : number + suffix;
}

// One value: "230 ms", "12.5 %", "$1.3k".
export function format(unit, value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return join(unit, "0", unit === "percentunit" ? " %" : unit === "ops" ? "/s" : "");
  const size = Math.abs(value);
  const plain = size < 1 && LADDERS[unit]?.at(-1)[0] === 1;
  const [by, suffix] = plain ? LADDERS[unit].at(-1) : told(unit, size);
  return join(unit, written(value / by, 3), suffix);
}

// The marks of an axis, all told in the step of the largest.
export function formatAll(unit, values) {
  const [by, suffix] = told(unit, Math.max(...values.map(Math.abs)));
  return values.map((value) => join(unit, written(value / by, 6), value === 0 && unit !== "percentunit" ? "" : suffix));
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const second = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

// A moment on an axis: the day where it begins, else the time of day.
export function axisTime(seconds, step) {
  const at = new Date(seconds * 1000);
  const midnight = at.getHours() === 0 && at.getMinutes() === 0 && at.getSeconds() === 0;
  if (midnight || step >= 86400) return day.format(at);
  return (step < 60 ? second : clock).format(at);
}

export const moment = (seconds) => `${day.format(seconds * 1000)} ${second.format(seconds * 1000)}`;
export const timeOfDay = (seconds) => second.format(seconds * 1000);
