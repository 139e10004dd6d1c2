// What a person does to the chart by keyboard and buttons; dragging and the wheel are Plotly's own.

import { inView } from "./figure.js";
import { sentence } from "./series.js";

const at = (id) => document.getElementById(id);
const MOVES = { ArrowLeft: [-0.15, -0.15], ArrowRight: [0.15, 0.15], "+": [0.15, -0.15], "=": [0.15, -0.15], "-": [-0.2, 0.2] };

// `now()` gives {series, view, clock, range, read} or null before the first picture; `move(zoom)` and `look(start)`
// draw: zoom is {x: [from, to]} or null to follow, start that of the bar to read or null.
export function hands(now, move, look) {
  const shift = (steps) => {
    const held = now();
    if (held) move({ x: shifted(held.range, steps) });
  };
  const read = (step) => {
    const held = now();
    const bar = held && next(held, step);
    if (bar) look(bar.t, reached(held, bar));
  };
  at("in").onclick = () => shift(MOVES["+"]);
  at("out").onclick = () => shift(MOVES["-"]);
  at("now").onclick = () => { move(null); at("chart").focus(); };
  at("chart").addEventListener("keydown", (event) => {
    // With Ctrl, Alt or Meta a key is the browser's: it zooms the page, goes back in its history.
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.shiftKey && event.key === "ArrowLeft") read(-1);
    else if (event.shiftKey && event.key === "ArrowRight") read(1);
    else if (event.key === "Escape") look(null);
    else if (event.key === "Home" || event.key === "0") move(null);
    else if (MOVES[event.key]) shift(MOVES[event.key]);
    else return;
    event.preventDefault();
  });
}

// The bar that is read, in words under the heading.
export function tell({ series, view, clock, read }) {
  const bar = read === null ? undefined : series.bars.get(read);
  at("bar").hidden = !bar;
  const text = bar ? sentence(bar, series.signals, clock, view.zone || "UTC") : "";
  if (at("bar").textContent !== text) at("bar").textContent = text;
}

function shifted(range, [left, right]) {
  const [from, to] = range.map((text) => Date.parse(`${text.slice(0, 19)}Z`)), width = to - from;
  const text = (t) => new Date(t).toISOString().slice(0, 19);
  return [text(from + left * width), text(to + right * width)];
}

// The first step reads the newest bar in view.
function next({ series, clock, range, read }, step) {
  const bars = series.traded(), shown = inView(bars, range, clock);
  const here = bars.findIndex((bar) => bar.t === read);
  return here < 0 ? shown[shown.length - 1] : bars[here + step];
}

// The zoom that has the bar in view: the same width, moved as far as needed; undefined when it is there already.
function reached({ clock, range }, bar) {
  const t = clock(bar.t);
  if (t >= range[0] && t <= range[1]) return undefined;
  return { x: shifted(range, t < range[0] ? [-0.5, -0.5] : [0.5, 0.5]) };
}
