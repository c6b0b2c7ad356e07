// Parameters in force, and scheduled changes that wait for their delay.
import { $, h, put, table, tabs } from "./dom.js";
import { date, duration } from "./format.js";
import { on, panels } from "./live.js";

let chosen = 0;

function change(one) {
  const when = one.waiting > 0 ? `may happen in ${duration(one.waiting)}, ${date(one.ready)}` : `may happen since ${date(one.ready)}`;
  return h("div", { class: "change", "data-operation": one.operation },
    h("strong", {}, `${one.contract}.${one.function}`), h("div", { class: "sub" }, when),
    h("div", { class: "sub" }, one.changes.map((c) => (c.from === undefined ? `${c.name} ${c.to}` : `${c.name} ${c.from} → ${c.to}`)).join(", ")));
}

function draw() {
  const { rules } = panels;
  if (!rules) return;
  put($("pending"), rules.pending.length ? rules.pending.map(change) : h("p", { class: "note" }, "No change is pending."));
  tabs($("rules-tabs"), rules.markets.map((m) => [m.market, m.name]), chosen, (key) => { chosen = key; draw(); });
  const market = rules.markets[chosen] || rules.markets[0];
  if (market) table($("rules"), ["parameter", "value"], market.parameters.map((p) => [p.name, p.value]));
}

on(["rules"], draw);
