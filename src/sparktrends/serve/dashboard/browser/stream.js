// A shared worker: one connection to the event stream for all tabs. A browser keeps at most six connections to one
// host, so ten tabs with one each would leave four of them, and every fetch, waiting for ever. A browser without shared
// workers (some phones have none) runs it as a worker of one tab.

// A tab says again and again what it follows. One that is silent for so long is gone or sleeps, and is told nothing.
const SILENT_MS = 150_000; // background tabs may run a timer only once a minute
const ports = new Map();
let source = null;
let followed = "";
let state = "connecting";

function attach(port) {
  port.onmessage = ({ data }) => {
    const known = ports.has(port);
    if (data.bye) ports.delete(port);
    else ports.set(port, { ...data.follow, seen: Date.now() });
    follow();
    if (known || data.bye) return;
    // It is new, or was away and believes what it heard last: once it hears that the stream is open, it loads.
    port.postMessage({ state: "connecting" });
    port.postMessage({ state });
  };
}

if (self.SharedWorkerGlobalScope) self.onconnect = (event) => attach(event.ports[0]);
else attach(self);

setInterval(() => {
  for (const [port, wish] of ports) if (Date.now() - wish.seen > SILENT_MS) ports.delete(port);
  follow();
}, 30_000);

// Follow what all tabs together want. The connection is made anew only when that has changed.
function follow() {
  const wishes = [...ports.values()].filter((wish) => wish.api);
  const symbols = [...new Set(wishes.flatMap((wish) => wish.symbols))].sort();
  const wanted = wishes.length ? JSON.stringify([wishes[0].api, symbols]) : "";
  if (wanted === followed) return;
  followed = wanted;
  if (source) source.close();
  // What is committed until the next one is open is told to nobody: when it is, every tab loads.
  if (state === "on") tell("connecting");
  source = wanted ? open(wishes[0].api, symbols) : null;
}

function open(api, symbols) {
  // More names than the API takes at once: then everything, and each tab picks its own.
  const nameable = symbols.length <= 50 && !symbols.some((symbol) => symbol.includes(","));
  const query = nameable ? `?symbol=${encodeURIComponent(symbols.join(","))}` : "";
  const opened = new EventSource(`${api}/api/v1/stream${query}`);
  opened.onopen = () => tell("on");
  opened.onerror = () => {
    tell("off");
    if (opened.readyState !== EventSource.CLOSED) return;
    // The API answered with an error: the browser gives up then, we do not.
    setTimeout(() => { if (source === opened) { followed = ""; follow(); } }, 2000);
  };
  for (const kind of ["bars", "signals"]) opened.addEventListener(kind, (event) => spread(kind, event.data));
  opened.addEventListener("reset", () => tell("reset"));
  opened.addEventListener("slow", () => tell("reset"));
  return opened;
}

function tell(word) {
  if (word !== "reset") state = word;
  for (const port of ports.keys()) port.postMessage({ state: word });
}

function spread(kind, text) {
  const commit = JSON.parse(text);
  for (const [port, wish] of ports) {
    const rows = commit[kind].filter((row) => wish.keys && wish.keys.includes(`${row.source}\n${row.symbol}`));
    if (rows.length) port.postMessage({ kind, rows, at: commit.at });
  }
}
