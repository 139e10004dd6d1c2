// Bars to a Plotly figure: candles with overlays above, volume and oscillators in panes below. Pure.

import { LENGTH, doubtOf, plain, price } from "./series.js";

const HUES = ["#3b82f6", "#f59e0b", "#a855f7", "#ec4899", "#14b8a6", "#84cc16", "#f97316", "#6366f1"];
const SHADES = { up: "#0f9d7a", down: "#d64550", doubt: "#e0921a" };
export const OVERLAYS = {
  sma_20: ["SMA 20"], sma_50: ["SMA 50"], sma_200: ["SMA 200"], ema_12: ["EMA 12"], ema_20: ["EMA 20"], ema_26: ["EMA 26"],
  ema_50: ["EMA 50"], ema_200: ["EMA 200"], vwap_session: ["VWAP", "dot"],
};
// Averages of other windows, as the settings of an installation have them.
const AVERAGE = /^(sma|ema|wma)_\d{1,4}$/;
const overlayOf = (name) => OVERLAYS[name] || (AVERAGE.test(name) ? [name.replace("_", " ").toUpperCase()] : undefined);
export const PANES = { rsi: ["rsi_14"], macd: ["macd", "macd_signal", "macd_hist"], roc: ["roc_10"] };
const FOLLOWED = 140; // bars in view while the chart follows the newest one

export const metricsOf = (view) => [
  ...view.overlays.filter(overlayOf),
  ...(view.overlays.includes("bb") ? ["bb_upper", "bb_middle", "bb_lower"] : []),
  ...view.panes.flatMap((name) => PANES[name] || []),
];

export const heightOf = (view, width) => (width < 600 ? 340 : 430) + 104 + 100 * view.panes.filter((p) => PANES[p]).length;

// `zoom` is {x: [from, to]} of wall-clock texts once a person has moved the chart; null while it follows. `read` is the
// start of the bar that somebody reads by keyboard, or null.
export function figure(series, view, { zoom, read, news }, clock, theme, others = []) {
  const every = series.traded();
  const span = zoom ? zoom.x : follow(every, series.interval, clock);
  const bars = near(every, span, clock);
  const x = bars.map((bar) => clock(bar.t));
  const rows = panes(view);
  const compared = others.length > 0;
  const data = compared ? lines([series, ...others], clock, span) : candles(bars, x, view, series.signals, clock);
  data.push(...volume(bars, x), ...doubts(series, bars, clock), ...oscillators(bars, x, rows));
  if (news.length && !compared) data.push(...stories(news, bars, clock));
  const layed = layout({ series, bars, span, rows, view, theme, data, compared, clock });
  if (read !== null) layed.shapes.push({ type: "line", xref: "x", yref: "paper", x0: clock(read), x1: clock(read), y0: 0, y1: 1, line: { width: 1, color: theme.text } });
  // Behind the fit of the price axis: its bars lie along the price, not along time.
  if (view.overlays.includes("profile") && !compared) data.push(...profile(bars, span, clock, layed));
  return { data, layout: layed, bars: every };
}

// What is in view and as much on each side: drawing all that is kept would cost four times as much at every commit.
function near(bars, span, clock) {
  if (!span) return bars;
  const shown = bars.map((bar) => clock(bar.t));
  const from = shown.findIndex((t) => t >= span[0]), to = shown.findLastIndex((t) => t <= span[1]);
  if (from < 0 || to < from) return bars;
  const side = Math.max(to - from, 40);
  return bars.slice(Math.max(0, from - side), to + side + 1);
}

// The bars that can be seen at the moment.
export const inView = (bars, span, clock) => (span ? bars.filter((bar) => clock(bar.t) >= span[0] && clock(bar.t) <= span[1]) : bars);

function follow(bars, interval, clock) {
  if (!bars.length) return null;
  const step = LENGTH[interval], last = bars[bars.length - 1].t;
  const first = bars[Math.max(0, bars.length - FOLLOWED)].t;
  return [clock(first - step), clock(last + 4 * step)];
}

