"""Counters, gauges and logs with a correlation id; knows nobody. The clock that every room is handed lives here too.

Metrics are prometheus_client objects made through `counter`, `gauge` and `histogram`, so that one process has one
registry and a name is declared once. What somebody else knows (the database, the broker, Spark) is asked for at each
scrape: `asked_at_scrape`. `serve_metrics` exposes all of it on loopback.
"""

from __future__ import annotations

import contextvars
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from sparktrends.errors import SparkTrendsError

Clock = Callable[[], int]
"""Returns the time now: microseconds since 1970, UTC."""

_NOTHING = "-"
_correlation: contextvars.ContextVar[str] = contextvars.ContextVar("correlation", default=_NOTHING)
_records: contextvars.ContextVar[str] = contextvars.ContextVar("records", default="")
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.8, 1.0, 2.0, 5.0, 15.0, 60.0)


def system_clock() -> int:
    """The machine's clock, microseconds since 1970, UTC: the one place that reads it."""
    return time.time_ns() // 1000  # noqa: TID251 - the clock that everybody else is handed


def counter(name: str, help_text: str, labels: Sequence[str] = ()) -> Counter:
    """Declare a counter ``sparktrends_<name>_total``; call at import, once."""
    return Counter(f"sparktrends_{name}", help_text, labels)


def gauge(name: str, help_text: str, labels: Sequence[str] = ()) -> Gauge:
    """Declare a gauge ``sparktrends_<name>``; call at import, once."""
    return Gauge(f"sparktrends_{name}", help_text, labels)


def histogram(name: str, help_text: str, labels: Sequence[str] = ()) -> Histogram:
    """Declare a histogram of seconds ``sparktrends_<name>``; call at import, once."""
    return Histogram(f"sparktrends_{name}", help_text, labels, buckets=_BUCKETS)


@dataclass(frozen=True, slots=True)
class Figure:
    """A gauge ``sparktrends_<name>``, or (``total``) a counter ``sparktrends_<name>_total``, and its values by the
    values of its labels; without labels the only key is ``()``."""

    name: str
    help_text: str
    values: Mapping[Any, float]
    labels: tuple[str, ...] = ()
    total: bool = False

    def family(self) -> Metric:
        """As the registry wants it."""
        kind = CounterMetricFamily if self.total else GaugeMetricFamily
        family = kind(f"sparktrends_{self.name}", self.help_text, labels=self.labels)
        for words, value in self.values.items():
            family.add_metric(words, value)
        return family


@dataclass(slots=True, eq=False)
class _Asked(Collector):
    """Figures of somebody who is asked at each scrape, and whether they answered."""

    who: str
    figures: Callable[[], Iterable[Figure]]

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not ask."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The figures; while whoever has them does not answer, only that."""
        found: list[Figure] = []
        with suppress(SparkTrendsError):
            found = [*self.figures(), Figure("answers", _ANSWERS, {(self.who,): 1}, ("part",))]
        for figure in found or [Figure("answers", _ANSWERS, {(self.who,): 0}, ("part",))]:
            yield figure.family()


_ANSWERS = "1 when the part answered the question for its figures"


def asked_at_scrape(
    parts: Mapping[str, Callable[[], Iterable[Figure]]], registry: CollectorRegistry = REGISTRY
) -> None:
    """Expose what these parts know. A part that raises an error of ours is told as not answering."""
    for who, figures in parts.items():
        registry.register(_Asked(who, figures))


def serve_metrics(port: int, host: str = "127.0.0.1") -> int:
    """Expose ``/metrics`` of this process and return the port: ``port``, or a free one when it is taken."""
    try:
        server, _ = start_http_server(port, addr=host)
    except OSError:
        server, _ = start_http_server(0, addr=host)
    return int(server.server_port)


# Names of work begin anew with each process, so the process is part of the id: since when (seconds) and its number.
_PROCESS = f"{system_clock() // 1_000_000:x}-{os.getpid():x}"


@contextmanager
def correlated(work: str, records: str = "") -> Iterator[None]:
    """Give every log line inside the block one id, unique to this piece of work of this process.

    ``records`` says in words what the work is about, such as the part of the log that a batch holds: each line has it.
    """
    token = _records.set(records)
    try:
        with resumed(f"{_PROCESS}.{work}"):
            yield
    finally:
        _records.reset(token)


@contextmanager
def resumed(correlation_id: str | None) -> Iterator[None]:
    """Go on under the id that another process gave (see `correlation`); None: under none."""
    token = _correlation.set(correlation_id or _NOTHING)
    try:
        yield
    finally:
        _correlation.reset(token)


def correlation() -> str | None:
    """The id of the work under way, to be kept beside its results; None outside of any."""
    found = _correlation.get()
    return None if found == _NOTHING else found


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, room, correlation id, message, and the records and the error if any."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "room": record.name,
            "id": _correlation.get(),
            "message": self._redact(record.getMessage()),
        }
        if records := _records.get():
            line["records"] = records
        if record.exc_info:
            line["error"] = self._redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)

    converter = staticmethod(time.gmtime)


def configure_logging(redact: Callable[[str], str], level: str = "INFO") -> None:
    """Send every log of this process to standard error as JSON lines, with secrets taken out by ``redact``: what nobody
    caught too, for standard error is a log."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(redact))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("py4j", "numba", "urllib3", "httpcore", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda found: _log_uncaught(found.exc_type, found.exc_value, found.exc_traceback)


def _log_uncaught(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
    if error is None or not issubclass(kind, Exception):
        sys.__excepthook__(kind, error or kind(), traceback)
        return
    # In the message too: `up` quotes the beginning of the line when a part of it gives up.
    words = "nobody caught %s: %s"
    logging.getLogger(__name__).critical(words, kind.__name__, error, exc_info=(kind, error, traceback))
