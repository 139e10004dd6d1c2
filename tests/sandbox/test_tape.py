"""The market of the twin: the same however it is asked, whatever the steps of the clock."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.errors import BadSetting
from sparktrends.model import DAY, HOUR, MINUTE, SECOND
from sparktrends.sandbox.candles import folded
from sparktrends.sandbox.instruments import INSTRUMENTS, chosen
from sparktrends.sandbox.tape import Row, Tape
from twin import START, still_world

SYMBOLS = "AAPL,BTC,EUR/USD"


def rows_of(tape: Tape) -> dict[str, list[Row]]:
    return {name: list(series.rows(series.first, series.end)) for name, series in tape.series.items()}


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 9 * SECOND), max_size=20))
def test_the_steps_of_the_clock_change_nothing(steps: list[int]) -> None:
    tape, whole = (Tape(chosen(SYMBOLS), START, 3, 50.0) for _ in range(2))
    now = START
    for step in [0, *steps]:
        now += step
        tape.advance(now)
    whole.advance(now)
    assert rows_of(tape) == rows_of(whole)


def test_time_never_goes_back() -> None:
    world = still_world(SYMBOLS)
    before = rows_of(world.tape)
    assert world.tape.advance(START) == 0
    assert rows_of(world.tape) == before


def test_trades_lie_on_the_grid_in_order_and_none_equals_another() -> None:
    for name, rows in rows_of(still_world(rate=2000.0, seconds=20).tape).items():
        of = INSTRUMENTS[name]
        assert [row[0] for row in rows] == list(range(rows[0][0], rows[0][0] + len(rows)))
        assert [row[1] for row in rows] == sorted(row[1] for row in rows)
        assert all(p % of.tick == 0 and s % of.lot == 0 and p > 0 and s > 0 for _, _, p, s in rows)
        assert len({row[1:] for row in rows}) == len(rows)


def test_prices_begin_near_the_real_ones() -> None:
    for series in still_world().tape.series.values():
        assert series.price / 1e8 == pytest.approx(series.instrument.price, rel=0.05)


@pytest.mark.parametrize("length", [5 * MINUTE, 15 * MINUTE, HOUR])
def test_long_bars_are_the_fold_of_the_minutes(length: int) -> None:
    series = still_world().tape.series["BTC"]
    start = START - 2 * length
    minutes = [series.candle(at, MINUTE) for at in range(start, start + length, MINUTE)]
    assert series.candle(start, length) == folded(start, minutes)


def test_the_past_meets_the_present_without_a_jump() -> None:
    series = still_world().tape.series["AAPL"]
    before, first = series.candle(START - MINUTE, MINUTE), series.candle(START, MINUTE)
    assert before.close == pytest.approx(first.open, rel=0.002)
    assert series.candle(START - 9 * DAY, DAY).close == pytest.approx(series.candle(START - 8 * DAY, DAY).open)


def test_a_minute_without_trades_is_flat() -> None:
    world = still_world("EUR/USD", rate=0.001, seconds=300)
    candle = world.tape.series["EUR/USD"].candle(START + 2 * MINUTE, MINUTE)
    assert (candle.trades, candle.volume, candle.first) == (0, 0, -1)
    assert candle.open == candle.high == candle.low == candle.close > 0


def test_an_instrument_that_is_not_traded_is_named() -> None:
    with pytest.raises(BadSetting, match="NOPE"):
        chosen("AAPL,NOPE")
