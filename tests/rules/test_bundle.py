"""Rules over series: shapes, bits, symbols, memory, alerts, the shipped set."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.detectors import Detectors
from sparktrends.errors import BadSetting, IntegrityError
from sparktrends.indicators import Kernel
from sparktrends.model import Signal
from sparktrends.rules import Names, Rules

NAMES = Names(("rsi_14", "sma_20"), {"anomaly.move": 4.0, "trend.state": 1.0})
TEXT = """
[[rule]]
name = "a"
when = "rsi_14 > 60 and prev(rsi_14) > 60"
cooldown = "3m"
[[rule]]
name = "b"
when = "crosses_above(close, sma_20) or signal('move', 'up')"
for = 1
cooldown = "0s"
symbols = ["BTC/*", "AAPL"]
[[rule]]
name = "c"
when = "not rsi_14 > 50"
until = "rsi_14 > 55 and close < prev(prev(close))"
for = 2
tags = ["mine"]
[[rule]]
name = "daily"
when = "close > open"
interval = "1d"
"""
RULES = Rules.parse(TEXT, NAMES)


def tables(seed, *shape):
    random = np.random.default_rng(seed)
    bars = 100 + random.standard_normal((*shape, 8)).cumsum(axis=-2 if len(shape) > 1 else 0)
    metrics = np.stack([random.uniform(0, 100, shape), bars[..., 3] + random.standard_normal(shape)], axis=-1)
    metrics[random.random(metrics.shape) < 0.1] = np.nan
    return bars, metrics, random.normal(0, 3, (*shape, 2))


def starts_of(n):
    return np.arange(n, dtype=np.int64) * 60_000_000 + 1_700_000_000_000_000


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(0, 100), max_size=5))
def test_history_in_any_pieces_and_live_bar_by_bar_give_the_same_bits(seed, cuts):
    bars, metrics, scores = tables(seed, 100)
    starts, whole, live, parts = starts_of(100), RULES.new(1), RULES.new(1), RULES.new(1)
    ended, live_ended, parts_ended = [], [], []
    expected = RULES.run(whole[0], starts, bars, metrics, scores, ends=ended)
    one = [slice(j, j + 1) for j in range(100)]
    stepped = [RULES.evaluate(live, starts[j], bars[j], metrics[j], scores[j], ends=live_ended) for j in one]
    edges = [0, *sorted(cuts), 100]
    pieces = [slice(a, b) for a, b in pairwise(edges)]
    cut = [RULES.run(parts[0], starts[j], bars[j], metrics[j], scores[j], ends=parts_ended) for j in pieces]
    assert expected.any()
    assert np.array_equal(np.concatenate(stepped), expected)
    assert np.array_equal(np.concatenate(cut), expected)
    assert live.tobytes() == whole.tobytes() == parts.tobytes()
    over = sorted((end.rule, end.start) for end in ended)
    assert over
    assert sorted((end.rule, end.start) for end in live_ended) == over
    assert sorted((end.rule, end.start) for end in parts_ended) == over


def test_a_series_fires_the_same_in_any_company():
    bars, metrics, scores = tables(3, 9, 60)
    together, alone = RULES.new(9), RULES.new(1)
    fired = np.stack(
        [
            RULES.evaluate(together, np.full(9, t), bars[:, j], metrics[:, j], scores[:, j])
            for j, t in enumerate(starts_of(60))
        ]
    )
    assert np.array_equal(RULES.run(alone[0], starts_of(60), bars[4], metrics[4], scores[4]), fired[:, 4])
    assert together[4].tobytes() == alone[0].tobytes()


def test_at_an_interval_only_its_rules_are_asked():
    assert [rule.name for rule in RULES.at("1d").rules] == ["daily"]
    assert RULES.at("5m").size == 0
    nothing = RULES.at("5m").run(RULES.at("5m").new(1)[0], starts_of(4), *tables(1, 4))
    assert nothing.shape == (4, 0)


@pytest.mark.parametrize(
    ("symbol", "tags", "expected"),
    [("BTC/USD", (), [1, 1, 0, 1]), ("AAPL", ["mine"], [1, 1, 1, 1]), ("MSFT", ["other"], [1, 0, 0, 1])],
)
def test_symbols_and_tags_say_whom_a_rule_watches(symbol, tags, expected):
    assert RULES.applies(symbol, tags).astype(int).tolist() == expected


def test_a_rule_that_does_not_apply_does_not_fire():
    bars, metrics, scores = tables(3, 100)
    memory = RULES.new(1)
    fired = RULES.run(memory[0], starts_of(100), bars, metrics, scores, RULES.applies("MSFT"))
    assert fired.any(axis=0).astype(int).tolist()[:3] == [1, 0, 0]


def test_memory_of_other_rules_is_refused():
    with pytest.raises(IntegrityError, match="these rules keep"):
        RULES.evaluate(np.zeros((3, RULES.size - 1)), starts_of(3), *tables(1, 3))


def test_nothing_is_evaluated_of_nothing():
    assert RULES.run(RULES.new(1)[0], starts_of(0), *tables(1, 0)).shape == (0, 4)
    assert RULES.evaluate(RULES.new(0), starts_of(0), *tables(1, 0)).shape == (0, 4)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ('severity = "info"', True), ('title = "x"', True), ('channels = ["slack"]', True),
        ('symbols = ["A"]', False), ('expires = "2030-01-01"', False), ("session = true", False), ("for = 7", False),
    ],
)  # fmt: skip
def test_the_fingerprint_names_what_decides_when_a_rule_fires(change, same):
    other = Rules.parse(TEXT.replace('name = "a"', f'name = "a"\n{change}'), NAMES)
    assert (other.fingerprint == RULES.fingerprint) == same


@pytest.mark.parametrize("expires", ["1970-01-01T00:03", "1970-01-01T01:03+01:00"])
def test_an_expired_rule_looks_at_no_bar_any_more(fires, expires):
    closes = [2, 1, 2, 1, 2, 1, 2]
    assert fires("close > 1", closes) == [0, 2, 4, 6]
    assert fires("close > 1", closes, expires=expires) == [0, 2]


def test_wrong_dates_and_daily_sessions_are_refused(make):
    with pytest.raises(BadSetting, match="expires is like"):
        make("close > 1", expires="soon")
    with pytest.raises(BadSetting, match="a whole session"):
        make("close > 1", session=True, interval="1d")


def test_alerts_say_what_the_rule_saw(make):
    rules = make("(close - open) / open > 0.01 and rsi_14 > 70", title="{symbol} {close:.1f} {sma_20} {return:+.1%}")
    bars = np.array([[100.0, 102, 100, 102, 5, 0, 0, 0]])
    metrics = np.array([[75.0, np.nan, 0, 0, 0.02]])
    (alert,) = rules.alerts([("x", "A", "1m", 7)], np.array([[True]]), bars, metrics, np.zeros((1, 2)))
    assert alert.title == "A 102.0 ? +2.0%"
    assert alert.values == {"close": 102.0, "open": 100.0, "rsi_14": 75.0, "(close - open) / open": 0.02}
    assert (alert.rule, alert.start, alert.severity, alert.channels) == ("it", 7, "warning", ("*",))
    json.dumps(asdict(alert), allow_nan=False)


def test_alerts_name_the_signals_that_made_them(make):
    rules = make("signal('move')")
    signals = [
        Signal("x", "A", "1m", start, kind, name, "up", 5.0, "info")
        for start, kind, name in [(7, "anomaly", "move"), (7, "trend", "state"), (8, "anomaly", "move")]
    ]
    row = (np.ones((1, 8)), np.ones((1, 5)), np.full((1, 2), 5.0))
    (alert,) = rules.alerts([("x", "A", "1m", 7)], np.array([[True]]), *row, signals)
    assert alert.signals == (signals[0].id,)


def test_a_title_is_text_whatever_a_symbol_is_called(make):
    rules = make("close > 5", title="{symbol}")
    row = (np.full((1, 8), 6.0), np.ones((1, 5)), np.ones((1, 2)))
    (alert,) = rules.alerts([("x", "{rule.__class__}", "1m", 7)], np.array([[True]]), *row)
    assert alert.title == "{rule.__class__}"


@pytest.mark.parametrize(
    "title", ["{close.__class__}", "{close:>999}", "{symbol:.2f}", "{", "}}", "{close!r}", "a\nb", "{0}"]
)
def test_titles_that_could_surprise_are_refused(names, title):
    with pytest.raises(BadSetting, match=r"title|field|format"):
        Rules.parse(f"[[rule]]\nname = 'x'\nwhen = 'close > 5'\ntitle = {json.dumps(title)}", names)


@pytest.fixture(scope="module")
def shipped():
    kernel = Kernel()
    detectors = Detectors(kernel.columns)
    return kernel, detectors, Rules.default(Names(kernel.columns, detectors.thresholds))


def test_the_shipped_rules_are_good_and_described(shipped):
    rules = shipped[2].rules
    assert len(rules) >= 5
    assert all(rule.description and rule.cooldown and rule.channels == ("*",) for rule in rules)


def test_the_shipped_rules_fire_on_a_crash_and_rarely_without(shipped):
    kernel, detectors, rules = shipped
    random = np.random.default_rng(1)
    n = 20 * 1440
    close = 100 * np.exp(np.cumsum(random.standard_t(4, n) * 4e-4))
    close[-1] = close[-2] * 0.95
    start = np.concatenate([[100.0], close[:-1]])
    volume = np.exp(random.normal(3, 0.6, n))
    volume[-1] *= 20
    high, low = np.maximum(start, close), np.minimum(start, close)
    bars = np.column_stack([start, high, low, close, volume, volume, np.arange(n) // 1440, np.zeros(n)])
    metrics = kernel.run(kernel.new(1)[0], bars)
    scores = detectors.run(detectors.new(1)[0], bars, metrics)[:, :, 0]
    minute = rules.at("1m")
    fired = minute.run(minute.new(1)[0], starts_of(n), bars, metrics, scores)
    assert fired[-1].any()
    assert fired[:-1].sum() <= 20


@pytest.mark.slow
def test_a_year_of_minutes_of_fifty_stocks_takes_less_than_a_minute(shipped):
    _, _, rules = shipped
    rules = rules.at("1m")
    n = 252 * 390
    bars = np.random.default_rng(1).uniform(90, 110, (n, 8))
    metrics, scores = np.random.default_rng(2).uniform(0, 100, (n, len(rules.names.metrics))), np.zeros((n, 40))
    begin = time.process_time()
    for _ in range(50):
        rules.run(rules.new(1)[0], starts_of(n), bars, metrics, scores)
    assert time.process_time() - begin < 60
