"""Simulated days: what is planted is known, bars are those of the trades, and counting is right."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sparktrends.model import DAY, MINUTE, SECOND
from sparktrends.ops.bench import planted
from sparktrends.ops.bench.planted import AFTERMATH, START, WARM, Minute
from sparktrends.simulator import BLOCK, Kind, Market, Planted

NAMES = ("A", "B")


def test_events_of_a_symbol_do_not_meet_and_leave_the_warm_up_alone():
    events = planted.plan(NAMES, 3, 7)
    assert len(events) == 2 * 3 * len(planted.PER_DAY)
    for name in NAMES:
        own = sorted((event for event in events if event.symbol == name), key=lambda event: event.start)
        assert all(a.end + AFTERMATH < b.start for a, b in pairwise(own))
        assert all((event.start - START) % DAY >= WARM for event in own)


def test_pumps_are_what_was_asked_for():
    pumps = [event for event in planted.plan(NAMES, 40, 1) if event.kind is Kind.PUMP]
    sizes = [event.size for event in pumps]
    assert 0.03 <= min(sizes) < 0.04
    assert 0.8 < max(sizes) <= 1.0
    assert {(event.end - event.start) // MINUTE for event in pumps} == {2, 3, 4, 5}


def test_a_minute_is_the_fold_of_its_trades():
    market, again = Market(START, 3, 5, 2.0), Market(START, 3, 5, 2.0)
    minute = Minute.begin(START, 3)
    trades = []
    for _ in range(MINUTE // BLOCK):
        minute.add(market, market.next_block())
        trades += list(again.trades(again.next_block()))
    for number, name in enumerate(market.symbols):
        own = [trade for trade in trades if trade.symbol == name]
        prices = [float(trade.price) for trade in own]
        row = minute.rows[number]
        assert row[:4].tolist() == pytest.approx([prices[0], max(prices), min(prices), prices[-1]], rel=1e-12)
        assert row[4] == pytest.approx(float(sum(trade.size for trade in own)))
        assert row[5] == pytest.approx(float(sum(trade.size * trade.price for trade in own)))


def test_a_symbol_without_a_trade_has_no_bar():
    minute = Minute.begin(START, 2)
    assert np.isnan(minute.rows[:, :4]).all()


def test_minutes_of_an_event_and_of_its_aftermath_are_not_usual():
    event = Planted(Kind.JUMP, "A", START + WARM + 90 * SECOND, START + WARM + 150 * SECOND, 0.02)
    usual, other = (planted._usual([event], name, DAY // MINUTE) for name in NAMES)
    first = WARM // MINUTE
    assert not usual[:first].any()
    assert usual[first : first + 1].all()
    assert not usual[first + 1 : first + 18].any()
    assert usual[first + 18 :].all()
    assert other[first:].all()


def test_the_delay_runs_from_the_start_of_the_event_to_the_first_word_about_one_of_its_bars():
    event = Planted(Kind.PUMP, "B", START + 30 * SECOND, START + 150 * SECOND, 0.5)
    heard = {
        (1, START - MINUTE): START,
        (1, START + MINUTE): START + 70 * SECOND,
        (1, START + 2 * MINUTE): START + 130 * SECOND,
        (0, START): START + 40 * SECOND,
    }
    assert list(planted._heard(event, NAMES, heard)) == [40 * SECOND, 100 * SECOND]
    found = planted._found([event], ("A", "B"), heard)
    assert (found["pump_recall"], found["pump_within_1_min"], found["pump_delay_median_s"]) == (1.0, 1.0, 40.0)


def test_a_close_lasts_until_the_next():
    closes = np.array([np.nan, 5.0, np.nan, 7.0])
    assert planted._forward(closes).tolist() == [5.0, 5.0, 5.0, 7.0]
