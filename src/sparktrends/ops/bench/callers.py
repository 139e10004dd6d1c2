"""Who asks an API and who follows it, as a process of its own: ``python -m … URL RATE SECONDS SYMBOLS LISTENERS``.

Plain sockets, because a comfortable client would take more of the machine than the API does.
"""

from __future__ import annotations

import json
import random
import re
import selectors
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from sparktrends.ops.bench.report import percentile
from sparktrends.telemetry import system_clock

NEWEST, LARGE = 0.8, 500
"""Share of the requests that ask for the newest 1 to 10 bars; the others ask for so many with metrics."""
METRICS = (
    "return,log_return,volatility_20,sma_20,sma_50,sma_200,ema_20,rsi_14,macd,macd_signal,macd_hist,bb_upper,bb_middle,"
    "bb_lower,atr_14,vwap_session,volume_ratio,volume_z"
)
BAD = (
    *(
        "bars",
        "bars?symbol=A&limit=0",
        "bars?symbol=A&limit=1e9",
        "bars?symbol=A&interval=2m",
        "bars?symbol=",
        "nothing",
    ),
    *("bars?symbol=A&fields=drop", "bars?symbol=A&cursor=AAAA", "bars?symbol=A&from=now", "bars?symbol=A&symbol=B"),
    *(
        "bars?symbol=A&from=2024-05-02&to=2024-05-01",
        "metrics?symbol=%00",
        "signals?kind=%27%3B--",
        "news?x=" + "y" * 2000,
    ),
)
"""Paths that no well-behaved program asks for."""
_JSON = "application/json"
BAD_POSTS = (
    ("silences", _JSON, "{"),
    ("silences", _JSON, ""),
    ("silences", _JSON, "[" * 2000),
    ("silences", _JSON, '{"hours": "1"}'),
    ("silences", _JSON, '{"hours": 1e400}'),
    ("silences", _JSON, '{"hours": 1, "who": "me"}'),
    ("silences", "text/plain", '{"hours": 1}'),
    ("silences?x=1", _JSON, '{"hours": 1}'),
    ("alerts/%00/ack", _JSON, "{}"),
    (f"alerts/{'0' * 32}/ack", _JSON, "null"),
)
"""(path, type, body) of what no well-behaved program sends; none of it does anything."""
BAD_RATE = 1000.0
"""How many of these a second."""
_THREADS = 24
_PESTERERS = 16
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
_AT = re.compile(rb'"at":(\d+)')


