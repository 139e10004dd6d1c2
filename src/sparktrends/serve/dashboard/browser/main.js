// The live chart: history from the API's pages, then every commit as it happens. Streamlit says what to show; its
// reruns with the same wish change nothing here, so zoom and position stay.

import { figure, heightOf, metricsOf } from "./figure.js";
import { hands, tell } from "./hands.js";
import { head, title } from "./head.js";
import { Series, wallClock } from "./series.js";

const HISTORY = 600, COMPARED = 600, METRICS_EVERY = 1000, DRAW_EVERY = 120, STORIES_EVERY = 60_000;
const at = (id) => document.getElementById(id);
const chart = at("chart");
const stats = (window.sparktrends = { draws: 0, events: 0, loads: 0, latency: [], firstDrawMs: null });

let view = null, theme = {}, shown = "", series = null, others = [], zoom = null, read = null, clock = wallClock("UTC");
let loaded = false, link = null, state = "connecting", problem = "", drawing = 0, lastDraw = 0, cost = 0, metricsDue = 0;
let loading = 0, settled = 0, missed = false, restored = false, news = [], storiesDue = 0, height = 0;

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
  theme = { ...theme, raw, text: style.getPropertyValue("--text"), soft: style.getPropertyValue("--soft"), line: style.getPropertyValue("--line") };
}

