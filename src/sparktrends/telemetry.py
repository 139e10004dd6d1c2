"""Counters, gauges and logs with a correlation id; knows nobody. The clock that every room is handed lives here too.

Metrics are prometheus_client objects made through `counter`, `gauge` and `histogram`, so that one process has one
registry and a name is declared once. `serve_metrics` exposes them on loopback.
"""

from __future__ import annotations

import contextvars
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram, start_http_server

Clock = Callable[[], int]
"""Returns the time now: microseconds since 1970, UTC."""

_correlation: contextvars.ContextVar[str] = contextvars.ContextVar("correlation", default="-")
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


def serve_metrics(port: int, host: str = "127.0.0.1") -> None:
    """Expose ``/metrics`` of this process on ``host:port``; raises OSError when the port is taken."""
    start_http_server(port, addr=host)


@contextmanager
def correlated(correlation_id: str) -> Iterator[None]:
    """Give every log line inside the block this id, from event to alert."""
    token = _correlation.set(correlation_id)
    try:
        yield
    finally:
        _correlation.reset(token)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, room, correlation id, message, and the error if there is one."""

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
        if record.exc_info:
            line["error"] = self._redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)

    converter = staticmethod(time.gmtime)


def configure_logging(redact: Callable[[str], str] = lambda text: text, level: str = "INFO") -> None:
    """Send every log of this process to standard error as JSON lines, with secrets taken out by ``redact``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(redact))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("py4j", "numba", "urllib3", "httpcore", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
