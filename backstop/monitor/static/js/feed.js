// Liquidations, receipts with their legs, movements of the fund, changes of rules.
import { $, empty, h, put, split, tabs } from "./dom.js";
import { amount, clock, date } from "./format.js";
import { on, panels } from "./live.js";

const kinds = [["all", "all"], ["liquidation", "liquidations"], ["receipt", "receipts"], ["fund", "fund"], ["stake", "stakers"], ["rule", "rules"]];
let chosen = "all";

function line(entry) {
  const parts = [h("div", { class: "title" }, entry.title)];
  if (entry.legs) {
    parts.push(split(entry.legs), h("div", { class: "sub" }, entry.legs.map((leg) => `${leg.number} ${leg.label}: ${amount(leg.amount)}`).join(" · ")));
  }
  if (entry.detail) parts.push(h("div", { class: "sub" }, entry.detail));
  return h("li", { class: entry.kind, "data-id": entry.id, title: `block ${entry.block}, ${date(entry.time)}` }, h("time", {}, clock(entry.time)), h("div", {}, parts));
}

function draw() {
  const { feed } = panels;
  if (!feed) return;
  tabs($("feed-tabs"), kinds, chosen, (key) => { chosen = key; draw(); });
  const shown = feed.filter((entry) => chosen === "all" || entry.kind === chosen).slice(0, 60);
  put($("feed"), shown.length ? shown.map(line) : h("li", {}, h("span"), empty("Nothing of the kind has happened yet.")));
}

on(["feed"], draw);
