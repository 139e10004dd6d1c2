// The live chart: history from the API's pages, then every commit as it happens. Streamlit says what to show; its
// reruns with the same wish change nothing here, so zoom and position stay.

import { figure, heightOf, metricsOf } from "./figure.js";
import { ago, price, Series, wallClock } from "./series.js";

const HISTORY = 600, COMPARED = 600, METRICS_EVERY = 1000, DRAW_EVERY = 120, QUIET = 30_000;
const at = (id) => document.getElementById(id);
const chart = at("chart");
const stats = (window.sparktrends = { draws: 0, events: 0, latency: [], firstDrawMs: null });

let view = null, theme = {}, shown = "", series = null, others = [], zoom = null, clock = wallClock("UTC");
let loaded = false, link = null, state = "connecting", problem = "", drawing = 0, lastDraw = 0, cost = 0, metricsDue = 0, loading = 0;

// Plotly is big: the page asks for it first of all, and it is read while everything else is on its way.
const plotly = new Promise((resolve, reject) => {
  if (window.Plotly) resolve();
  else Object.assign(at("plotly"), { onload: resolve, onerror: reject });
});

const toStreamlit = (type, more) => window.parent.postMessage({ isStreamlitMessage: true, type, ...more }, "*");

window.addEventListener("message", ({ data, source }) => {
  if (source !== window.parent || data.type !== "streamlit:render") return;
  const changed = JSON.stringify(data.args) !== JSON.stringify(view);
  const dressed = JSON.stringify(data.theme || {}) !== JSON.stringify(theme.raw);
  if (dressed) dress(data.theme || {});
  if (changed) wish(data.args);
  else if (dressed) draw(true);
});

function dress(raw) {
  document.documentElement.classList.toggle("dark", raw.base === "dark");
  const style = getComputedStyle(document.documentElement);
  theme = { raw, text: style.getPropertyValue("--text"), soft: style.getPropertyValue("--soft"), line: style.getPropertyValue("--line") };
}

function wish(args) {
  const key = JSON.stringify([args.api, args.source, args.symbol, args.interval, args.compare]);
  const metrics = view ? metricsOf(view).join() : "";
  view = args;
  clock = wallClock(view.zone);
  at("name").textContent = view.symbol;
  at("mark").textContent = view.mark;
  at("mark").hidden = !view.mark;
  theme.height = heightOf(view, window.innerWidth);
  toStreamlit("streamlit:setFrameHeight", { height: theme.height + 36 });
  if (key !== shown) {
    shown = key;
    zoom = null;
    loaded = false;
    series = new Series(view.source, view.symbol, view.interval);
    others = view.compare.map(([source, symbol]) => new Series(source, symbol, view.interval));
    connect();
    load();
  } else if (metricsOf(view).join() !== metrics) load();
  else draw(true);
}

async function page(path, query) {
  const answer = await fetch(`${view.api}/api/v1/${path}?${new URLSearchParams(query)}`, { signal: AbortSignal.timeout(10_000) });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail || body.title || `${answer.status}`);
  return body.data;
}

const barsOf = (one, limit, metrics) => page("bars", { symbol: one.symbol, source: one.source, interval: one.interval, limit, ...(metrics.length ? { metrics: metrics.join() } : {}) });

// History; also after every break, because what happened meanwhile was not told. Tries again until it succeeds.
async function load() {
  const turn = ++loading, wished = shown;
  try {
    const found = await Promise.all([
      barsOf(series, HISTORY, metricsOf(view)),
      page("signals", { symbol: view.symbol, source: view.source, interval: view.interval, limit: 200 }),
      ...others.map((other) => barsOf(other, COMPARED, [])),
    ]);
    if (turn !== loading || wished !== shown) return;
    series.take(found[0]);
    series.takeSignals(found[1]);
    others.forEach((other, n) => other.take(found[n + 2]));
    if (view.withNews && !view.news) await stories();
    problem = "";
    loaded = true;
  } catch (error) {
    if (turn !== loading) return;
    const down = error instanceof TypeError || error.name === "TimeoutError";
    problem = down ? `The API at ${view.api} does not answer. It is started by “sparktrends up” or “sparktrends api”; this chart goes on by itself when it is back.` : `The API says: ${error.message}. Trying again.`;
    setTimeout(() => turn === loading && load(), 2000);
  }
  draw(true);
}

async function stories() {
  const rows = await page("news", { symbol: view.symbol, limit: 100, fields: "published_at,headline" });
  view.news = rows.map((row) => ({ t: Date.parse(row.published_at), headline: row.headline }));
}

function connect() {
  const symbols = [series, ...others].map((one) => one.symbol);
  const keys = [series, ...others].map((one) => `${one.source}\n${one.symbol}`);
  if (!link) {
    link = new SharedWorker("stream.js", "sparktrends-stream").port;
    link.onmessage = ({ data }) => (data.kind ? hear(data) : turn(data.state));
    setInterval(() => link.postMessage({ alive: true }), 30_000);
    window.addEventListener("pagehide", () => link.postMessage({ bye: true }));
  }
  link.postMessage({ follow: { api: view.api, symbols, keys } });
}

function turn(word) {
  const before = state;
  state = word === "reset" ? "on" : word;
  if (word === "reset" || (word === "on" && before === "off")) load();
  status();
}

