"""Opening the ledger: where each partition goes on, and gaps that nobody passes over in silence."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from sparktrends.errors import LogGap
from sparktrends.store.connect import connect
from sparktrends.store.figures import figures
from sparktrends.store.ledger import PartitionLog, Standing, open_ledger, standings
from sparktrends.store.queries import Tally

pytestmark = pytest.mark.e2e

PLACE = ("raw.trades", 0)


def log(low: int, high: int, topic_id: str = "one") -> list[PartitionLog]:
    return [PartitionLog(*PLACE, topic_id, low, high)]


def rows(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def at_50(database: str) -> str:
    """A ledger that stands at 50 after 40 records, with a late trade at 45."""
    open_ledger(database, "1/1", log(10, 50))
    rows(database, "UPDATE core.ledger SET next_offset = 50, records = 40, trades = 39, late = 1")
    rows(database, "INSERT INTO core.series (source, symbol) VALUES ('s', 'A')")
    rows(database, "INSERT INTO core.late_trades VALUES ('raw.trades', 'one', 0, 45, 1, 0, 0, 0, 1, 1, '')")
    return database


def test_where_it_stands_is_told_once_something_is_stored(at_50: str) -> None:
    assert standings(at_50) == {}
    rows(at_50, "UPDATE core.ledger SET appended_at = '2024-05-01 00:00:00.123Z'")
    assert standings(at_50) == {PLACE: Standing("one", 50, 1_714_521_600_123_000)}


def test_a_new_partition_begins_where_the_log_does(database: str) -> None:
    assert open_ledger(database, "1/1", log(10, 50)) == {PLACE: 10}
    assert rows(database, "SELECT first_offset, next_offset, shard FROM core.ledger") == [(10, 10, "1/1")]


@pytest.mark.parametrize(("low", "high"), [(0, 50), (50, 60), (10, 99)])
def test_it_goes_on_where_it_stands(at_50: str, low: int, high: int) -> None:
    assert open_ledger(at_50, "2/2", log(low, high)) == {PLACE: 50}
    assert rows(at_50, "SELECT shard FROM core.ledger") == [("2/2",)]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (log(55, 60), r"raw.trades\[0\]: records 50 to 54 are no longer in the log"),
        (log(0, 47), "stands at 50, but the log that it folded ends at 47"),
        (log(0, 60, "two"), "another topic than the ledger's"),
    ],
)
def test_a_gap_is_refused_with_its_range(at_50: str, found: list[PartitionLog], said: str) -> None:
    with pytest.raises(LogGap, match=said):
        open_ledger(at_50, "1/1", found)
    assert rows(at_50, "SELECT next_offset, shard FROM core.ledger") == [(50, "1/1")]
    assert rows(at_50, "SELECT * FROM core.log_gaps") == []


def test_a_trimmed_gap_can_be_accepted(at_50: str) -> None:
    assert open_ledger(at_50, "1/1", log(55, 60), accept_gap=True) == {PLACE: 55}
    assert rows(at_50, "SELECT from_offset, to_offset FROM core.log_gaps") == [(50, 55)]
    assert rows(at_50, "SELECT first_offset, records FROM core.ledger") == [(10, 40)]


def test_a_lost_end_frees_its_offsets_and_may_be_lost_again(at_50: str) -> None:
    rows(
        at_50,
        "INSERT INTO core.repeats SELECT 'raw.trades', 'one', 0, n, 1, now() FROM unnest(ARRAY[41, 46]) n",
    )
    assert open_ledger(at_50, "1/1", log(0, 44), accept_gap=True) == {PLACE: 44}
    assert rows(at_50, "SELECT first_offset, next_offset, records FROM core.ledger") == [(44, 44, 0)]
    rows(at_50, "UPDATE core.ledger SET next_offset = 50, records = 6, trades = 5, late = 1")
    rows(at_50, "INSERT INTO core.late_trades VALUES ('raw.trades', 'one', 0, 45, 1, 0, 0, 0, 1, 1, '')")
    assert open_ledger(at_50, "1/1", log(0, 44), accept_gap=True) == {PLACE: 44}
    lost = [("one~lost1",), ("one~lost2",)]
    assert rows(at_50, "SELECT topic_id FROM core.late_trades ORDER BY 1") == lost
    assert rows(at_50, "SELECT topic_id FROM core.log_gaps WHERE to_offset = 50 ORDER BY 1") == lost
    assert rows(at_50, "SELECT topic_id FROM core.repeats ORDER BY log_offset") == [("one",), ("one~lost1",)]


@pytest.mark.parametrize("found", [log(0, 44), log(0, 60, "two")])
def test_what_was_counted_before_a_gap_is_told_on(at_50: str, found: list[PartitionLog]) -> None:
    open_ledger(at_50, "1/1", found, accept_gap=True)
    rows(at_50, "UPDATE core.ledger SET records = 8, trades = 5, late = 1, quarantined = 2")
    open_ledger(at_50, "1/1", log(0, 9, "three"), accept_gap=True)
    rows(at_50, "UPDATE core.ledger SET records = 1, trades = 1")
    with connect(at_50, autocommit=True) as connection, connection.cursor() as cursor:
        told = Tally(connection).totals()
        assert (told.trades, told.late, told.quarantined) == (45, 2, 2)
        (records,) = (figure for figure in figures(cursor) if figure.name == "ledger_records")
        assert records.values[("trades",)] == 45
    assert rows(at_50, "SELECT records, trades, late FROM market.progress") == [(49, 45, 2)]
    assert rows(at_50, "SELECT records, trades, late FROM core.ledger") == [(1, 1, 0)]


def test_payloads_of_a_lost_end_give_their_places_back(database: str) -> None:
    place = [PartitionLog("raw.payloads", 0, "two", 0, 10)]
    open_ledger(database, "payloads", place)
    rows(database, "UPDATE core.ledger SET next_offset = 10")
    rows(
        database,
        "INSERT INTO raw.payloads (source, endpoint, fetched_at, request, payload, topic_id, log_partition, log_offset)"
        " SELECT 's', 'e', now(), '{}', '{}', 'two', 0, n FROM unnest(ARRAY[3, 7]) n",
    )
    lost = [PartitionLog("raw.payloads", 0, "two", 0, 5)]
    assert open_ledger(database, "payloads", lost, accept_gap=True) == {("raw.payloads", 0): 5}
    assert rows(database, "SELECT topic_id FROM raw.payloads ORDER BY log_offset") == [("two",), ("two~lost1",)]


def test_another_topic_of_the_name_begins_anew(at_50: str) -> None:
    assert open_ledger(at_50, "1/1", log(0, 60, "two"), accept_gap=True) == {PLACE: 0}
    assert rows(at_50, "SELECT topic_id, records FROM core.ledger") == [("two", 0)]
    assert open_ledger(at_50, "1/1", log(0, 60, "two")) == {PLACE: 0}


def test_a_partition_that_stored_nothing_lost_nothing_with_its_topic(database: str) -> None:
    open_ledger(database, "1/1", log(0, 0))
    with pytest.raises(LogGap, match="another topic"):
        open_ledger(database, "1/1", log(0, 0, "two"))
    assert open_ledger(database, "1/1", log(0, 0, "two"), accept_gap=True) == {PLACE: 0}
    assert rows(database, "SELECT topic_id FROM core.ledger") == [("two",)]
    assert rows(database, "SELECT * FROM core.log_gaps") == []
    rows(database, "UPDATE core.ledger SET next_offset = 1, records = 1, trades = 1, appended_at = now()")
    open_ledger(database, "1/1", log(0, 0, "three"), accept_gap=True)
    assert rows(database, "SELECT topic_id, from_offset, to_offset FROM core.log_gaps") == [("two", 1, 1)]