@dataclass(slots=True)
class Heard:
    """What came back: milliseconds from when each request was due, by kind, and answers that were not as asked."""

    small: list[float] = field(default_factory=list)
    large: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Percentiles of all, and of the large alone."""
        both = self.small + self.large
        return {
            "requests": len(both),
            "wrong": self.wrong[:3],
            "p50_ms": round(percentile(both, 0.5), 1),
            "p99_ms": round(percentile(both, 0.99), 1),
            "max_ms": round(max(both), 1),
            "large_p50_ms": round(percentile(self.large, 0.5), 1),
            "large_p99_ms": round(percentile(self.large, 0.99), 1),
        }


def ask(url: str, rate: float, seconds: float, symbols: int) -> Heard:
    """Ask at an even pace whatever the answers take: a stall counts for all who had to wait."""
    heard, numbers, began = Heard(), count(), time.perf_counter() + 0.1
    wishes = _wishes(int(rate * seconds), symbols)

    def work() -> None:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
        while (number := next(numbers)) < len(wishes):
            due = began + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            path, rows = wishes[number]
            _ask(connection, path, rows, heard, lambda due=due: (time.perf_counter() - due) * 1e3)  # type: ignore[misc]
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return heard


def _wishes(number: int, symbols: int) -> list[tuple[str, int]]:
    rng, made = random.Random(1), []
    for _ in range(number):
        symbol = f"/api/v1/bars?symbol=SIM{rng.randrange(1, symbols + 1):03d}/USD"
        few = rng.randrange(1, 11) if rng.random() < NEWEST else 0
        made.append((f"{symbol}&limit={few or LARGE}{'' if few else f'&metrics={METRICS}'}", few or LARGE))
    return made


def _ask(connection: HTTPConnection, path: str, rows: int, heard: Heard, taken: Callable[[], float]) -> None:
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    (heard.large if rows == LARGE else heard.small).append(taken())
    found = body.count(b'"source"')
    if answer.status != 200 or found != rows:
        heard.wrong.append(f"{answer.status}: {found} of {rows} rows")


def follow(url: str, listeners: int, over: threading.Event) -> list[float]:
    """Milliseconds from each commit to each listener that heard of it."""
    heard: list[float] = []
    with selectors.DefaultSelector() as selector:
        for _ in range(listeners):
            wire = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=30)
            wire.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            wire.setblocking(False)
            selector.register(wire, selectors.EVENT_READ, bytearray())
        while not over.is_set():
            for key, _ in selector.select(0.2):
                assert isinstance(key.fileobj, socket.socket)
                *lines, rest = (key.data + key.fileobj.recv(1 << 20)).split(b"\n")
                key.data[:] = rest
                now = system_clock()
                heard += [(now - int(at[1])) / 1e3 for line in lines if (at := _AT.search(line, 0, 120))]
        for key in list(selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
    return heard


def pester(url: str, rate: float, seconds: float) -> Counter[str]:
    """Ask `BAD` and send `BAD_POSTS` at this pace, or as fast as this machine can, waiting for no answer before the
    next question; the answers by status."""
    host = urlsplit(url)
    bad, wanted = _bad_requests(host.netloc), int(rate * seconds)
    heard: Counter[str] = Counter()
    with selectors.DefaultSelector() as selector:
        wires = [socket.create_connection((host.hostname, host.port), timeout=30) for _ in range(_PESTERERS)]
        for wire in wires:
            selector.register(wire, selectors.EVENT_READ, bytearray())
        asked, began = 0, time.perf_counter()
        while heard.total() < wanted and (now := time.perf_counter() - began) < 2 * seconds + 10:
            while asked < min(now * rate, wanted):
                wires[asked % _PESTERERS].sendall(bad[asked % len(bad)])
                asked += 1
            for key, _ in selector.select(0.005):
                assert isinstance(key.fileobj, socket.socket)
                key.data.extend(key.fileobj.recv(1 << 20))
                heard.update(status.decode() for status in _STATUS.findall(key.data))
                del key.data[:-11]  # one byte less than a status: what is cut in two is found with the next bytes
        for wire in wires:
            wire.close()
    heard["none"] += wanted - heard.total()
    return +heard


def _bad_requests(host: str) -> list[bytes]:
    gets = [f"GET /api/v1/{path} HTTP/1.1\r\nHost: {host}\r\n\r\n" for path in BAD]
    posts = [
        f"POST /api/v1/{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        + body
        for path, kind, body in BAD_POSTS
    ]
    return [request.encode() for request in gets + posts]


def main(url: str, rate: float, seconds: float, symbols: int, listeners: int) -> dict[str, Any]:
    """Requests alone, then listeners alone for a third of the time, then bad requests as long as those."""
    ask(url, rate, 3.0, symbols)  # what every caller after the first finds
    figures = ask(url, rate, seconds, symbols).figures()
    if listeners:
        over = threading.Event()
        threading.Timer(max(5.0, seconds / 3), over.set).start()
        heard = follow(url, listeners, over)
        figures |= {"listeners": listeners, "events": len(heard)}
        figures |= {"event_p50_ms": round(percentile(heard, 0.5), 1), "event_p99_ms": round(percentile(heard, 0.99), 1)}
    return figures | {"bad_per_s": BAD_RATE, "bad_answers": pester(url, BAD_RATE, max(5.0, seconds / 3))}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))))