function hear({ kind, rows, at: committed }) {
  stats.events += 1;
  for (const one of [series, ...others]) {
    const mine = rows.filter((row) => row.source === one.source && row.symbol === one.symbol);
    if (kind === "bars") one.take(mine);
    else if (one === series) one.takeSignals(mine);
  }
  if (kind === "bars") stats.pending = stats.pending || committed / 1000;
  if (kind === "bars" && metricsOf(view).length) refreshMetrics();
  draw();
}

// Events carry bars alone: the metrics they lack are fetched beside them, once a second at most.
function refreshMetrics() {
  if (metricsDue) return;
  metricsDue = setTimeout(async () => {
    metricsDue = 0;
    const wished = shown;
    try {
      const names = metricsOf(view);
      const rows = await barsOf(series, Math.min(HISTORY, series.lacking(names)), names);
      if (wished === shown) { series.take(rows); draw(); }
    } catch { /* `load` and the stream say when the API is away */ }
  }, METRICS_EVERY);
}

// A hidden tab draws nothing; it catches up when it is looked at.
function draw(now = false) {
  if (drawing && !now) return;
  clearTimeout(drawing);
  drawing = setTimeout(paint, now ? 0 : Math.max(0, Math.max(DRAW_EVERY, 2 * cost) - (Date.now() - lastDraw)));
}

async function paint() {
  drawing = 0;
  if (!series || document.hidden) return;
  status();
  if (!series.bars.size) return;
  await plotly;
  const made = figure(series, view, zoom, clock, theme, others);
  lastDraw = Date.now();
  await Plotly.react(chart, made.data, made.layout, { displaylogo: false, responsive: true, scrollZoom: true, displayModeBar: false });
  cost = Math.min(400, Date.now() - lastDraw); // a slow machine draws less often, and stays usable
  if (!stats.draws++) { listen(); stats.firstDrawMs = performance.now(); }
  if (stats.pending) { stats.latency.push(Date.now() - stats.pending); stats.latency = stats.latency.slice(-200); stats.pending = 0; }
  stats.bars = made.bars.length;
  stats.last = made.bars[made.bars.length - 1];
  stats.range = made.layout.xaxis.range;
}

function listen() {
  chart.on("plotly_relayout", (change) => {
    const from = change["xaxis.range[0]"] ?? change["xaxis.range"]?.[0], to = change["xaxis.range[1]"] ?? change["xaxis.range"]?.[1];
    if (from === undefined || to === undefined) return;
    move(String(from).replace(" ", "T"), String(to).replace(" ", "T"));
  });
  chart.on("plotly_doubleclick", () => { zoom = null; draw(true); });
}

function move(from, to) {
  zoom = { x: [from, to] };
  draw(true);
}

chart.addEventListener("keydown", (event) => {
  if (!series || !stats.range) return;
  const [from, to] = stats.range.map((text) => Date.parse(`${text.slice(0, 19)}Z`)), width = to - from;
  const text = (t) => new Date(t).toISOString().slice(0, 19);
  const steps = { ArrowLeft: [-0.15, -0.15], ArrowRight: [0.15, 0.15], "+": [0.15, -0.15], "=": [0.15, -0.15], "-": [-0.2, 0.2] }[event.key];
  if (event.key === "Home" || event.key === "0") zoom = null;
  else if (steps) zoom = { x: [text(from + steps[0] * width), text(to + steps[1] * width)] };
  else return;
  event.preventDefault();
  draw(true);
});

// What is on the screen, how old it is, and whether it still moves.
function status() {
  if (!series) return;
  const bars = series.traded(), last = bars[bars.length - 1], live = at("live");
  const first = bars[Math.max(0, bars.length - 140)];
  at("words").hidden = !problem && bars.length > 0;
  at("words").textContent = at("words").hidden ? "" : problem || (!loaded ? "Loading …" : `No ${view.interval} bars of ${view.symbol} yet. They appear here as soon as the first trade is stored.`);
  if (last) {
    const change = first ? last.close / first.open - 1 : 0;
    at("last").textContent = price(last.close);
    at("change").textContent = `${change >= 0 ? "+" : ""}${(change * 100).toFixed(2)} % in view`;
    at("change").className = at("last").className = change >= 0 ? "up" : "down";
    at("state").textContent = `${clock(last.t).replace("T", " ").slice(0, 16)} ${view.zone || "UTC"} · ${last.state}${last.revision ? `, revised by ${last.revision}` : ""}${last.origin === "provider" ? " · provider’s bar" : ""}`;
  }
  const silent = Date.now() - series.heardAt, known = series.heardAt > 0;
  const old = known && silent > QUIET;
  live.className = state === "off" || problem ? "off" : old ? "old" : state === "on" ? "on" : "";
  const age = known ? `, last change ${ago(silent)} ago` : "";
  live.textContent = state === "off" || problem ? `not connected${age}` : old ? `quiet${age}` : state === "on" ? `live${age}` : "connecting";
}

setInterval(status, 1000);
document.addEventListener("visibilitychange", () => draw(true));
window.addEventListener("resize", () => {
  if (!view) return;
  const height = heightOf(view, window.innerWidth);
  if (height === theme.height) return;
  theme.height = height;
  toStreamlit("streamlit:setFrameHeight", { height: height + 36 });
  draw(true);
});
toStreamlit("streamlit:componentReady", { apiVersion: 1 });
