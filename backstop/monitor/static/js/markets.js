// Open interest by market and side, and what covers each market.
import { $, h, marketColours, table } from "./dom.js";
import { chart } from "./charts.js";
import { amount, number, percent, price, short, size } from "./format.js";
import { on, panels, series } from "./live.js";

const interest = chart($("chart-oi"));

function openInterest() {
  const { data } = series, { markets } = panels;
  if (!data.time || !markets) return;
  const open = markets.some((m) => m.long_notional > 0) || markets.some((m) => data[`long:${m.number}`]?.some((v) => v));
  interest.draw(open ? {
    x: data.time, value: short, stepped: true,
    series: markets.map((m, i) => ({ label: m.name, colour: marketColours[i % 6], fill: i === 0, data: data[`long:${m.number}`] || [] })),
  } : null, "No position is open.");
}

function meter(share, bad) {
  const fill = h("b");
  fill.style.width = `${Math.min(100, 100 * share)}%`;
  if (bad) fill.style.background = "var(--bad)";
  return h("span", { class: "meter" }, fill);
}

function coverage() {
  const { markets, status } = panels;
  if (!markets) return;
  const unit = status?.symbol || "";
  const rows = markets.map((m) => [
    h("td", {}, h("strong", {}, m.name), m.paused && h("small", { class: "warn" }, " paused"), ...m.feeds.map((f) => h("small", { class: "warn" }, ` ${f}`))),
    h("td", {}, price(m.mark), m.validity !== "full" && h("small", { class: "bad" }, ` ${m.validity}`)),
    price(m.index),
    h("td", { title: `${amount(m.long_notional)} ${unit}` }, size(m.open_long)),
    h("td", { title: `${amount(m.short_notional)} ${unit}` }, size(m.open_short)),
    h("td", {}, percent(m.cap ? m.open_long / m.cap : 0, 0), meter(m.cap ? m.open_long / m.cap : 0)),
    percent(m.premium, 3),
    h("td", {}, amount(m.compartment), h("small", {}, ` / ${short(m.compartment_cap)}`), meter(m.compartment_cap ? m.compartment / m.compartment_cap : 0)),
    amount(m.room),
    percent(m.long_notional ? m.compartment / m.long_notional : null, 2),
    h("td", { class: m.recorded > 0 ? "bad" : "" }, amount(m.recorded)),
  ]);
  table($("coverage"), ["market", "mark", "index", "long", "short", "of OI cap", "premium", `compartment / cap, ${unit}`, "shared room", "of OI", "recorded deficit"], rows);
}

on(["series", "markets"], openInterest);
on(["markets", "status"], coverage);