function wish(args) {
  const key = JSON.stringify([args.api, args.source, args.symbol, args.interval, args.compare]);
  const metrics = view ? metricsOf(view).join() : "";
  view = args;
  clock = wallClock(view.zone);
  title(view);
  theme.height = heightOf(view, window.innerWidth);
  chart.style.minHeight = `${theme.height}px`;
  if (key !== shown) {
    shown = key;
    zoom = read = null;
    loaded = false;
    news = [];
    stats.range = undefined;
    series = new Series(view.source, view.symbol, view.interval);
    others = view.compare.map(([source, symbol]) => new Series(source, symbol, view.interval));
    load();
    if (roomMade) beside();
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
  const turn = ++loading;
  missed = false;
  try {
    const asked = [
      barsOf(series, HISTORY, metricsOf(view)),
      page("signals", { symbol: view.symbol, source: view.source, interval: view.interval, limit: 200 }),
      ...others.map((other) => barsOf(other, COMPARED, [])),
    ];
    await bridged(Promise.all(asked), (found) => turn === loading && takeAll(found));
    if (turn !== loading) return;
    settled = turn;
    if (missed) load();
  } catch (error) {
    if (turn !== loading) return;
    const down = error instanceof TypeError || error.name === "TimeoutError";
    problem = down ? `The API at ${view.api} does not answer. It is started by “sparktrends up” or “sparktrends api”; this chart goes on by itself when it is back.` : `The API says: ${error.message}. Trying again.`;
    setTimeout(() => turn === loading && load(), 2000);
  }
  draw(true);
}

function takeAll([bars, signals, ...compared]) {
  if (restored) for (const one of [series, ...others]) one.bars.clear();
  series.take(bars);
  series.takeSignalsAnew(signals);
  others.forEach((other, n) => other.take(compared[n]));
  problem = "";
  loaded = true;
  restored = false;
  stats.loads += 1;
}

// A page shows the moment at which it was read. What was heard while it was on its way is said again after it: else it
// would put older bars in the place of newer ones, and the last word on a minute that is over would be lost.
const heard = [];
let asking = 0;
async function bridged(asked, take) {
  const from = heard.length;
  asking += 1;
  try {
    take(await asked);
    heard.slice(from).forEach(spread);
  } finally {
    asking -= 1;
    if (!asking) heard.length = 0;
  }
}

// Headlines as marks. The chart does not wait for them, and shows what it has when they cannot be had.
async function stories() {
  clearTimeout(storiesDue);
  storiesDue = setTimeout(stories, STORIES_EVERY);
  const of = shown;
  try {
    const rows = await page("news", { symbol: view.symbol, limit: 100, fields: "published_at,headline" });
    if (of !== shown) return;
    news = rows.map((row) => ({ t: Date.parse(row.published_at), headline: row.headline }));
    draw();
  } catch { /* `load` and the stream say when the API is away */ }
}

// Says what is followed: when that changes, and as a sign of life, for a tab that slept was given up meanwhile.
function connect() {
  const symbols = [series, ...others].map((one) => one.symbol);
  const keys = [series, ...others].map((one) => `${one.source}\n${one.symbol}`);
  if (!link) {
    link = window.SharedWorker ? new SharedWorker("stream.js", "sparktrends-stream").port : new Worker("stream.js");
    link.onmessage = ({ data }) => (data.kind ? hear(data) : turn(data.state));
    setInterval(connect, 30_000);
    window.addEventListener("pagehide", () => link.postMessage({ bye: true }));
  }
  link.postMessage({ follow: { api: view.api, symbols, keys } });
}

// Whatever was committed before the stream was open is on the pages that are asked for from then on.
function turn(word) {
  const opened = word === "on" && state !== "on";
  state = word === "reset" ? "on" : word;
  if (word === "reset") restored = true;
  if (opened || word === "reset") {
    if (loading === settled) load();
    else missed = true;
  }
  status();
}

function hear(event) {
  stats.events += 1;
  if (asking) heard.push(event);
  spread(event);
  if (event.kind === "bars") stats.pending = stats.pending || event.at / 1000;
  if (event.kind === "bars" && metricsOf(view).length) refreshMetrics();
  draw();
}

function spread({ kind, rows }) {
  for (const one of [series, ...others]) {
    const mine = rows.filter((row) => row.source === one.source && row.symbol === one.symbol);
    if (kind === "bars") one.take(mine);
    else if (one === series) one.takeSignals(mine);
  }
}

// Events carry bars alone: the metrics they lack are fetched beside them, once a second at most.
function refreshMetrics() {
  if (metricsDue) return;
  metricsDue = setTimeout(async () => {
    metricsDue = 0;
    const of = series;
    try {
      const names = metricsOf(view);
      await bridged(barsOf(of, Math.min(HISTORY, of.lacking(names)), names), (rows) => of.take(rows));
      draw();
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
  if (!series.bars.size) {
    if (loaded || problem) makeRoom();
    return;
  }
  await plotly;
  const made = figure(series, view, { zoom, read, news }, clock, theme, others);
  lastDraw = Date.now();
  await Plotly.react(chart, made.data, made.layout, { displaylogo: false, responsive: true, scrollZoom: true, displayModeBar: false });
  cost = Math.min(400, Date.now() - lastDraw); // a slow machine draws less often, and stays usable
  if (!stats.draws++) { listen(); stats.firstDrawMs = performance.now(); }
  if (stats.pending) { stats.latency.push(Date.now() - stats.pending); stats.latency = stats.latency.slice(-200); stats.pending = 0; }
  stats.bars = made.bars.length;
  stats.last = made.bars[made.bars.length - 1];
  stats.range = made.layout.xaxis.range;
  at("now").disabled = !zoom;
  status();
  makeRoom();
}

// What the chart can be drawn without. The stream may open after a page was asked for: when it does, `turn` asks anew.
function beside() {
  connect();
  stories();
}

// The chart is there, or has said why not: now comes all that has waited for it, the tables of the page too. On a busy
// machine each of them would have delayed it.
let roomMade = false;
function makeRoom() {
  if (roomMade) return;
  roomMade = true;
  beside();
  toStreamlit("streamlit:setComponentValue", { value: true, dataType: "json" });
}

function listen() {
  chart.on("plotly_relayout", (change) => {
    const from = change["xaxis.range[0]"] ?? change["xaxis.range"]?.[0], to = change["xaxis.range[1]"] ?? change["xaxis.range"]?.[1];
    if (from === undefined || to === undefined) return;
    move({ x: [String(from).replace(" ", "T"), String(to).replace(" ", "T")] });
  });
  chart.on("plotly_doubleclick", () => move(null));
}

function move(wanted) {
  zoom = wanted;
  draw(true);
}

hands(
  () => (stats.range ? { series, view, clock, range: stats.range, read } : null),
  move,
  (start, wanted) => { read = start; move(wanted || zoom); },
);

function status() {
  if (!series) return;
  head({ series, view, clock, range: stats.range, problem, loaded, state });
  tell({ series, view, clock, read });
}

setInterval(status, 1000);
document.addEventListener("visibilitychange", () => {
  if (link && !document.hidden) connect();
  draw(true);
});
window.addEventListener("resize", () => {
  if (!view || theme.height === heightOf(view, window.innerWidth)) return;
  theme.height = heightOf(view, window.innerWidth);
  chart.style.minHeight = `${theme.height}px`;
  draw(true);
});
// The heading takes as many lines as it needs: the frame is as high as what is in it.
new ResizeObserver(() => {
  const needed = Math.ceil(document.body.getBoundingClientRect().height);
  if (!view || needed === height) return;
  height = needed;
  toStreamlit("streamlit:setFrameHeight", { height });
}).observe(document.body);
toStreamlit("streamlit:componentReady", { apiVersion: 1 });
