"""When a condition becomes an alert: for N bars, once, rested; hysteresis."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.rules.gate import compiled_gate


def test_a_condition_that_stays_true_fires_once(fires):
    assert fires("close > 5", [1, 6, 7, 8, 9]) == [1]


def test_it_fires_again_after_it_was_false(fires):
    assert fires("close > 5", [6, 1, 6, 6, 1, 6]) == [0, 2, 5]


def test_for_n_bars_counts_bars_in_a_row(fires):
    assert fires("close > 5", [6, 6, 1, 6, 6, 6, 6], **{"for": 3}) == [5]


def test_what_is_not_known_breaks_the_row(fires):
    rsi = [80, 80, np.nan, 80, 80, 80]
    assert fires("rsi_14 > 70", [1] * 6, rsi=rsi, **{"for": 3}) == [5]


def test_flapping_fires_no_more_often_than_the_cool_down(fires):
    assert fires("close > 5", [6, 1] * 30, cooldown="15m") == [0, 16, 32, 48]


def test_what_comes_back_in_the_cool_down_and_stays_fires_when_it_has_passed(fires):
    assert fires("close > 5", [6, 1, *[6] * 20], cooldown="10m") == [0, 10]


def test_the_cool_down_is_event_time_not_bars(fires):
    assert fires("close > 5", [6, 1, 6, 1, 6], starts=[0, 1, 14, 15, 16], cooldown="15m") == [0, 4]


def test_until_keeps_it_silent_inside_the_band(fires):
    rsi = [75, 65, 75, 68, 71, 55, 72]
    assert fires("rsi_14 > 70", [1] * 7, rsi=rsi) == [0, 2, 4, 6]
    assert fires("rsi_14 > 70", [1] * 7, rsi=rsi, until="rsi_14 < 60") == [0, 6]


def test_a_cross_needs_a_bar_before(fires):
    assert fires("crosses_above(close, 5)", [6, 4, 6, 5, 6, 7]) == [2, 4]
    assert fires("crosses_below(close, 5)", [4, 5, 4, 6, 3]) == [2, 4]


def test_previous_of_previous_is_two_bars_back(fires):
    assert fires("prev(prev(close)) == 1", [1, 2, 3, 4]) == [2]


def test_an_alert_lasts_until_its_condition_no_longer_holds(lasts):
    assert lasts("close > 5", [6, 7, 8, 1, 6, 1, 6]) == [(0, 3), (4, 5)]


def test_an_event_lasts_one_bar(lasts):
    assert lasts("crosses_above(close, 5)", [6, 4, 6, 7, 8]) == [(2, 3)]


def test_inside_the_band_of_hysteresis_it_is_not_over(lasts):
    rsi = [75, 65, 75, 68, 71, 55, 72]
    assert lasts("rsi_14 > 70", [1] * 7, rsi=rsi, until="rsi_14 < 60") == [(0, 5)]


def test_what_never_fired_never_ends(lasts):
    assert lasts("close > 5", [6, 1, 6, 6, 1], **{"for": 2}) == [(3, 4)]


def test_with_its_rule_an_alert_expires(lasts):
    assert lasts("close > 5", [6] * 4, expires="1970-01-01T00:02") == [(0, 2)]
    assert lasts("close > 5", [6] * 4, until="close < 5", expires="1970-01-01T00:02") == [(0, 2)]


def test_a_sequence_is_an_event(lasts):
    then = [{"when": "close < 5", "within": 3}]
    assert lasts("close > 5", [6, 4, 4, 4], then=then) == [(1, 2)]


def plainly(holds, rearm, starts, held, cooldown):
    """The semantics once more, as one would tell them: by looking back over the whole history each time."""
    fired = []
    for j in range(len(holds)):
        in_a_row = 0
        while in_a_row <= j and holds[j - in_a_row]:
            in_a_row += 1
        armed = not fired or any(rearm[i] for i in range(fired[-1] + 1, j + 1))
        rested = not fired or starts[j] - starts[fired[-1]] >= cooldown
        if in_a_row >= held and armed and rested:
            fired.append(j)
    return fired


def plain_ends(fired, rearm):
    """For each bar at which an alert is over, the bar at which it fired."""
    ended = {}
    for first, following in pairwise([*fired, len(rearm)]):
        # A bar may end one alert and fire the next.
        later = [i for i in range(first + 1, min(following + 1, len(rearm))) if rearm[i]]
        if later:
            ended[later[0]] = first
    return ended


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(1, 9)), max_size=80),
    st.integers(1, 4),
    st.integers(0, 30),
)
def test_the_gate_is_what_its_words_say(steps, held, cooldown):
    holds, rearm, waits = (list(part) for part in zip(*steps, strict=True)) if steps else ([], [], [])
    starts, fired = np.cumsum(waits, dtype=np.int64), np.zeros(len(steps), bool)
    memory = np.array([[0.0, 0.0, np.nan]])
    rows, masks = np.zeros(len(steps), np.int64), (np.array(holds, bool), np.array(rearm, bool))
    ended = np.full(len(steps), -1)
    compiled_gate()(memory, 0, rows, starts, *masks, held, cooldown, fired, ended)
    expected = plainly(holds, rearm, starts.tolist(), held, cooldown)
    assert np.flatnonzero(fired).tolist() == expected
    over = {j: starts.tolist().index(ended[j]) for j in np.flatnonzero(ended >= 0).tolist()}
    assert over == plain_ends(expected, rearm)
