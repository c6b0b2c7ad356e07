// The slider: what a jump of the marks would cost, and who would pay.
import { $, colour, h, put, split } from "./dom.js";
import { chart } from "./charts.js";
import { amount, number, short, signed } from "./format.js";
import { on, panels } from "./live.js";

const costs = chart($("chart-shock"), 200);
const slider = $("shock-move"), choice = $("shock-market");
let options = "";

function layerNames() {
  const names = panels.fund.layers.map((l) => ({ key: l.key, label: `${l.number} ${l.label}` }));
  return [...names, { key: "sideCharged", label: "5–6 Opposite side, recorded" }];
}

/** Minutes of the shortest fair window that any market has; 0 without windows. */
const windows = (markets) => Math.min(...markets.map((m) => m.fair_window || Infinity)) % Infinity || 0;

function draw() {
  const { shock, fund, markets, status } = panels;
  if (!shock || !fund || !markets) return;
  const wanted = markets.map((m) => m.name).join();
  if (wanted !== options) {
    const before = choice.value || "all";
    put(choice, h("option", { value: "all" }, "all"), markets.map((m) => h("option", { value: String(m.number) }, m.name)));
    choice.value = before; options = wanted;
  }
  const unit = status?.symbol || "", ladder = shock[choice.value] || shock.all;
  const move = Number(slider.value), i = ladder.move.indexOf(move), names = layerNames();
  $("shock-out").textContent = signed(move);
  const figure = (label, value, kind = "") => h("div", {}, h("span", {}, label), h("strong", { class: kind }, value));
  put($("shock-figures"), [
    figure("liquidatable", `${number(ladder.liquidatable[i])} accounts`),
    figure(`their notional, ${unit}`, short(ladder.notional[i])),
    figure("bankrupt", `${number(ladder.bankrupt[i])} accounts`, ladder.bankrupt[i] ? "warn" : ""),
    figure(`deficit, ${unit}`, amount(ladder.deficit[i]), ladder.deficit[i] ? "bad" : ""),
    figure(`lost by the fund's inventory, ${unit}`, amount(ladder.inventory[i]), ladder.inventory[i] ? "bad" : ""),
    windows(markets) ? figure(`waits for a fair window (${windows(markets)} min), at least, ${unit}`, amount(ladder.waits[i])) : null,
  ]);
  const lost = { key: "inventory", label: "Fund's inventory", amount: ladder.inventory[i] };
  const parts = [lost, ...names.map((layer, place) => ({ ...layer, amount: ladder.paid[i][place] ?? 0 }))].filter((p) => p.amount > 0.005);
  put($("shock-bar"), split(parts), h("div", { class: "legend" }, parts.length ? parts.map((p) => {
    const dot = h("i"); dot.style.background = colour(p.key);
    return h("span", {}, dot, `${p.label}: ${amount(p.amount)}`);
  }) : h("span", {}, "no deficit: margins carry this jump")));
  const some = [...ladder.deficit, ...ladder.inventory].some((v) => v > 0);
  costs.draw(some ? {
    x: ladder.move, linear: true, stacked: true, xLabel: "jump", xValue: (v) => signed(v), value: short, range: () => [-60, 60],
    series: [{ label: lost.label, colour: lost.key, data: ladder.inventory }, ...names.map((layer, place) => ({ label: layer.label, colour: layer.key, data: ladder.paid.map((p) => p[place] ?? 0) }))],
    marker: () => Number(slider.value),
  } : null, "No jump up to 60 % would cost the fund anything.");
}

slider.addEventListener("input", draw);
choice.addEventListener("change", draw);
on(["shock", "fund", "markets", "status"], draw);
