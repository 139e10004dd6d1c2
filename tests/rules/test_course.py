"""Sequences as a rules file declares them, against an evaluator that tries every choice of bars."""

from __future__ import annotations

import numpy as np
import pytest

from rules.test_sequences import history, tried_out
from sparktrends.errors import BadSetting
from sparktrends.model import HOUR, MINUTE
from sparktrends.rules import Match, Names, Rules

NAMES = Names(("rsi_14",), {"anomaly.volume_spike": 4.2, "trend.channel_breakout": 1.0})
SPIKE_THEN_BREAKOUT = """
[[rule]]
name = "spike_then_breakout"
when = 'signal("volume_spike")'
then = [{ when = 'signal("channel_breakout", "up") and close > prev(close)', within = 5 }]
unless = [{ when = 'volume <= 0 or rsi_14 > 90', before = "1h" }]
cooldown = "0s"
"""
STEPS, FORBIDDEN = ("open", "high", "low", "close"), ("volume", "turnover")


def declared(sequence, quiet_minutes):
    """A rules file that says the same as ``sequence``: step i holds where its column is above 1, and so on."""
    then = [f"{{ when = '{STEPS[i + 1]} > 1', within = {within} }}" for i, within in enumerate(sequence.within)]
    unless = [f"{{ when = '{FORBIDDEN[i]} > 1', before = '{q}m' }}" for i, q in enumerate(quiet_minutes)]
    return Rules.parse(
        f"[[rule]]\nname = 'it'\nwhen = '{STEPS[0]} > 1'\nthen = [{', '.join(then)}]\n"
        f"unless = [{', '.join(unless)}]\ncooldown = '0s'",
        NAMES,
    )


def bars_of(holds, forbidden):
    bars = np.full((len(holds), 8), 0.5)
    bars[:, : holds.shape[1]] += holds
    bars[:, 4 : 4 + forbidden.shape[1]] += forbidden
    return bars, np.full((len(holds), 1), 50.0), np.zeros((len(holds), 2))


