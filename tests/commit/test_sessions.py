"""Sessions of bars: a stock's are its exchange's, live as in history; crypto and what is made up have the UTC day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from commit.stored import expect_as_recomputed
from commit.world import LIMITS, Pen, Road, chain, rows
from sparktrends.alerts.backtest import backtest, with_ids
from sparktrends.analysis.chain import Chain
from sparktrends.commit import Analysis, Laws, Sessions
from sparktrends.indicators import Kernel, compute
from sparktrends.model import DAY, HOUR
from sparktrends.ops.commands.offline import read_bars
from sparktrends.ops.histories import from_store
from sparktrends.store.connect import connect

ABOVE = '[[rule]]\nname = "above"\nwhen = "close > vwap_session"\ncooldown = "0s"\ntitle = "x"'
VWAP = "SELECT vwap_session FROM market.metrics WHERE symbol = 'AAPL' AND interval = '1m' AND final ORDER BY start"


def utc(month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    """A time of 2025."""
    return round(datetime(2025, month, day, hour, minute, tzinfo=UTC).timestamp()) * 1_000_000


STOCK = ("finnhub", "AAPL")
TRADES = (
    (utc(3, 4, 20, 59), 90),
    (utc(3, 4, 21, 30), 92),  # after the close
    (utc(3, 5, 0, 30), 94),  # the next day in UTC, the same session
    (utc(3, 5, 12, 0), 80),  # before the opening
    (utc(3, 5, 14, 30), 100),
    (utc(3, 5, 14, 31), 104),
    (utc(3, 6, 0, 30), 102),
    (utc(3, 6, 14, 30), 110),
    (utc(3, 6, 14, 35), 110),
)
VWAPS = [90, 91, 92, 89, 100, 102, 102, 110]


@pytest.mark.parametrize(
    ("at", "opened"),
    [
        (utc(3, 5, 12, 0), utc(3, 4, 14, 30)),  # before the opening: still the session before
        (utc(3, 5, 14, 29), utc(3, 4, 14, 30)),
        (utc(3, 5, 14, 30), utc(3, 5, 14, 30)),
        (utc(3, 5, 20, 59), utc(3, 5, 14, 30)),
        (utc(3, 6, 0, 0), utc(3, 5, 14, 30)),  # midnight in UTC begins nothing
        (utc(3, 7, 14, 30), utc(3, 7, 14, 30)),
        (utc(3, 10, 13, 29), utc(3, 7, 14, 30)),  # summer time since Sunday
        (utc(3, 10, 13, 30), utc(3, 10, 13, 30)),
        (utc(11, 28, 17, 59), utc(11, 28, 14, 30)),  # a half day, after Thanksgiving
        (utc(11, 28, 20, 0), utc(11, 28, 14, 30)),
        (utc(12, 1, 14, 29), utc(11, 28, 14, 30)),
        (utc(12, 1, 14, 30), utc(12, 1, 14, 30)),
    ],
)
def test_a_stock_has_the_sessions_of_its_exchange(at: int, opened: int) -> None:
    session_of = Sessions("1m")
    assert session_of(STOCK, at) == opened
    # From whatever session it was asked about before.
    assert [session_of(STOCK, other) for other in (utc(1, 7, 15), at)][1] == opened


@pytest.mark.parametrize("key", [("binance", "BTC/USDT"), ("finnhub~sim", "AAPL"), ("sim~sim", "SIM1")])
def test_crypto_and_what_is_made_up_have_the_utc_day(key: tuple[str, str]) -> None:
    session_of = Sessions("1m")
    assert session_of(key, utc(3, 5, 23, 59)) == session_of(key, utc(3, 5)) == utc(3, 5)
    assert session_of(key, utc(3, 6)) == utc(3, 6)


def test_days_of_currencies_change_in_new_york() -> None:
    """At 22:00 UTC, at 21:00 from Sunday the 9th on; that Sunday's evening is Monday's."""
    session_of = Sessions("1m")
    begun = [session_of(("twelve_data", "EUR/USD"), utc(3, day, 12)) for day in (6, 7, 8, 9, 10)]
    assert begun == [utc(3, 5, 22), utc(3, 6, 22), utc(3, 6, 22), utc(3, 6, 22), utc(3, 9, 21)]


def test_an_hour_that_holds_the_opening_belongs_to_it_and_a_day_to_itself() -> None:
    assert Sessions("1h")(STOCK, utc(3, 5, 14)) == utc(3, 5, 14, 30)
    assert Sessions("1h")(STOCK, utc(3, 5, 13)) == utc(3, 4, 14, 30)
    assert [Sessions("1d")(STOCK, utc(3, day)) for day in (5, 6, 8)] == [utc(3, 5), utc(3, 6), utc(3, 8)]


def test_where_no_calendar_reaches_the_session_is_the_day() -> None:
    assert Sessions("1m")(STOCK, 3 * DAY + HOUR) == 3 * DAY


def log_of(trades: Iterable[tuple[int, int]]) -> Pen:
    pen = Pen()
    for ts, price in trades:
        pen.trade("AAPL", ts, price)
        pen.trade("BTC/USD", ts, price)
    return pen


@pytest.mark.e2e
def test_live_metrics_are_those_of_the_exchange_and_of_history(database: str, tmp_path: Path) -> None:
    of = chain(ABOVE)
    road = Road(database, log_of(TRADES).log, Laws(LIMITS, (Analysis(of, LIMITS),)))
    while road.left:
        road.commit(road.ranges(dict.fromkeys(road.log, 1)))
    road.close()
    assert [row[0] for row in rows(database, VWAP)] == VWAPS
    expect_as_recomputed(database, of)
    with connect(database) as connection:
        tried = list(with_ids(backtest([of], from_store(connection), 0, utc(4, 1)).fired))
    live = {row[0] for row in rows(database, "SELECT id FROM core.alerts WHERE status <> 'retracted'")}
    assert {row["id"] for row in tried} == live
    assert len(live) >= 3
    # And of a file: one bar a minute, of one trade each.
    file = tmp_path / "bars.csv"
    lines = [f"demo,AAPL,1m,{ts},{p},{p},{p},{p},1" for ts, p in TRADES[:-1]]
    file.write_text("\n".join(["source,symbol,interval,start,open,high,low,close,volume", *lines]))
    assert compute(read_bars(file), kernel=Kernel())["vwap_session"].to_list() == pytest.approx(VWAPS)
    assert read_bars(file).schema["session"] == pl.Float64


def by(hours: str) -> Chain:
    one = chain()
    return Chain(one.kernel, one.detectors, one.rules, hours=hours)


@pytest.mark.e2e
def test_what_was_made_by_other_hours_is_made_again(database: str) -> None:
    road = Road(database, log_of(TRADES).log, Laws(LIMITS, (Analysis(by("days"), LIMITS),)))
    road.commit(road.ranges(dict.fromkeys(road.log, 5)))
    rows(database, "UPDATE core.metrics SET vwap_session = 1")
    road.laws = Laws(LIMITS, (Analysis(by("exchanges"), LIMITS),))
    road.restart()
    road.all()
    road.close()
    assert [row[0] for row in rows(database, VWAP)] == VWAPS
    expect_as_recomputed(database, by("exchanges"))


def test_other_hours_make_another_layout() -> None:
    one, other = by(""), by("7203.T = XTKS")
    assert one.layout[:16] != other.layout[:16]
    assert one.layout[16:] == other.layout[16:]
