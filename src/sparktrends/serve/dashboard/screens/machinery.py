"""What our processes measure of themselves, as tables: batches, delays, Spark, quotas. A part of the page *System*."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import streamlit as st

from sparktrends.serve.dashboard import machine, tables, words
from sparktrends.serve.dashboard.config import current

_MEANS = (
    (
        "event_to_bar_seconds",
        "From event to bar",
        "",
        "arrival of a live trade to the commit of its bar",
    ),
    ("stream_batch_seconds", "Part of a batch", "part", "fold: from records to partial bars; commit: the transaction"),
    ("api_seconds", "Answer of the API", "route", "time to answer, by route"),
)
"""Histograms, of which the mean since the part began is shown: name, title, label, meaning."""
_NOW = (
    ("spark_batch_part_seconds", "Spark, newest batch", "part", "as Spark's own progress says"),
    ("spark_batch_rows", "Spark, newest batch", "", "records in it"),
    ("spark_heap_bytes", "Spark", "", "Java heap in use"),
    ("outbox_age_seconds", "Outbox", "", "how long the oldest due message waits"),
    ("api_listeners", "API", "", "who follows the event stream"),
)
"""What stands now: the same."""
_QUOTAS = {"source": "Source", "left": "Units left now", "held": "Next call in", "ended": "Connections ended"}


def show() -> None:
    """Draw the tables."""
    addresses = current().metrics()
    if not addresses:
        st.caption("This process was not told where the parts show their metrics: `sparktrends env` lists them.")
        return
    found = _asked(tuple(addresses.items()))
    tables.table([*measured(found)], {"what": "What", "of": "Of", "value": "Now", "help": "Meaning"})
    if quotas := [_quota(found, source) for source in sorted({of for of, _ in by(found, "quota_left", "source")})]:
        st.subheader("Quotas")
        tables.table(quotas, _QUOTAS)


@st.cache_data(ttl=4.0, max_entries=4, show_spinner=False)
def _asked(addresses: tuple[tuple[str, str], ...]) -> machine.Samples:
    return machine.samples(dict(addresses))


def measured(found: machine.Samples) -> Iterator[dict[str, str]]:
    """A row for each figure that some part shows."""
    for name, title, label, meaning in _MEANS:
        sums = dict(by(found, f"{name}_sum", label))
        for of, count in by(found, f"{name}_count", label):
            if count:
                mean = f"{sums[of] / count * 1000:,.0f} ms on average"
                yield {"what": title, "of": of, "value": mean, "help": meaning}
    for name, title, label, meaning in _NOW:
        for of, value in by(found, name, label):
            yield {"what": title, "of": of, "value": _shown(name, value), "help": meaning}


def by(found: machine.Samples, name: str, label: str) -> list[tuple[str, float]]:
    """The values of a metric, summed by one of its labels.

    >>> by({"a": [({"x": "1", "y": "2"}, 3.0), ({"x": "1", "y": "4"}, 5.0)]}, "a", "x")
    [('1', 8.0)]
    """
    total: dict[str, float] = {}
    for labels, value in found.get(name, ()):
        of = labels.get(label, "")
        total[of] = total.get(of, 0.0) + value
    return sorted(total.items())


def _shown(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return words.size(value)
    return f"{value * 1000:,.0f} ms" if name.endswith("_seconds") else f"{value:,.0f}"


def _quota(found: machine.Samples, source: str) -> dict[str, Any]:
    def of(name: str) -> float:
        return dict(by(found, name, "source")).get(source, 0.0)

    wait = of("quota_wait_seconds")
    held = words.age(wait) if wait else "now"
    return {"source": source, "left": int(of("quota_left")), "held": held, "ended": int(of("reconnects_total"))}
