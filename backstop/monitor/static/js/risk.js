// Accounts by health, the least healthy ones, liquidation levels.
import { $, colour, empty, h, put, table, tabs } from "./dom.js";
import { chart } from "./charts.js";
import { account, amount, number, price, short, signed, size } from "./format.js";
import { on, panels } from "./live.js";

const bandColours = { bankrupt: "recorded", below: "sideCharged", close: "reinsurance", near: "a", calm: "compartment", safe: "good" };

function bands() {
  const { risk, status } = panels;
  if (!risk) return;
  const unit = status?.symbol || "";
  $("note-risk").textContent = `by equity over maintenance margin; ${number(risk.accounts)} accounts known, ${number(risk.open)} with positions${risk.unreadable ? `; ${risk.unreadable} cannot be read now` : ""}`;
  put($("bands"), h("div", { class: "bands" }, risk.bands.map((band) => {
    const made = h("div", {}, h("strong", {}, number(band.accounts)), h("span", {}, band.label), h("br"), h("span", {}, band.notional ? `${short(band.notional)} ${unit}` : "–"));
    made.style.borderTopColor = colour(bandColours[band.key]);
    return made;
  })));
}

function worst() {
  const { risk, markets } = panels;
  if (!risk || !markets) return;
  if (!risk.worst.length) { put($("worst"), h("tbody", {}, h("tr", {}, h("td", {}, empty("No account has a position."))))); return; }
  const rows = risk.worst.map((one) => [
    h("td", { title: one.account }, account(one.account)),
    h("td", { class: one.health < 1 ? "bad" : one.health < 1.1 ? "warn" : "" }, `${number(one.health, 2)} ×`),
    amount(one.equity), amount(one.maintenance),
    h("td", {}, one.positions.map((p) => {
      const market = markets[p.market];
      const level = p.level === null ? "" : ` → ${price(p.level)} (${signed(100 * (p.level / market.mark - 1), 1)})`;
      return h("div", {}, `${size(p.size)} ${market.name}`, h("small", {}, level));
    })),
  ]);
  table($("worst"), ["account", "health", "equity", "maintenance", "position → liquidation level"], rows);
}

const levelsChart = chart($("chart-levels"), 260);
let chosen = 0;

function levels() {
  const { risk, markets } = panels;
  if (!risk || !markets) return;
  tabs($("levels-tabs"), markets.map((m) => [m.number, m.name]), chosen, (key) => { chosen = key; levels(); });
  const panel = risk.levels[chosen] || risk.levels[0];
  if (!panel || ![...panel.long, ...panel.short].some((v) => v > 0)) { levelsChart.draw(null, "No position in this market has a liquidation level within 60 % of the mark."); return; }
  const centres = panel.edges.slice(0, -1).map((edge, i) => (edge + panel.edges[i + 1]) / 2);
  const limit = Math.max(...centres.filter((c, i) => panel.long[i] || panel.short[i]).map(Math.abs), 10) + 4;
  levelsChart.draw({
    x: centres, linear: true, bars: true, xLabel: "move of the mark", xValue: (v) => signed(v), range: () => [-limit, limit], value: short,
    series: [{ label: "longs", colour: "a", data: panel.long }, { label: "shorts", colour: "b", data: panel.short }],
    marker: () => 0,
  });
}

on(["risk", "status"], bands);
on(["risk", "markets"], worst);
on(["risk", "markets"], levels);
