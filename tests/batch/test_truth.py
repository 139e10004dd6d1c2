"""A stored day against its provider's bars: equal where nothing was lost, and every planted loss has its figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date

import pytest

from commit.world import DAY, LIMITS, MINUTE, SECOND, Pen, Road, T, rows
from sparktrends.batch.truth import Compared, run
from sparktrends.commit import Laws
from sparktrends.store.session import Session

pytestmark = pytest.mark.e2e

STORED = "SELECT * FROM market.truth ORDER BY day, source, symbol"
Compare = Callable[[Pen], dict[str, Compared]]


@pytest.fixture
def session(database: str) -> Iterator[Session]:
    with closing(Session(database, "test")) as made:
        yield made


@pytest.fixture
def compare(session: Session, database: str) -> Compare:
    """Store a log as the stream does, and compare its day."""

    def compared(pen: Pen) -> dict[str, Compared]:
        with closing(Road(database, pen.log, Laws(LIMITS))) as road:
            road.all()
        return {f"{c.source} {c.symbol}": c for c in run(session, date(2024, 1, 1), T + 2 * DAY)}

    return compared


def trades(pen: Pen, source: str = "demo~sim", *, skip: range = range(0)) -> None:
    """Half an hour: each minute opens and closes at 100, between 99 and 101, with a volume of 4."""
    for minute in range(31):
        start = T + minute * MINUTE
        for second, price in enumerate((100, 101, 99, 100)) if minute not in skip else ():
            pen.trade("A/USD", start + second * SECOND, price, 1, source=source, id=f"{minute}.{second}")
        pen.trade(
            "A/USD", start + 30 * SECOND, source=source, kind="heartbeat", status="stale" if minute in skip else "ok"
        )


def bars(pen: Pen, source: str = "demo~sim", *, high: float = 101, volume: float = 4) -> None:
    """The provider's bars of the first half hour."""
    for minute in range(30):
        start = T + minute * MINUTE
        prices = {"open": 100, "high": high, "low": 99, "close": 100, "volume": volume, "closed": True, "fill": True}
        head = {"source": source, "symbol": "A/USD", "interval": "1m", "start": start, "received": start + MINUTE}
        pen.write("raw.bars", 0, start + MINUTE, {**head, **prices})


def test_what_was_lost_has_its_cause_and_again_changes_nothing(
    compare: Compare, session: Session, database: str
) -> None:
    pen = Pen()
    trades(pen, skip=range(10, 13))
    bars(pen)
    found = compare(pen)["demo~sim A/USD"]
    assert found.against == "demo~sim"
    truth = found.truth
    assert (truth.minutes, truth.compared, truth.equal, truth.worst_bp) == (30, 27, 27, 0.0)
    assert truth.missing == {"feed_stale": 3}
    assert truth.coverage == 0.9
    assert not found.wrong
    before = rows(database, STORED)
    assert len(before) == 1
    run(session, date(2024, 1, 1), T + 3 * DAY)
    assert rows(database, STORED) == before


def test_a_bar_that_its_own_provider_contradicts_is_wrong(compare: Compare) -> None:
    pen = Pen()
    trades(pen)
    bars(pen, high=100, volume=8)
    found = compare(pen)["demo~sim A/USD"]
    assert found.wrong
    assert (found.truth.contradictions, found.truth.equal, found.truth.coverage) == (30, 0, 0.5)
    assert found.truth.worst_bp == 100.0


def test_who_has_no_bars_is_held_against_another_of_its_kind(compare: Compare) -> None:
    pen = Pen()
    trades(pen)
    bars(pen, "other~sim", high=100)
    bars(pen, "real", high=100)
    found = compare(pen)
    assert found.keys() == {"demo~sim A/USD"}
    one = found["demo~sim A/USD"]
    assert (one.against, one.truth.compared, one.wrong) == ("other~sim", 30, False)


def test_without_anybodys_bars_the_missing_minutes_are_told_all_the_same(compare: Compare) -> None:
    pen = Pen()
    trades(pen, skip=range(5))
    found = compare(pen)["demo~sim A/USD"]
    assert (found.against, found.truth.compared, found.truth.missing) == (None, 0, {"feed_stale": 5})
