"""The same bars give the same bits however they are cut, and a stored state is the state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.analysis.chain import Chain
from sparktrends.analysis.work import Floats, Stepped, Work, bar_row
from sparktrends.detectors import Detectors
from sparktrends.indicators import Kernel
from sparktrends.model import DAY, MINUTE, PartialBar
from sparktrends.rules import Names, Rules

KEY = ("demo", "A")
COUNT = 90
RULES = """
[[rule]]
name = "rising"
when = "close > prev(close)"
for = 2
cooldown = "5m"
title = "{symbol} rises"
[[rule]]
name = "jump"
when = 'signal("price_move")'
title = "{symbol} jumped"
[[rule]]
name = "turn"
when = 'signal("price_move", "up")'
then = [{ when = "close < prev(close)", within = 2 }, { when = 'signal("price_move")', within = 3 }]
unless = [{ when = "volume > 20", before = "5m" }]
title = "{symbol} turned"
"""


@pytest.fixture(scope="module")
def chain() -> Chain:
    """Detectors that speak early, and rules with a memory."""
    kernel = Kernel()
    detectors = Detectors(kernel.columns, {"price_move": {"warm": 5.0, "threshold": 0.8}})
    return Chain(kernel, detectors, Rules.parse(RULES, Names(kernel.columns, detectors.thresholds)))


def bars(seed: int) -> tuple[tuple[int, ...], Floats]:
    """Bars over two days with holes; some from a provider."""
    rng = np.random.default_rng(seed)
    starts = 3 * DAY - 40 * MINUTE + np.cumsum(rng.integers(1, 4, COUNT)) * MINUTE
    close = 100 * np.exp(np.cumsum(rng.standard_t(3, COUNT) * 0.002))
    open_ = close * (1 + rng.normal(0, 0.001, COUNT))
    high, low = np.maximum(open_, close) * 1.001, np.minimum(open_, close) * 0.999
    volume = rng.exponential(5, COUNT)
    columns = (open_, high, low, close, volume, volume * close, starts // DAY, rng.random(COUNT) < 0.1)
    return tuple(starts.tolist()), np.column_stack(columns).astype(float)


def walk(chain: Chain, starts: tuple[int, ...], rows: Floats, cuts: list[int], keep: int = 2**60) -> list[Stepped]:
    """The bars in pieces, each from the state of the one before."""
    state, last, done = chain.new(), -1, []
    for first, end in zip([0, *cuts], [*cuts, len(starts)], strict=True):
        if end > first:
            done += chain.advance([Work(KEY, state, last, starts[first:end], rows[first:end], keep)])
            state, last = done[-1].state, starts[end - 1]
    return done


def bits(steps: list[Stepped]) -> tuple[object, ...]:
    metrics = np.concatenate([s.metrics for s in steps]).tobytes()
    signals = [(g.id, g.score, g.severity, dict(g.detail)) for s in steps for g in s.signals]
    alerts = [(a.id, a.title, dict(a.values)) for s in steps for a in s.alerts]
    return metrics, signals, alerts, steps[-1].state.tobytes()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, COUNT), max_size=12).map(sorted))
def test_any_cut_gives_the_same_bits(chain: Chain, seed: int, cuts: list[int]) -> None:
    starts, rows = bars(seed)
    assert bits(walk(chain, starts, rows, cuts)) == bits(walk(chain, starts, rows, []))


def test_the_series_says_something(chain: Chain) -> None:
    _, signals, alerts, _ = bits(walk(chain, *bars(2), []))
    assert signals
    assert {name for _, name, _ in alerts} == {"A rises", "A jumped", "A turned"}  # type: ignore[attr-defined]


def test_a_sequence_that_ended_is_a_signal_and_the_cause_of_its_alert(chain: Chain) -> None:
    (step,) = walk(chain, *bars(2), [])
    sequences = {signal.id: signal for signal in step.signals if signal.kind == "sequence"}
    turned = [alert for alert in step.alerts if alert.rule == "turn"]
    assert turned
    for alert in turned:
        (cause,) = [sequences[id_] for id_ in alert.signals if id_ in sequences]
        assert [found["start"] for found in cause.detail["steps"]] == [alert.values[f"step {n}"] for n in (1, 2, 3)]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, COUNT - 2))
def test_a_snapshot_goes_on_with_the_same_bits(chain: Chain, seed: int, at: int) -> None:
    starts, rows = bars(seed)
    whole = walk(chain, starts, rows, [], keep=0)[0]
    snapshot = whole.snapshots[at]
    assert snapshot.start == starts[at]
    state = np.frombuffer(snapshot.state, dtype=np.float64)
    rest = chain.advance([Work(KEY, state, starts[at], starts[at + 1 :], rows[at + 1 :])])[0]
    assert rest.state.tobytes() == whole.state.tobytes()
    assert rest.metrics.tobytes() == whole.metrics[at + 1 :].tobytes()


@pytest.mark.parametrize("cuts", [[], [7, 30, 31], list(range(1, COUNT))])
def test_the_same_days_are_kept_for_ever(chain: Chain, cuts: list[int]) -> None:
    starts, rows = bars(3)
    daily = [s.start for step in walk(chain, starts, rows, cuts) for s in step.snapshots if s.daily]
    first_of_day = {start // DAY: start for start in reversed(starts)}
    assert daily == sorted(first_of_day.values())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(30, COUNT - 2))
def test_peeking_changes_nothing_and_sees_what_will_come(chain: Chain, seed: int, at: int) -> None:
    starts, rows = bars(seed)
    states = chain.advance([Work(KEY, chain.new(), -1, starts[:at], rows[:at])])[0].state[None, :]
    before = states.tobytes()
    seen = chain.peek([KEY], starts[at : at + 1], states, rows[at : at + 1])
    after = chain.assume(states, rows[at : at + 1])
    deeper = chain.peek([KEY], starts[at + 1 : at + 2], after, rows[at + 1 : at + 2])
    assert states.tobytes() == before
    real = chain.advance([Work(KEY, states[0], starts[at - 1], starts[at : at + 2], rows[at : at + 2])])[0]
    assert seen.metrics.tobytes() == real.metrics[:1].tobytes()
    assert deeper.metrics.tobytes() == real.metrics[1:].tobytes()


def test_many_series_in_one_call_are_as_each_alone(chain: Chain) -> None:
    works = []
    for n in range(8):
        starts, rows = bars(n)
        until = 1 if n % 2 else 40
        works.append(Work(("demo", f"S{n}"), chain.new(), -1, starts[:until], rows[:until]))
    together = chain.advance(works)
    assert [bits([step]) for step in together] == [bits(chain.advance([work])) for work in works]


def test_nothing_to_step_leaves_the_state(chain: Chain) -> None:
    step = chain.advance([Work(KEY, chain.new(), -1, (), np.empty((0, 8)))])[0]
    assert step.state.tobytes() == chain.new().tobytes()
    assert step.metrics.shape == (0, len(chain.kernel.columns))


def test_the_layout_names_rules_and_detectors(chain: Chain) -> None:
    kernel = Kernel()
    other = Detectors(kernel.columns, {"price_move": {"warm": 6.0, "threshold": 0.8}})
    names = Names(kernel.columns, other.thresholds)
    made = Chain(kernel, other, Rules.parse(RULES, names))
    assert len({chain.layout, made.layout, Chain(kernel, other, Rules([], names)).layout}) == 3


def test_a_bar_row_holds_the_nearest_doubles() -> None:
    unit = 10**18
    bar = PartialBar("s", "A", 0, unit // 3, (0, 0, 0), unit, 1, 2 * unit, (0, 0, 0), 3, 7 * 10**35, 1)
    assert bar_row(bar, 1.0) == (0.333333333333333333, 1.0, 1e-18, 2.0, 3e-18, 0.7, 1.0, 0.0)