@pytest.mark.parametrize("block", range(10))
def test_a_thousand_histories_fire_where_trying_everything_matches(block):
    fires = 0
    for seed in range(block * 100, block * 100 + 100):
        sequence, starts, holds, forbidden = history(seed)
        rules = declared(sequence, [quiet // MINUTE for quiet in sequence.quiet])
        tables = bars_of(holds, forbidden)
        fired = rules.run(rules.new(1)[0], starts, *tables)[:, 0]
        assert np.flatnonzero(fired).tolist() == tried_out(sequence, starts, holds, forbidden), seed
        fires += int(fired.sum())
    assert fires > 50


@pytest.mark.parametrize("seed", range(20))
def test_live_bar_by_bar_in_company_gives_the_bits_of_history(seed):
    sequence, starts, holds, forbidden = history(seed)
    rules = declared(sequence, [quiet // MINUTE for quiet in sequence.quiet])
    tables, whole, live = bars_of(holds, forbidden), rules.new(1), rules.new(3)
    at_once, bar_by_bar = [], []
    expected = rules.run(whole[0], starts, *tables, matches=at_once)
    for j in range(len(starts)):
        rows = [np.repeat(table[j : j + 1], 3, axis=0) for table in (starts, *tables)]
        found = []
        assert rules.evaluate(live, *rows, matches=found)[:, 0].tolist() == [expected[j, 0]] * 3
        bar_by_bar += [Match(j, match.rule, match.steps) for match in found if match.row == 1]
    assert bar_by_bar == at_once
    assert whole.tobytes() == live[1:2].tobytes()


def played(rules, n=20, applies=None, **columns):
    """Matches, and bars at which it fires, over quiet bars of a minute but for ``columns``: value by bar."""
    bars, metrics, scores = np.full((n, 8), 100.0), np.full((n, 1), 50.0), np.zeros((n, 2))
    bars[:, 3] += np.arange(n)
    tables = {"spike": scores[:, 0], "breakout": scores[:, 1], "volume": bars[:, 4], "rsi": metrics[:, 0]}
    for name, values in columns.items():
        for bar, value in values.items():
            tables[name][bar] = value
    starts, matches = np.arange(n) * MINUTE, []
    fired = rules.run(rules.new(1)[0], starts, bars, metrics, scores, applies, matches)
    return matches, np.flatnonzero(fired[:, 0]).tolist(), (bars, metrics, scores), fired


@pytest.fixture(scope="module")
def story():
    return Rules.parse(SPIKE_THEN_BREAKOUT, NAMES)


def test_a_spike_then_a_breakout_within_five_bars(story):
    assert played(story, spike={3: 5.0}, breakout={8: 1.0})[1] == [8]
    assert played(story, spike={3: 5.0}, breakout={9: 1.0})[1] == []
    assert played(story, spike={3: 5.0}, breakout={8: -1.0})[1] == []
    assert played(story, spike={3: 5.0}, breakout={3: 1.0})[1] == []


def test_what_is_forbidden_before_and_what_is_not_known_keep_it_from_beginning(story):
    assert played(story, spike={3: 5.0}, breakout={5: 1.0}, volume={1: 0.0})[1] == []
    assert played(story, spike={3: 5.0}, breakout={5: 1.0}, rsi={1: np.nan})[1] == []
    assert played(story, spike={3: 5.0}, breakout={5: 1.0}, rsi={4: np.nan})[1] == [5]


def test_every_match_is_an_event_of_its_own_as_far_as_the_cool_down_allows(story):
    events = {"spike": {3: 5.0, 5: 5.0}, "breakout": {4: 1.0, 6: 1.0}}
    assert played(story, **events)[1] == [4, 6]
    cooled = Rules.parse(SPIKE_THEN_BREAKOUT.replace('"0s"', '"3m"'), NAMES)
    matches, fired, _, _ = played(cooled, **events)
    assert (fired, [match.steps for match in matches]) == ([4], [(3 * MINUTE, 4 * MINUTE), (5 * MINUTE, 6 * MINUTE)])


def test_bars_that_the_rule_does_not_look_at_are_no_step(story):
    looks = np.ones((20, 1), dtype=bool)
    looks[3] = False
    assert played(story, spike={3: 5.0}, breakout={5: 1.0}, applies=looks)[1] == []
    expiring = Rules.parse(SPIKE_THEN_BREAKOUT + 'expires = "1970-01-01T00:05"', NAMES)
    assert played(expiring, spike={3: 5.0}, breakout={4: 1.0})[1] == [4]
    assert played(expiring, spike={3: 5.0}, breakout={5: 1.0})[1] == []


def test_signal_and_alert_say_what_was_seen_when(story):
    matches, _, tables, fired = played(story, spike={3: 5.0}, breakout={5: 1.0})
    keys = [("x", "A", "1m", bar * MINUTE) for bar in range(20)]
    (signal,) = story.signals(keys, matches)
    (alert,) = story.alerts(keys, fired, *tables, [signal])
    assert (signal.kind, signal.name, signal.start) == ("sequence", "spike_then_breakout", 5 * MINUTE)
    assert signal.detail["steps"] == [
        {"when": 'signal("volume_spike")', "start": "1970-01-01T00:03:00+00:00"},
        {
            "when": 'signal("channel_breakout", "up") and close > prev(close)',
            "start": "1970-01-01T00:05:00+00:00",
        },
    ]
    assert signal.detail["unless"] == [{"when": "volume <= 0 or rsi_14 > 90", "before_s": HOUR // 1_000_000}]
    assert alert.signals == (signal.id,)
    assert alert.values["step 1"] == "1970-01-01T00:03:00+00:00"
    assert alert.values["close"] == 105.0


def test_the_columns_of_every_step_are_asked_for(story):
    assert story.score_columns == {0, 1}


def test_another_limit_is_another_rule(story):
    other = Rules.parse(SPIKE_THEN_BREAKOUT.replace("within = 5", "within = 6"), NAMES)
    assert other.fingerprint != story.fingerprint


THEN = 'then = [{ when = "close > 5", within = 2 }]'
HEAD = '[[rule]]\nname = "x"\nwhen = "close > 5"\n'


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ('then = [{ when = "clos > 5", within = 2 }]', "4:19", "did you mean close"),
        ('then = [\n  { when = "close > 5", within = 2 },\n  { when = "rsi14 > 5", within = 2 }]', "6:13", "rsi_14"),
        ('[[rule.then]]\nwhen = "clos > 5"\nwithin = 2', "5:9", "did you mean close"),
        ('then = [{ when = "close > 5" }]', "4:1", "needs within"),
        ('then = [{ within = 5 }]', "4:1", "needs when"),
        ('then = [{ when = 5, within = 5 }]', "4:1", "must be text"),
        ('then = ["close > 5"]', "4:1", "list of tables"),
        ('then = [{ when = "close > 5", withn = 2 }]', "4:1", "did you mean within"),
        ('then = [{ when = "close > 5", within = 0 }]', "4:1", "from 1 to 10000"),
        ('then = [{ when = "close > 5", within = true }]', "4:1", "from 1 to 10000"),
        ('then = [{ when = "close > 5", within = 2 }]\nfor = 2', "5:1", "means nothing"),
        ('then = [{ when = "close > 5", within = 2 }]\nuntil = "close < 5"', "5:10", "means nothing"),
        ('then = [{ when = "close > 5", within = 2 }]\nunless = [{ when = "close > 5", before = 5 }]', "5:1", "15m"),
        (f"{THEN}\nunless = [{{ when = 'news > 0', before = '1h' }}]", "5:21", "unknown name news"),
        ('unless = [{ when = "close > 5", before = "1h" }]', "4:1", "goes with then"),
        ("then = [" + ", ".join(['{ when = "close > 5", within = 2 }'] * 9) + "]", "4:1", "at most 8"),
    ],
)  # fmt: skip
def test_a_fault_in_a_step_is_told_with_its_place(text, place, message):
    with pytest.raises(BadSetting, match=message) as caught:
        Rules.parse(HEAD + text, NAMES, "my.toml")
    assert f"my.toml:{place}: " in str(caught.value)
