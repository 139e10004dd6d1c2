"""Candlestick patterns in the chain: signals where they are wanted, rules wherever they name one, no cost elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import talib

from sparktrends.analysis.chain import Chain
from sparktrends.analysis.work import Work
from sparktrends.detectors import Detectors
from sparktrends.detectors.candlesticks import Candlesticks
from sparktrends.indicators import Kernel
from sparktrends.model import DAY, MINUTE
from sparktrends.rules import Names, Rules

KEY = ("demo", "A")
COUNT = 120
KERNEL = Kernel()
DETECTORS = Detectors(KERNEL.columns, chosen=("price_move",))
NAMES = Names(KERNEL.columns, DETECTORS.thresholds | Candlesticks().thresholds)
DOJI = """
[[rule]]
name = "doji"
when = 'signal("doji")'
cooldown = "1m"
title = "{symbol}"
"""


NEVER = DOJI.replace('signal("doji")', "close < 0.01")


def chain(rules=NEVER, interval="1m", **given):
    return Chain(KERNEL, DETECTORS, Rules.parse(rules, NAMES), interval, **given)


def bars():
    random = np.random.default_rng(2)
    start = 100 + np.cumsum(random.integers(-5, 6, COUNT)) / 100
    end = start + random.integers(-5, 6, COUNT) / 100
    high = np.maximum(start, end) + random.integers(0, 5, COUNT) / 100
    low = np.minimum(start, end) - random.integers(0, 5, COUNT) / 100
    return np.column_stack([start, high, low, end, np.full(COUNT, 5.0), end * 5, np.zeros(COUNT), np.zeros(COUNT)])


def walk(of, step, length=MINUTE):
    """All bars, in calls of ``step`` bars."""
    state, last, done, rows = of.new(), -1, [], bars()
    for first in range(0, COUNT, step):
        starts = tuple(3 * DAY + length * j for j in range(first, min(first + step, COUNT)))
        done += of.advance([Work(KEY, state, last, starts, rows[first : first + step], 2**60)])
        state, last = done[-1].state, starts[-1]
    return done


def theirs(name):
    return getattr(talib, name)(*np.ascontiguousarray(bars()[:, :4].T))


def test_days_have_pattern_signals_and_minutes_do_not():
    dojis = [s for piece in walk(chain(interval="1d"), 7, DAY) for s in piece.signals if s.name == "doji"]
    assert [(s.start - 3 * DAY) // DAY for s in dojis] == np.flatnonzero(theirs("CDLDOJI")).tolist()
    assert not [s for piece in walk(chain(), 7) for s in piece.signals if s.name == "doji"]


@pytest.mark.parametrize("step", [1, 7, 50, COUNT])
def test_any_cut_gives_the_same_bits(step):
    whole, cut = (walk(chain(DOJI), size) for size in (COUNT, step))
    assert cut[-1].state.tobytes() == whole[-1].state.tobytes()
    assert [alert for piece in cut for alert in piece.alerts] == list(whole[0].alerts)


def test_a_rule_may_name_a_pattern_at_any_interval():
    fired = [(alert.start - 3 * DAY) // MINUTE for piece in walk(chain(DOJI), 1) for alert in piece.alerts]
    found = theirs("CDLDOJI") != 0
    # A rule fires when its condition begins to hold.
    assert fired == np.flatnonzero(found & ~np.concatenate([[False], found[:-1]])).tolist()
    assert fired


def test_where_nobody_looks_they_cost_no_state():
    none, some = chain(), chain(DOJI)
    assert none.candlesticks is None
    assert none.size - none.rules.size + Candlesticks.size == some.size - some.rules.size
    assert none.layout[:16] != some.layout[:16]


def test_settings_choose_the_intervals():
    assert chain(candlesticks=Candlesticks(["1m"])).candlesticks is not None
    assert chain(interval="1d", candlesticks=Candlesticks([])).candlesticks is None