function candles(bars, x, view, signals, clock) {
  const pick = (name) => bars.map((bar) => bar[name] ?? null);
  const candle = {
    type: "candlestick", x, open: pick("open"), high: pick("high"), low: pick("low"), close: pick("close"), name: "price",
    increasing: { line: { color: SHADES.up, width: 1 }, fillcolor: SHADES.up }, decreasing: { line: { color: SHADES.down, width: 1 }, fillcolor: SHADES.down },
    showlegend: false, hoverinfo: "x+y", yaxis: "y",
  };
  const line = (name, label, color, more = {}) => ({
    type: "scatter", mode: "lines", x, y: pick(name), name: label, line: { color, width: 1.3, ...more }, hoverinfo: "skip", yaxis: "y", connectgaps: true,
  });
  const band = view.overlays.includes("bb") ? [
    { ...line("bb_upper", "Bollinger 20", "rgba(120,140,170,.7)"), legendgroup: "bb" },
    { ...line("bb_lower", "", "rgba(120,140,170,.7)"), fill: "tonexty", fillcolor: "rgba(120,140,170,.10)", legendgroup: "bb", showlegend: false },
    { ...line("bb_middle", "", "rgba(120,140,170,.6)", { dash: "dot" }), legendgroup: "bb", showlegend: false },
  ] : [];
  const chosen = view.overlays.filter(overlayOf);
  const overlays = chosen.map((name, n) => line(name, overlayOf(name)[0], HUES[n % HUES.length], { dash: overlayOf(name)[1] || "solid" }));
  return [...band, candle, ...overlays, ...marks(bars, signals, clock)];
}

function marks(bars, signals, clock) {
  const at = new Map(bars.map((bar) => [bar.t, bar]));
  const found = [...signals.values()].filter((signal) => at.has(signal.t));
  const sort = (up, symbol, color) => {
    const chosen = found.filter((signal) => (signal.direction === "down") !== up);
    return {
      type: "scatter", mode: "markers", name: up ? "signals up" : "signals down", showlegend: false, yaxis: "y",
      x: chosen.map((s) => clock(s.t)), y: chosen.map((s) => (up ? at.get(s.t).low * 0.9996 : at.get(s.t).high * 1.0004)),
      marker: { symbol, color, size: chosen.map((s) => ({ critical: 16, warning: 13 }[s.severity] || 10)), line: { width: 1, color: "rgba(255,255,255,.8)" } },
      text: chosen.map((s) => plain(`${s.name} ${s.direction} · ${s.severity} · score ${Number(s.score).toFixed(1)}`)), hoverinfo: "text+x",
    };
  };
  return [sort(true, "triangle-up", "#0ea5e9"), sort(false, "triangle-down", "#f59e0b")];
}

function stories(news, bars, clock) {
  if (!bars.length) return [];
  const inside = news.filter((item) => item.t >= bars[0].t);
  const base = Math.min(...bars.slice(-FOLLOWED).map((bar) => bar.low));
  return [{
    type: "scatter", mode: "markers", name: "news", showlegend: false, x: inside.map((item) => clock(item.t)), y: inside.map(() => base), yaxis: "y",
    marker: { symbol: "square", size: 8, color: "#6366f1" }, text: inside.map((item) => plain(item.headline).slice(0, 160)), hoverinfo: "text+x",
  }];
}

// Volume by price of what is in view, each bar at its own mean price.
function profile(bars, span, clock, layed) {
  const shown = bars.filter((bar) => bar.vwap && (!span || (clock(bar.t) >= span[0] && clock(bar.t) <= span[1])));
  if (!shown.length) return [];
  const low = Math.min(...shown.map((bar) => bar.vwap)), high = Math.max(...shown.map((bar) => bar.vwap));
  const count = 32, step = (high - low) / count || high * 1e-6, sums = new Array(count).fill(0);
  for (const bar of shown) sums[Math.min(count - 1, Math.floor((bar.vwap - low) / step))] += bar.volume;
  layed.xaxis2 = { overlaying: "x", side: "top", visible: false, fixedrange: true, range: [0, 4 * Math.max(...sums)] };
  return [{
    type: "bar", orientation: "h", x: sums, y: sums.map((_, n) => low + (n + 0.5) * step), width: step * 0.9, name: "volume profile", showlegend: false,
    xaxis: "x2", yaxis: "y", marker: { color: "rgba(99,102,241,.22)" }, hoverinfo: "skip",
  }];
}

