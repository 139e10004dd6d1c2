"""Bars of many series stepped together give the bits of each series alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.analysis.chain import Chain
from sparktrends.analysis.work import Floats, Work
from sparktrends.model import DAY, MINUTE


@pytest.fixture(scope="module")
def chain() -> Chain:
    """Everything that is shipped."""
    return Chain.default()


def bars(seed: int, count: int) -> Floats:
    """A walk with a jump now and then."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.001, count) + 0.05 * (rng.random(count) > 0.9)))
    volume = rng.lognormal(0, 2, count)
    zero = np.zeros(count)
    return np.column_stack([close, close * 1.001, close * 0.999, close, volume, volume * close, zero, zero])


def work(chain: Chain, index: int, count: int, keep: int) -> Work:
    """Some minutes around midnight, the states after the last ``keep`` of them wanted."""
    starts = tuple(DAY + (j - 3) * MINUTE for j in range(count))
    return Work(("a~sim", f"S{index}"), chain.new(), -1, starts, bars(index, count), starts[-1] - keep * MINUTE)


@settings(max_examples=25, deadline=None)
@given(counts=st.lists(st.integers(1, 16), min_size=1, max_size=6), keep=st.integers(0, 16))
def test_together_as_alone(chain: Chain, counts: list[int], keep: int) -> None:
    works = [work(chain, index, count, keep) for index, count in enumerate(counts)]
    for one, other in zip(chain.advance(works), map(chain._run, works), strict=True):
        assert one.metrics.tobytes() == other.metrics.tobytes()
        assert one.state.tobytes() == other.state.tobytes()
        assert (one.key, one.starts, one.signals, one.alerts) == (other.key, other.starts, other.signals, other.alerts)
        assert one.snapshots == other.snapshots


def test_more_than_one_call_holds_stand_in_their_places(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    works = [work(chain, index, 1 + index % 3, 1) for index in range(10)]
    together = chain.advance(works)
    monkeypatch.setattr("sparktrends.analysis.chain._TOGETHER", 3)
    for one, other in zip(together, chain.advance(works), strict=True):
        assert (one.key, one.starts, one.signals) == (other.key, other.starts, other.signals)
        assert one.metrics.tobytes() == other.metrics.tobytes()
        assert one.state.tobytes() == other.state.tobytes()


def test_long_and_empty_works_stand_in_their_places(chain: Chain) -> None:
    works = [work(chain, 0, 40, 2), Work(("a~sim", "E"), chain.new(), -1, (), np.empty((0, 8))), work(chain, 2, 3, 0)]
    assert [len(step.starts) for step in chain.advance(works)] == [40, 0, 3]


def test_a_state_does_not_hold_the_states_of_the_others(chain: Chain) -> None:
    steps = chain.advance([work(chain, index, 1, 0) for index in range(3)])
    assert all(isinstance(step.state.base, bytes) and len(step.state.base) == step.state.nbytes for step in steps)
