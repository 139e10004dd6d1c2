// What stands above the chart: what is on the screen, how old it is, and whether it still moves.

import { inView } from "./figure.js";
import { ago, price } from "./series.js";

const QUIET = 30_000;
const at = (id) => document.getElementById(id);
const STATES = { off: "not connected", old: "quiet", on: "live", "": "connecting" };

// Texts are written only where they differ: whoever reads by ear hears of changes, not of every second.
function write(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}

export function title(view) {
  write("name", view.symbol);
  write("mark", view.mark);
  at("mark").hidden = !view.mark;
  at("chart").setAttribute("aria-label", `Prices of ${view.symbol}, ${view.interval}${view.mark ? `, ${view.mark}` : ""}`);
}

export function head({ series, view, clock, range, problem, loaded, state }) {
  const bars = series.traded(), last = bars[bars.length - 1];
  const words = problem || (!loaded ? "Loading …" : `No ${view.interval} bars of ${view.symbol} yet. They appear here as soon as the first trade is stored.`);
  at("words").hidden = !problem && bars.length > 0;
  write("words", at("words").hidden ? "" : words);
  if (last) newest(last, inView(bars, range, clock), view, clock);
  connection(series.heardAt, state === "off" || problem, state);
}

// To what is shown of it: less than that has no sign and no colour.
const rounded = (percent) => Math.round(percent * 100) / 100;

function newest(last, shown, view, clock) {
  const change = shown.length ? rounded(100 * (shown[shown.length - 1].close / shown[0].open - 1)) : 0;
  write("last", price(last.close));
  write("change", `${change > 0 ? "+" : ""}${change.toFixed(2)} % in view`);
  at("change").className = at("last").className = change > 0 ? "up" : change < 0 ? "down" : "";
  write("state", `${clock(last.t).replace("T", " ").slice(0, 16)} ${view.zone || "UTC"} · ${last.state}${last.revision ? `, revised by ${last.revision}` : ""}${last.origin === "provider" ? " · provider’s bar" : ""}`);
}

function connection(heardAt, broken, state) {
  const silent = Date.now() - heardAt, known = heardAt > 0;
  const kind = broken ? "off" : known && silent > QUIET ? "old" : state === "on" ? "on" : "";
  at("live").className = kind;
  write("live", `${STATES[kind]}${known && kind ? `, last change ${ago(silent)} ago` : ""}`);
  write("said", STATES[kind]);
}
