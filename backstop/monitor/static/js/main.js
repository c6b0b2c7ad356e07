// Connects, shows where the chain stands, switches between light and dark.
import { $, put } from "./dom.js";
import { recolour } from "./charts.js";
import { date, number } from "./format.js";
import { connect, on, panels, redraw } from "./live.js";
import "./fund.js";
import "./markets.js";
import "./risk.js";
import "./shock.js";
import "./feed.js";
import "./stake.js";
import "./rules.js";

let connected = false;

function status() {
  const now = panels.status || {};
  const state = connected ? now.state || "starting" : "gone";
  const words = { live: "live", stalled: "standing still", gone: connected ? "no chain" : "page server gone", starting: "connecting" };
  $("light").dataset.state = state;
  $("light").lastElementChild.textContent = words[state];
  const problem = connected ? now.problem : "The monitor does not answer; this page keeps trying. The figures are the last ones.";
  $("problem").textContent = problem || "";
  $("problem").hidden = !problem;
  put($("where"), document.createTextNode(now.block === undefined ? "" : `chain ${now.chain} · block ${number(now.block)} · ${date(now.time)}`));
  for (const place of document.querySelectorAll("[data-unit]")) place.textContent = now.symbol || "tokens";
  $("foot").textContent = now.contracts ? `fund ${now.contracts.fund} · engine ${now.contracts.engine} · parameters “${now.parameters}”` : "";
}

function theme(chosen) {
  if (chosen) document.documentElement.dataset.theme = chosen;
  recolour();
  redraw();
}

$("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const next = dark ? "light" : "dark";
  try { localStorage.setItem("theme", next); } catch { /* private mode */ }
  theme(next);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme());
let stored = null;
try { stored = localStorage.getItem("theme"); } catch { /* private mode */ }
if (stored === "dark" || stored === "light") document.documentElement.dataset.theme = stored;

on(["status"], status);
connect((up) => { if (up !== connected) { connected = up; status(); } });
