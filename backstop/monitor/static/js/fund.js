// Key figures, the fund by layer, the waterfall, solvency ratio.
import { $, colour, h, put } from "./dom.js";
import { around, chart } from "./charts.js";
import { amount, date, duration, number, percent, short } from "./format.js";
import { on, panels, series } from "./live.js";

function tile(label, value, unit, note, kind = "") {
  return h("div", { class: `tile ${kind}` }, h("dl", {}, h("dt", {}, label), h("dd", {}, value, unit && h("small", {}, unit))), h("p", {}, note));
}

function tiles() {
  const { fund, markets, risk, stake, status } = panels;
  if (!fund || !markets || !risk || !stake) return;
  const unit = status?.symbol || "";
  const open = markets.reduce((sum, m) => sum + m.long_notional, 0);
  const used = Math.max(0, ...markets.map((m) => (m.cap ? m.open_long / m.cap : 0)));
  const gap = fund.gap > 0 ? `reserve ${short(fund.gap)} below target` : "reserve at its target";
  put($("tiles"), [
    tile("Fund capital", short(fund.total), unit, `${number(fund.events)} ${fund.events === 1 ? "event" : "events"} covered`),
    fund.ratio === null
      ? tile("Solvency ratio", "–", "", `no target set; ${gap}`, fund.gap > 0 ? "warn" : "")
      : tile("Solvency ratio", number(fund.ratio, 2), "×", `target ${short(fund.target)} ${unit}; ${gap}`, fund.ratio < 0.5 ? "bad" : fund.ratio < 1 ? "warn" : ""),
    tile("Recorded deficit", amount(fund.recorded), unit, fund.recorded > 0 ? "nobody has paid it yet" : "nothing is unpaid", fund.recorded > 0 ? "bad" : ""),
    tile("Below maintenance", number(risk.below), risk.below === 1 ? "account" : "accounts", `${number(risk.at_risk - risk.below)} more within 10 % of ${number(risk.open)} open`, risk.below ? "bad" : ""),
    tile("Open interest", short(open), unit, `fullest market at ${percent(used, 0)} of its cap`),
    tile("Share price", number(stake.share_price, 4), unit, stake.active ? `${short(stake.active)} ${unit} at stake, series ${stake.series}` : "nobody is staked"),
  ]);
}

function layers() {
  const { fund, status, stake } = panels;
  if (!fund) return;
  const unit = status?.symbol || "", largest = Math.max(1, ...fund.layers.map((l) => l.amount));
  const about = {
    compartment: `only for its own market${fund.pending_income ? `; ${amount(fund.pending_income)} ${unit} of income on its way` : ""}`,
    reserve: `target ${amount(fund.reserve_target)}${fund.gap ? `, ${amount(fund.gap)} missing` : ""}${fund.gap_due ? `, due ${date(fund.gap_due)}` : ""}`,
    staked: stake ? `${amount(stake.active)} active, ${amount(stake.slashable - stake.active)} leaving` : "",
  };
  const rows = fund.layers.map((l) => row(l, `${amount(l.amount)} ${unit}`, about[l.key] || "", l.amount / largest));
  rows.push(row({ key: "sideCharged", number: "5", label: "Opposite side" }, "the rest", "tear-up at the mark and a charge, in one step for all"));
  rows.push(row({ key: "recorded", number: "6", label: "Recorded deficit" }, `${amount(fund.recorded)} ${unit}`, fund.recorded ? "repaid first by later income" : "nothing is unpaid"));
  const limits = h("p", { class: "note" }, `Shared layers pay at most ${short(fund.per_claim)} an event and ${short(fund.per_window)} in ${duration(fund.window)}; ${short(fund.window_room)} ${unit} left now.`);
  put($("layers"), rows, limits);
}

function row(layer, value, about, share) {
  const badge = h("span", { class: "n" }, layer.number);
  badge.style.background = colour(layer.key);
  const parts = [badge, h("span", {}, layer.label), h("span", { class: "amount" }, value)];
  if (share !== undefined) {
    const fill = h("b");
    fill.style.width = `${100 * share}%`; fill.style.background = colour(layer.key);
    parts.push(h("div", { class: "bar" }, fill));
  }
  return h("div", { class: "layer" }, parts, about && h("span", { class: "sub" }, about));
}

const fundChart = chart($("chart-fund"), 300), ratioChart = chart($("chart-ratio")), priceChart = chart($("chart-price"));

function charts() {
  const { data } = series, { fund, stake } = panels;
  if (!data.time || !fund) return fundChart.draw(null, "reading the chain");
  const layered = fund.layers.filter((l) => data[`layer:${l.key}`]);
  fundChart.draw({ x: data.time, stacked: true, stepped: true, value: short, series: layered.map((l) => ({ label: l.label, colour: l.key, data: data[`layer:${l.key}`] })) });
  const rated = data.ratio?.some((v) => v !== null);
  ratioChart.draw(rated ? { x: data.time, stepped: true, value: (v) => number(v, 2), series: [{ label: "ratio", colour: "a", fill: true, data: data.ratio }, { label: "lagged", colour: "b", data: data.lagged }, { label: "on target", colour: "good", dash: [5, 4], data: data.time.map(() => 1) }] } : null, "No capital target is set in this deployment, so there is no ratio.");
  const staked = stake && (stake.supply > 0 || stake.series > 1 || data.share_price?.some((v) => v !== 1));
  priceChart.draw(staked ? { x: data.time, stepped: true, y: around, value: (v) => number(v, 4), series: [{ label: "assets a share", colour: "staked", fill: true, data: data.share_price }] } : null, "Nobody has staked yet: the first share costs 1.");
}

on(["fund", "markets", "risk", "stake", "status"], tiles);
on(["fund", "stake", "status"], layers);
on(["series", "fund", "stake"], charts);
