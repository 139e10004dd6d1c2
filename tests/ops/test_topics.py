"""`topics`: what the broker lacks, for as many streams as are wanted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sparktrends.bus.topics import TABLE, Change, Existing
from sparktrends.ops.cli import main


class Broker:
    """Has every topic of the table, and remembers what it was told to change."""

    def __init__(self) -> None:
        self.applied: list[str] = []

    def existing(self, names: Iterable[str]) -> dict[str, Existing]:
        return {topic.name: Existing(topic.partitions, topic.config) for topic in TABLE if topic.name in names}

    def apply(self, changes: Iterable[Change]) -> None:
        self.applied += map(str, changes)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    found = Broker()
    monkeypatch.setattr("sparktrends.ops.commands.inspecting.Admin", lambda _connection: found)
    return found


def typed(home: Path, *words: str) -> Result:
    env = {"KAFKA_BOOTSTRAP": "127.0.0.1:1", "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PASSWORD": "x1y2z3"}
    return CliRunner().invoke(main, ["--home", str(home), "topics", *words], env=env)


def test_more_streams_than_four_are_given_partitions(tmp_path: Path, broker: Broker) -> None:
    assert typed(tmp_path, "--partitions", "8").output == "to do: grow raw.trades to 8 partitions\n"
    assert broker.applied == []
    found = typed(tmp_path, "--apply", "--partitions", "8", "--json")
    assert json.loads(found.stdout) == {"applied": True, "changes": ["grow raw.trades to 8 partitions"]}
    assert broker.applied == ["grow raw.trades to 8 partitions"]


@pytest.mark.parametrize("words", [(), ("--partitions", "4")])
def test_where_nothing_is_missing_nothing_is_changed(tmp_path: Path, broker: Broker, words: tuple[str, ...]) -> None:
    assert typed(tmp_path, "--apply", *words).output == "every topic is as the table says\n"
    assert broker.applied == []


def test_no_partition_is_ever_taken_away(tmp_path: Path, broker: Broker) -> None:
    found = typed(tmp_path, "--apply", "--partitions", "3")
    assert (found.exit_code, broker.applied) == (2, [])
    assert "raw.trades has 4 partitions" in found.output