// Several symbols: change in per cent since the left edge of what is in view.
function lines(all, clock, span) {
  return all.map((series, n) => {
    const bars = series.traded();
    const base = (bars.find((bar) => !span || clock(bar.t) >= span[0]) || bars[0] || {}).close;
    return {
      type: "scatter", mode: "lines", name: plain(named(series, all)), x: bars.map((bar) => clock(bar.t)), y: bars.map((bar) => (bar.close / base - 1) * 100),
      line: { color: HUES[n % HUES.length], width: 1.6 }, hovertemplate: "%{y:+.2f} %", yaxis: "y",
    };
  });
}

// Two sources of one symbol are told apart.
function named(series, all) {
  const alike = all.filter((other) => other.symbol === series.symbol).length > 1;
  return alike ? `${series.symbol} · ${series.source}` : series.symbol;
}

// Below the volume: minutes that were revised, are incomplete or are missing, and why.
function doubts(series, bars, clock) {
  if (!bars.length) return [];
  const from = bars[0].t, to = bars[bars.length - 1].t;
  const found = series.sorted().filter((bar) => bar.t >= from && bar.t <= to && doubtOf(bar));
  if (!found.length) return [];
  return [{
    type: "scatter", mode: "markers", name: "revised or incomplete", x: found.map((bar) => clock(bar.t)), y: found.map(() => 0), yaxis: "y2", cliponaxis: false,
    marker: { symbol: "diamond", size: 7, color: SHADES.doubt }, text: found.map((bar) => plain(doubtOf(bar))), hovertemplate: "%{text}<extra></extra>",
  }];
}

function volume(bars, x) {
  const colors = bars.map((bar) => (bar.close >= bar.open ? "rgba(15,157,122,.55)" : "rgba(214,69,80,.55)"));
  return [{ type: "bar", x, y: bars.map((bar) => bar.volume), marker: { color: colors }, name: "volume", showlegend: false, hovertemplate: "volume %{y:.4~f}<extra></extra>", yaxis: "y2" }];
}

function oscillators(bars, x, rows) {
  const pick = (name) => bars.map((bar) => bar[name] ?? null);
  const line = (name, axis, color) => ({ type: "scatter", mode: "lines", x, y: pick(name), name, showlegend: false, line: { color, width: 1.2 }, hovertemplate: "%{y:.4~f}", yaxis: axis });
  return rows.slice(2).flatMap(({ name, axis }) => {
    if (name === "macd") {
      const colors = pick("macd_hist").map((v) => (v >= 0 ? "rgba(15,157,122,.5)" : "rgba(214,69,80,.5)"));
      return [
        { type: "bar", x, y: pick("macd_hist"), marker: { color: colors }, name: "macd hist", showlegend: false, hoverinfo: "skip", yaxis: axis },
        line("macd", axis, HUES[0]), line("macd_signal", axis, HUES[1]),
      ];
    }
    return [line(PANES[name][0], axis, HUES[2])];
  });
}

function panes(view) {
  const names = ["price", "volume", ...view.panes.filter((name) => PANES[name])];
  const small = names.length > 2 ? 0.14 : 0.18, gap = 0.025;
  let top = 1;
  return names.map((name, n) => {
    const share = n ? small : 1 - (names.length - 1) * (small + gap);
    const row = { name, axis: n ? `y${n + 1}` : "y", domain: [Math.max(0, top - share), top] };
    top -= share + gap;
    return row;
  });
}

