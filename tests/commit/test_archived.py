"""A trade for a month whose minutes are in the archive: nothing is made of what is left of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commit.world import BOTH, DAY, HOUR, MINUTE, SECOND, Pen, Road, T, rows

pytestmark = pytest.mark.e2e
LONGER = """
SELECT interval, start, open, high, low, close, volume, trades, state, after_final FROM core.bars
WHERE interval <> '1m' AND start < core.at(%s) ORDER BY 1, 2
"""
MINUTES = "SELECT high, trades FROM core.bars WHERE interval = '1m' AND start < core.at(%s)"
DAYS = "SELECT high FROM core.bars WHERE interval = '1d' AND start < core.at(%s)"
FEBRUARY = T + 31 * DAY


@pytest.fixture
def pen() -> Pen:
    """Two hours of January, and the stream in February."""
    made = Pen()
    for n in range(120):
        made.trade("A", T + n * MINUTE, 100 + n % 7)
    made.trade("A", FEBRUARY + HOUR, 100)
    return made


@pytest.fixture
def road(database: str, pen: Pen) -> Iterator[Road]:
    made = Road(database, pen.log, BOTH)
    made.all()
    yield made
    made.close()


def archive(road: Road) -> None:
    """What retention does, without its file."""
    rows(road.dsn, "INSERT INTO core.archived VALUES ('bars', '1m', '2024-01-01', now())")
    rows(road.dsn, "DELETE FROM core.bars WHERE interval = '1m' AND start < core.at(%s)", FEBRUARY)


def fill(road: Road, pen: Pen) -> None:
    """A trade that nobody had, of an hour and a day that are long over."""
    pen.trade("A", T + 50 * MINUTE + SECOND, 300, at=FEBRUARY + HOUR + MINUTE, fill=True)
    road.all()


@pytest.mark.parametrize("restarted", [False, True])
def test_bars_that_outlive_their_minutes_stay_as_they_are(road: Road, pen: Pen, restarted: bool) -> None:
    archive(road)
    before = rows(road.dsn, LONGER, FEBRUARY)
    if restarted:
        road.restart()
    fill(road, pen)
    assert rows(road.dsn, LONGER, FEBRUARY) == before  # the day was that of one trade
    assert rows(road.dsn, MINUTES, FEBRUARY) == [(300, 1)]


def test_bars_whose_minutes_are_there_follow_them(road: Road, pen: Pen) -> None:
    fill(road, pen)
    assert rows(road.dsn, DAYS, FEBRUARY) == [(300,)]


def test_minutes_of_a_recording_are_never_archived(road: Road, pen: Pen) -> None:
    rows(road.dsn, "UPDATE core.series SET source = 'demo~replay'")
    rows(road.dsn, "INSERT INTO core.archived VALUES ('bars', '1m', '2024-01-01', now())")
    for held in pen.log.values():
        held[:] = [(value.replace(b'"demo"', b'"demo~replay"'), at) for value, at in held]
    road.restart()
    pen.trade("A", T + 50 * MINUTE + SECOND, 300, at=FEBRUARY + HOUR + MINUTE, fill=True, source="demo~replay")
    road.all()
    assert rows(road.dsn, DAYS, FEBRUARY) == [(300,)]


def test_only_a_trade_of_an_earlier_month_asks(road: Road, pen: Pen, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> list[object]:
        raise AssertionError("the archive was asked for")

    monkeypatch.setattr("sparktrends.commit.longer.archived_months", asked)
    pen.trade("A", FEBRUARY + 2 * HOUR, 100)
    pen.trade("A", FEBRUARY + HOUR + SECOND, 300, at=FEBRUARY + 2 * HOUR + MINUTE, fill=True)
    road.all()
    assert rows(road.dsn, DAYS, FEBRUARY + DAY)[-1] == (300,)
