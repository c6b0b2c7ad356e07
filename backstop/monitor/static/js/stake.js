// Layer 3: buckets of exits, income on its way, series.
import { $, empty, h, put, table } from "./dom.js";
import { amount, date, duration, number, percent } from "./format.js";
import { on, panels } from "./live.js";

function draw() {
  const { stake, fund, status } = panels;
  if (!stake || !fund) return;
  const unit = status?.symbol || "", now = status?.time || 0;
  const figure = (label, value) => h("div", {}, h("span", {}, label), h("strong", {}, value));
  put($("stake-figures"), [
    figure("active stake", `${amount(stake.active)} ${unit}`),
    figure("of its cap", percent(stake.cap ? stake.active / stake.cap : null, 0)),
    figure("series", number(stake.series)),
    figure("share of income", percent(fund.staker_share, 0)),
    figure("income on its way", stake.streaming ? `${amount(stake.streaming)} ${unit} in ${duration(stake.stream_end - now)}` : "none"),
    figure("cooldown", stake.cooldown ? duration(stake.cooldown) : "none"),
  ]);
  const rows = stake.buckets.filter((b) => b.assets > 0).map((b) => [
    `bucket ${b.number}`, `${amount(b.assets)} ${unit}`, date(b.maturity), b.maturity ? duration(b.maturity - now) : "–",
    stake.held_until > now ? "held" : "can still lose",
  ]);
  if (rows.length) table($("buckets"), ["exits", "assets", "matures", "in", "state"], rows);
  else put($("buckets"), h("tbody", {}, h("tr", {}, h("td", {}, empty("Nobody is leaving: no open bucket.")))));
}

on(["stake", "fund", "status"], draw);