const TITLES = { volume: "Volume", rsi: "RSI 14", macd: "MACD", roc: "ROC 10" };

function layout({ series, bars, span, rows, view, theme, data, compared, clock }) {
  const grid = { gridcolor: theme.line, linecolor: theme.line, zeroline: false, tickfont: { color: theme.soft, size: 11 } };
  const axes = Object.fromEntries(rows.map((row, n) => [n ? `yaxis${n + 1}` : "yaxis", {
    ...grid, domain: row.domain, side: "right", fixedrange: true, nticks: n ? 4 : 8,
    ...(n ? { title: { text: TITLES[row.name], font: { size: 11, color: theme.soft }, standoff: 6 } } : {}),
    ...(row.name === "volume" ? { rangemode: "nonnegative" } : {}),
    ...(row.name === "rsi" ? { range: [0, 100], tickvals: [30, 50, 70] } : {}),
  }]));
  Object.assign(axes.yaxis, heights(data, span, view.log && !compared), compared ? { ticksuffix: " %" } : { tickformat: ",~r" });
  const last = bars[bars.length - 1];
  const shapes = last && !compared ? [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: last.close, y1: last.close, yref: "y", line: { width: 1, dash: "dot", color: last.close >= last.open ? SHADES.up : SHADES.down } }] : [];
  const tag = last && !compared ? [{ xref: "paper", x: 1, xanchor: "left", y: axes.yaxis.type === "log" ? Math.log10(last.close) : last.close, yref: "y", text: price(last.close), showarrow: false, font: { color: "#fff", size: 11 }, bgcolor: last.close >= last.open ? SHADES.up : SHADES.down, borderpad: 2 }] : [];
  return {
    ...axes, shapes, annotations: tag, uirevision: `${series.source}|${series.symbol}|${series.interval}`,
    xaxis: { ...grid, type: "date", range: span || undefined, anchor: rows[rows.length - 1].axis, rangeslider: { visible: false }, rangebreaks: breaks(bars, series.interval, clock), showspikes: true, spikemode: "across", spikethickness: 1, spikecolor: theme.soft, spikedash: "dot" },
    margin: { l: 8, r: 74, t: 8, b: 40 }, dragmode: "pan", hovermode: "x", hoverlabel: { font: { size: 12 } }, bargap: 0.15,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: theme.text, family: "Source Sans, system-ui, sans-serif" },
    showlegend: true, legend: { orientation: "h", x: 0, y: 1, yanchor: "top", bgcolor: "rgba(0,0,0,0)", font: { size: 11 } }, height: theme.height,
  };
}

// The price axis fits what is in view, as it moves: Plotly by itself would fit every bar there is.
function heights(data, span, log) {
  let low = Infinity, high = -Infinity;
  for (const trace of data) {
    if (trace.yaxis !== "y") continue;
    const tops = trace.high || trace.y, bottoms = trace.low || trace.y;
    trace.x.forEach((t, n) => {
      if ((span && (t < span[0] || t > span[1])) || tops[n] == null) return;
      high = Math.max(high, tops[n]);
      low = Math.min(low, bottoms[n]);
    });
  }
  if (!(high >= low)) return { type: log ? "log" : "linear", autorange: true };
  const pad = (high - low || Math.abs(high) * 0.001 || 1) * 0.08;
  if (log && low > 0) return { type: "log", range: [Math.log10(low * (low / (low + pad))), Math.log10(high + pad)] };
  return { type: "linear", range: [low - pad, high + pad] };
}

// Nights, weekends and holes take no room.
function breaks(bars, interval, clock) {
  const step = LENGTH[interval], found = [];
  for (let n = 1; n < bars.length && found.length < 60; n++) {
    if (bars[n].t - bars[n - 1].t > Math.max(3 * 3600e3, 20 * step)) found.push({ bounds: [clock(bars[n - 1].t + step), clock(bars[n].t)] });
  }
  return found;
}
