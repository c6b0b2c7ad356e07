// Numbers and times as people read them.

const cache = new Map();
function formatter(places) {
  if (!cache.has(places)) cache.set(places, new Intl.NumberFormat("en-US", { minimumFractionDigits: places, maximumFractionDigits: places }));
  return cache.get(places);
}
const minus = (text) => text.replace("-", "−");

export const number = (value, places = 0) => (value === null || value === undefined ? "–" : minus(formatter(places).format(value)));

/** 1234567 as 1,234,567; 12.345 as 12.35. */
export const amount = (value) => number(value, value !== null && value !== 0 && Math.abs(value) < 100 ? 2 : 0);

/** 1234567 as 1.23 M. */
export function short(value) {
  if (value === null || value === undefined) return "–";
  for (const [size, letter] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]]) {
    const scaled = value / size;
    if (Math.abs(scaled) >= (size === 1e3 ? 10 : 1)) return `${number(scaled, Math.abs(scaled) < 10 ? 2 : Math.abs(scaled) < 100 ? 1 : 0)} ${letter}`;
  }
  return amount(value);
}

export const percent = (value, places = 1) => (value === null || !Number.isFinite(value) ? "–" : `${number(100 * value, places)} %`);
export const signed = (value, places = 0) => `${value > 0 ? "+" : ""}${number(value, places)} %`;
export const price = (value) => number(value, value >= 1000 ? 0 : value >= 1 ? 2 : 6);
export const size = (value) => minus(String(Number(value.toPrecision(4)).toLocaleString("en-US", { maximumFractionDigits: 6 })));

const two = (n) => String(n).padStart(2, "0");
export function clock(seconds) {
  const d = new Date(seconds * 1000);
  return `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`;
}
export function date(seconds) {
  return seconds ? `${new Date(seconds * 1000).toISOString().slice(0, 10)} ${clock(seconds)} UTC` : "–";
}
export function duration(seconds) {
  if (seconds <= 0) return "now";
  const days = Math.floor(seconds / 86400), hours = Math.floor((seconds % 86400) / 3600), minutes = Math.floor((seconds % 3600) / 60);
  if (days) return hours ? `${days} d ${hours} h` : `${days} d`;
  if (hours) return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
  return minutes ? `${minutes} min` : `${Math.round(seconds)} s`;
}
export const account = (text) => {
  const [owner, sub] = text.split("/");
  return `${owner.slice(0, 6)}…${owner.slice(-4)}/${sub}`;
};
