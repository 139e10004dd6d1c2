"""A home is judged by one set of limits, from its first record on."""

from __future__ import annotations

import psycopg
import pytest

from sparktrends.errors import BadSetting
from sparktrends.store.ledger import PartitionLog, open_ledger
from sparktrends.store.limits import Times, agree

pytestmark = pytest.mark.e2e
ONE, OTHER = Times(900_000_000, 5_000_000, 60_000_000), Times(1_800_000_000, 5_000_000, 60_500_000)


def run(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(statement.encode())


def begin(dsn: str, topic: str = "raw.trades") -> None:
    open_ledger(dsn, "1/1", [PartitionLog(topic, 0, "t", 0, 9)])


def fold(dsn: str) -> None:
    run(dsn, "UPDATE core.ledger SET next_offset = 1, records = 1, trades = 1, appended_at = now()")


def test_until_a_record_is_stored_they_may_change(database: str) -> None:
    agree(database, ONE, begins=True)
    begin(database)
    agree(database, OTHER)
    agree(database, OTHER, begins=True)
    fold(database)
    agree(database, OTHER, begins=True)
    with pytest.raises(BadSetting):
        agree(database, ONE)


@pytest.mark.parametrize("begins", [True, False])
def test_others_than_those_of_the_records_are_refused_in_words(database: str, begins: bool) -> None:
    agree(database, ONE, begins=True)
    begin(database)
    fold(database)
    said = r"judged by grace = 900, future = 60, and \[limits\] now say grace = 1800, future = 60.5: set them back"
    with pytest.raises(BadSetting, match=said):
        agree(database, OTHER, begins=begins)
    agree(database, ONE, begins=begins)


def test_a_log_that_was_replaced_frees_nobody(database: str) -> None:
    """Its counts begin anew, the bars are still there."""
    agree(database, ONE, begins=True)
    begin(database)
    fold(database)
    run(database, "UPDATE core.ledger SET records = 0, trades = 0")
    with pytest.raises(BadSetting):
        agree(database, OTHER, begins=True)


def test_a_home_from_before_takes_what_its_stream_begins_with(database: str) -> None:
    begin(database)
    fold(database)
    agree(database, OTHER)  # nobody knows
    agree(database, ONE, begins=True)
    with pytest.raises(BadSetting):
        agree(database, OTHER, begins=True)


def test_other_ledgers_are_not_asked(database: str) -> None:
    agree(database, ONE, begins=True)
    begin(database, "raw.payloads")
    fold(database)
    agree(database, OTHER, begins=True)
