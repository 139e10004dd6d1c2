// Bars of one series, kept by start: what the API's pages and events say, newest word last. Knows nothing of drawing.

export const LENGTH = { "1m": 60e3, "5m": 300e3, "15m": 900e3, "1h": 3600e3, "1d": 86400e3 };
const KEPT = 1500;
const PRICES = ["open", "high", "low", "close", "volume", "vwap"];

export class Series {
  constructor(source, symbol, interval) {
    Object.assign(this, { source, symbol, interval, bars: new Map(), signals: new Map(), heardAt: 0 });
  }

  // Take rows of /bars or of an event; fields that a row does not have (metrics in events) stay as they were.
  take(rows) {
    for (const row of rows) {
      if (row.interval !== this.interval) continue;
      const t = Date.parse(row.start);
      const bar = { ...(this.bars.get(t) || {}), ...row, t };
      for (const name of PRICES) bar[name] = bar[name] == null ? null : Number(bar[name]);
      this.bars.set(t, bar);
      this.heardAt = Math.max(this.heardAt, Date.parse(row.updated_at) || 0);
    }
    if (this.bars.size > KEPT * 1.2) this.bars = new Map(this.sorted().slice(-KEPT).map((bar) => [bar.t, bar]));
  }

  // A page of signals is all there is: what is not on it was taken back while nobody listened.
  takeSignalsAnew(rows) {
    this.signals = new Map();
    this.takeSignals(rows);
  }

  takeSignals(rows) {
    for (const row of rows) {
      if (row.interval !== this.interval) continue;
      if (row.retracted_at) this.signals.delete(row.id);
      else this.signals.set(row.id, { ...row, t: Date.parse(row.start) });
    }
    while (this.signals.size > 500) this.signals.delete(this.signals.keys().next().value);
  }

  sorted() {
    return [...this.bars.values()].sort((a, b) => a.t - b.t);
  }

  // How many of the newest bars to ask for, so that none behind a bar with metrics is left without (what is not warm
  // yet has none anywhere). A bar fetched while it formed may have said null. Minutes without a trade are rows too.
  lacking(names) {
    const bars = this.traded();
    const first = bars.findIndex((bar, n) => n > 0 && names.some((name) => bar[name] == null && bars[n - 1][name] != null));
    return first < 0 ? 3 : this.sorted().filter((bar) => bar.t >= bars[first].t).length + 3;
  }

  traded() {
    return this.sorted().filter((bar) => bar.close !== null);
  }
}

// A time as Plotly wants it: the wall clock of a zone, without a zone. Offsets are looked up once an hour.
export function wallClock(zone) {
  if (!zone || zone === "UTC") return (t) => new Date(t).toISOString().slice(0, 19);
  const format = new Intl.DateTimeFormat("en-US", { timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const offsets = new Map();
  const offset = (t) => {
    const hour = Math.floor(t / 3600e3);
    if (!offsets.has(hour)) {
      const p = Object.fromEntries(format.formatToParts(hour * 3600e3).map((part) => [part.type, part.value]));
      offsets.set(hour, Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) - hour * 3600e3);
    }
    return offsets.get(hour);
  };
  return (t) => new Date(t + offset(t)).toISOString().slice(0, 19);
}

const REASONS = { no_trade: "nobody traded", feed_stale: "the feed was silent", throttled: "the provider held us back", partial_start: "we began in the middle of it" };

// Why one should not take a bar for whole; "" when there is nothing. The same words as in the tables.
export function doubtOf(bar) {
  const doubts = bar.revision ? [`revised by ${bar.revision} records`] : [];
  if (bar.reason && bar.reason !== "no_trade") doubts.push(`${bar.close === null ? "" : "incomplete: "}${REASONS[bar.reason] || bar.reason}`);
  return doubts.join("; ");
}

// A bar in a sentence, for who reads it from bar to bar.
export function sentence(bar, signals, clock, zone) {
  const prices = ["open", "high", "low", "close"].map((name) => `${name} ${price(bar[name])}`);
  const found = [...signals.values()].filter((signal) => signal.t === bar.t).map((signal) => `${signal.name} ${signal.direction}`);
  const parts = [`${clock(bar.t).replace("T", " ").slice(0, 16)} ${zone}`, ...prices, `volume ${price(bar.volume)}`, bar.state, doubtOf(bar), bar.origin === "provider" ? "the provider’s bar" : "", ...found];
  return parts.filter(Boolean).join(" · ");
}

// Text that came from outside, for places where Plotly reads tags.
export const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

export function price(value) {
  if (value == null || !Number.isFinite(value)) return "–";
  const digits = Math.abs(value) >= 1000 ? 2 : Math.abs(value) >= 1 ? 4 : 8;
  return value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: digits });
}

export function ago(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} days`;
}
