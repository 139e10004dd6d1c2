"""Which part is missing when nothing is stored any more: the sidebar names it on every page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest
import streamlit as st

from serve.api.world import World
from serve.dashboard.browsing import until
from serve.dashboard.harness import opened, press
from sparktrends.bus.kafka import Admin, Connection, Producer
from sparktrends.bus.topics import OUT_SIGNALS
from sparktrends.ops.stack import Stack
from sparktrends.serve.dashboard import config as config_module
from sparktrends.serve.dashboard.config import DashboardConfig, configure

pytestmark = pytest.mark.e2e
PROGRESS = (
    "INSERT INTO core.ledger (topic, partition, topic_id, first_offset, next_offset, shard, updated_at)"
    " VALUES ('out.signals', 0, 't', 0, 0, '1/1', now() - %s * interval '1 second')"
)


def pulse(config: DashboardConfig) -> str:
    """What the sidebar says of the data."""
    configure(config)
    st.cache_data.clear()
    return "\n".join(one.value for one in opened("quality").sidebar.caption)


def test_messages_of_a_topic_are_read_when_asked_for(filled: World, database: tuple[Stack, Any]) -> None:
    kafka = Connection(database[0].kafka)
    Admin(kafka).ensure()
    producer = Producer(kafka)
    for number in range(60):
        producer.send(OUT_SIGNALS, "<b>NOBODY</b>", b'{"symbol": "NOBODY/READS",  "n": %d}' % number)
    producer.close(60)
    configure(DashboardConfig(filled.reader, "", kafka))
    app = opened("system", tab="Messages", topic=OUT_SIGNALS, partition="0")
    assert not [one for one in app.dataframe if "value" in one.value]
    press(app, "Read the last 50")
    (shown,) = [one.value for one in app.dataframe if "value" in one.value]
    assert list(shown["value"]) == [f'{{"symbol": "NOBODY/READS", "n": {n}}}' for n in range(59, 9, -1)]
    assert set(shown["key"]) == {"<b>NOBODY</b>"}
    config_module._given.clear()


@pytest.fixture
def quiet(filled: World) -> Iterator[DashboardConfig]:
    """Nothing was stored for 40 seconds."""
    filled.run(PROGRESS, 40)
    yield DashboardConfig(filled.reader, "")
    filled.run("DELETE FROM core.ledger")
    config_module._given.clear()


def test_while_data_flows_nobody_is_asked(filled: World) -> None:
    asked: list[int] = []

    def processes() -> dict[str, int]:
        asked.append(1)
        return {}

    filled.run(PROGRESS, 1)
    assert "data flows" in pulse(DashboardConfig(filled.reader, "", processes=processes))
    assert not asked
    filled.run("DELETE FROM core.ledger")
    config_module._given.clear()


def test_data_that_is_quiet_while_everything_runs_is_only_quiet(quiet: DashboardConfig) -> None:
    said = pulse(replace(quiet, processes=lambda: {"stream": os.getpid()}))
    assert re.search(r":orange\[●\] quiet; last stored \d\d s ago", said), said


def test_a_part_that_is_gone_or_stands_still_is_named_on_every_page(quiet: DashboardConfig) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    still = psutil.Process(child.pid)
    still.suspend()
    until(lambda: still.status() == psutil.STATUS_STOPPED, 60)
    try:
        said = pulse(replace(quiet, processes=lambda: {"api": os.getpid(), "ingest": 2**22 + 1, "stream": child.pid}))
    finally:
        still.resume()
        child.kill()
    assert re.search(r":red\[●\] quiet: ingest does not run, stream stands still; last stored \d\d s ago", said), said
    # It has ended, and nobody has taken notice of that yet.
    until(lambda: still.status() == psutil.STATUS_ZOMBIE, 60)
    assert "stream does not run" in pulse(replace(quiet, processes=lambda: {"stream": child.pid}))
    child.wait()


def test_a_broker_that_does_not_answer_is_named(quiet: DashboardConfig) -> None:
    assert "quiet: the broker does not answer" in pulse(replace(quiet, kafka=Connection("127.0.0.1:1")))


def test_records_that_nobody_stores_are_told(quiet: DashboardConfig, database: tuple[Stack, Any]) -> None:
    kafka = Connection(database[0].kafka)
    Admin(kafka).ensure()
    producer = Producer(kafka)
    producer.send(OUT_SIGNALS, "NOBODY/READS", b'{"symbol": "NOBODY/READS"}')
    producer.close(60)
    said = pulse(replace(quiet, kafka=kafka))
    assert re.search(r"quiet: [1-9][\d,]* records wait for the stream; last stored \d\d s ago", said), said


def test_a_broker_that_stands_still_is_named_until_it_goes_on(
    quiet: DashboardConfig, database: tuple[Stack, Any]
) -> None:
    stack = database[0]
    connection = Connection(stack.kafka)
    Admin(connection).ensure()
    process = stack.keepers["kafka"].process
    assert process is not None
    broker = psutil.Process(process.pid)
    broker.suspend()
    try:
        assert "quiet: the broker does not answer" in pulse(replace(quiet, kafka=connection))
        assert "quiet: kafka stands still;" in pulse(
            replace(quiet, kafka=connection, processes=lambda: {"kafka": process.pid})
        )
    finally:
        broker.resume()
    until(lambda: "does not answer" not in pulse(replace(quiet, kafka=connection)), 60)
