// Numbers and times as people read them. Null and undefined, which mean "not known", become a dash.

export const NONE = "–";

/** Between a number and its unit: no line is broken there. */
const SPACE = "\u00a0";

const known = (write) => (value) => (value === null || value === undefined ? NONE : write(value));

export const count = known((value) => value.toLocaleString("en"));

export const milliseconds = known((value) =>
  (value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en")));

export const withMs = known((value) => `${milliseconds(value)}${SPACE}ms`);

export const factor = known((value) => value.toFixed(value < 0.1 ? 3 : 2));

export const percent = known((value) => `${Math.round(value * 100)}${SPACE}%`);

export const bytes = known((value) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let amount = value;
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${unit === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)}${SPACE}${units[unit]}`;
});

/** Of audio, in seconds: to a tenth while that can be seen. */
export const audio = known((value_s) => (value_s < 60 ? `${value_s.toFixed(1)}${SPACE}s` : duration(value_s)));

/** Of time, in seconds: the two largest units. */
export const duration = known((value_s) => {
  const whole = Math.max(0, Math.floor(value_s));
  const parts = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first < 0) return `0${SPACE}s`;
  return parts
    .slice(first, first + 2)
    .filter(([amount], index) => index === 0 || amount > 0)
    .map(([amount, unit]) => `${amount}${SPACE}${unit}`)
    .join(" ");
});

const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** Of a Date, in local time; the day too where it is not that of `now`. */
export function clock(date, now = new Date()) {
  const time = clockFormat.format(date);
  return date.toDateString() === now.toDateString() ? time : `${dayFormat.format(date)} ${time}`;
}

/** As `clock`, but short: the day alone where it is another one. */
export const clockOrDay = (date, now) =>
  (date.toDateString() === now.toDateString() ? clockFormat : dayFormat).format(date);

/** A code of the protocol as words: `invalid_json` becomes `invalid json`. */
export const words = (code) => String(code ?? "").replaceAll("_", " ");

export const plural = (amount, one, many = `${one}s`) => `${count(amount)} ${amount === 1 ? one : many}`;
