"""Every part of a running product shows its figures, and says where."""

from __future__ import annotations

import re
import urllib.request
from contextlib import suppress

import pytest

from e2e.product import Product, until
from sparktrends.ops.exposition import addresses

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
WANTED = {
    "up": ('sparktrends_part_running{name="stream"} 1.0', "sparktrends_disk_free_bytes "),
    "stream": ("sparktrends_event_to_bar_seconds_count ", "sparktrends_spark_batch ", "sparktrends_spark_heap_bytes "),
    "alerts": (
        'sparktrends_log_records_total{topic="raw.trades"} ',
        'sparktrends_ledger_records_total{kind="trades"} ',
    ),
    "ingest": ("process_resident_memory_bytes ", 'sparktrends_published_total{source="simulator~sim"} '),
}


def metrics(address: str) -> str:
    with suppress(OSError), urllib.request.urlopen(address, timeout=60) as answer:
        return str(answer.read().decode())
    return ""


def value(text: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)}(\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_every_part_shows_its_figures() -> None:
    with Product.fresh() as product:
        up = product.up("--source", "simulator", "--symbols", "3", "--rate", "200")
        where = addresses(product.record["ports"])
        until(
            lambda: value(metrics(where["stream"]), 'sparktrends_stream_records_total{kind="trades"} '), 120, "no trade"
        )
        for part, lines in WANTED.items():
            until(lambda: all(line in metrics(where[part]) for line in lines), 60, lambda: metrics(where[part]))  # noqa: B023
        stream = metrics(where["stream"])
        assert value(stream, "sparktrends_event_to_bar_seconds_count ") > 0
        assert value(stream, 'sparktrends_spark_batch_part_seconds{part="triggerExecution"} ') > 0
        assert value(metrics(where["alerts"]), 'sparktrends_answers{part="database"} ') == 1
        assert f"SPARKTRENDS_STREAM_METRICS={where['stream']}" in product.run("env").out
        assert where["alerts"] in product.run("status").out
        assert up.stop() == 0
