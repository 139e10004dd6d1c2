"""Sequences of events against an evaluator that tries every choice of bars."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from sparktrends.errors import IntegrityError
from sparktrends.model import HOUR, MINUTE
from sparktrends.rules.sequences import EventSequence


def tried_out(sequence, starts, holds, forbidden):
    """The bars at which a match ends: every choice of bars for the steps is tried, from the first bar on."""
    ends, after = [], 0
    for end in range(len(starts)):
        if any(fits(sequence, starts, holds, forbidden, (*few, end)) for few in choices(sequence, holds, after, end)):
            ends.append(end)
            after = end + 1
    return ends


def choices(sequence, holds, after, end):
    return combinations(range(after, end), sequence.steps - 1)


def fits(sequence, starts, holds, forbidden, bars):
    reached = all(holds[bar, step] for step, bar in enumerate(bars))
    close = all(b - a <= within for (a, b), within in zip(pairwise(bars), sequence.within, strict=True))
    return reached and close and not disturbed(sequence, starts, forbidden, bars[0])


def disturbed(sequence, starts, forbidden, first):
    return any(
        forbidden[bar, what] and starts[first] - starts[bar] <= quiet
        for what, quiet in enumerate(sequence.quiet)
        for bar in range(first + 1)
    )


def history(seed):
    random = np.random.default_rng(seed)
    steps, bars = int(random.integers(2, 5)), int(random.integers(5, 24))
    quiet = tuple(int(q) * MINUTE for q in random.integers(0, 9, random.integers(0, 3)))
    sequence = EventSequence(tuple(int(w) for w in random.integers(1, 7, steps - 1)), quiet)
    starts = np.cumsum(random.integers(1, 4, bars)) * MINUTE
    holds = random.random((bars, steps)) < random.uniform(0.1, 0.6)
    return sequence, starts, holds, random.random((bars, len(quiet))) < 0.15


@pytest.mark.parametrize("block", range(10))
def test_a_thousand_histories_match_where_trying_everything_does(block):
    matches = 0
    for seed in range(block * 100, block * 100 + 100):
        sequence, starts, holds, forbidden = history(seed)
        ended, seen = sequence.run(sequence.new(1)[0], starts, holds, forbidden)
        assert np.flatnonzero(ended).tolist() == tried_out(sequence, starts, holds, forbidden), seed
        matches += int(ended.sum())
        for end in np.flatnonzero(ended):
            bars = np.searchsorted(starts, seen[end]).tolist()
            assert bars[-1] == end
            assert fits(sequence, starts, holds, forbidden, bars)
        assert np.isnan(seen[~ended]).all()
    assert matches > 50


@pytest.mark.parametrize("seed", range(20))
def test_any_cut_and_any_company_give_the_same_memory(seed):
    sequence, starts, holds, forbidden = history(seed)
    whole, cut, company = sequence.new(1), sequence.new(1), sequence.new(3)
    ended, _ = sequence.run(whole[0], starts, holds, forbidden)
    middle = seed % len(starts)
    pieces = [
        sequence.run(cut[0], starts[part], holds[part], forbidden[part])[0]
        for part in (slice(0, middle), slice(middle, None))
    ]
    for j in range(len(starts)):
        rows = [np.repeat(table[j : j + 1], 3, axis=0) for table in (starts, holds, forbidden)]
        assert sequence.step(company, *rows)[0].tolist() == [ended[j]] * 3
    assert np.concatenate(pieces).tolist() == ended.tolist()
    assert whole.tobytes() == cut.tobytes() == company[1:2].tobytes()


def spike_then_breakout(spikes, breakouts, news, n=30):
    sequence = EventSequence((5,), (HOUR,))
    holds, forbidden = np.zeros((n, 2), bool), np.zeros((n, 1), bool)
    holds[spikes, 0] = holds[breakouts, 1] = forbidden[news, 0] = True
    starts = np.arange(n) * 10 * MINUTE
    return np.flatnonzero(sequence.run(sequence.new(1)[0], starts, holds, forbidden)[0]).tolist()


def test_a_spike_then_a_breakout_within_five_bars_and_no_news_in_the_hour_before():
    assert spike_then_breakout([10], [15], []) == [15]
    assert spike_then_breakout([10], [16], []) == []
    assert spike_then_breakout([10], [10], []) == []
    assert spike_then_breakout([10], [12], [4]) == []
    assert spike_then_breakout([10], [12], [3]) == [12]
    assert spike_then_breakout([10], [12], [11]) == [12]


def test_a_match_uses_up_what_it_saw():
    assert spike_then_breakout([10], [11, 12, 13], []) == [11]
    assert spike_then_breakout([10, 12], [11, 13], []) == [11, 13]


def test_memory_does_not_grow():
    sequence = EventSequence((5, 5, 5), (HOUR, HOUR))
    assert sequence.size == sequence.new(1).shape[1] == 1 + 4 + 16 + 2


@pytest.mark.parametrize(("within", "quiet"), [((), ()), ((0,), ()), ((1,), (-1,))])
def test_what_is_no_sequence_is_refused(within, quiet):
    with pytest.raises(IntegrityError):
        EventSequence(within, quiet)


def test_rows_of_another_sequence_are_refused():
    sequence = EventSequence((5,))
    with pytest.raises(IntegrityError, match="cannot take rows"):
        sequence.step(sequence.new(2), np.arange(2), np.zeros((2, 3), bool), np.zeros((2, 0), bool))
