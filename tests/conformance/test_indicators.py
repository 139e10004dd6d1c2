"""What every indicator must hold, tried on each one in the registry, and on broken ones to see the checks bite.

The updates are run by Python itself, where every index is checked and an indicator is alone with its own state;
one test then shows that the compiled kernel gives the same bits as that.
"""

from __future__ import annotations

import doctest
import inspect
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sparktrends.indicators import EXTRAS, FAMILIES, METRICS, Indicator, Kernel
from sparktrends.indicators.base import Bar, Past, compiled, mean
from sparktrends.indicators.compiling import interpret
from sparktrends.indicators.layout import Layout, derive

Floats = NDArray[np.float64]
ALL = {repr(i): i for i in (*METRICS, *EXTRAS, *(make(7) for make in FAMILIES.values()))}
M = 230


def bars_of(m: int, seed: int = 3) -> Floats:
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, m)))
    open_ = close * (1 + rng.normal(0, 0.005, m))
    high = np.maximum(open_, close) * (1 + rng.random(m) * 0.01)
    low = np.minimum(open_, close) * (1 - rng.random(m) * 0.01)
    volume = rng.lognormal(0, 1, m)
    return np.column_stack([open_, high, low, close, volume, close * volume, np.arange(m) // 60, np.arange(m) % 2])


BARS = bars_of(M)


class Alone:
    """One indicator in a state of its own; outputs begin as ``litter`` so that an unset one shows."""

    def __init__(self, indicator: Indicator) -> None:
        self.layout = Layout((indicator,), counted=1)
        self._drive = interpret(self.layout)

    def run(self, state: Floats, bars: Floats, litter: float = 0.0) -> Floats:
        out = np.full((1, len(bars), len(self.layout.names) + 1), litter)
        self._drive(state[None], bars[None], out, np.empty(self.layout.size), True)
        return out[0]

    def new(self) -> Floats:
        return np.zeros(self.layout.size)


def has_an_example_that_runs(indicator: Indicator) -> None:
    cls = type(indicator)
    (test,) = doctest.DocTestFinder(recurse=False).find(cls, cls.__name__, globs={cls.__name__: cls})
    assert test.examples, f"{cls.__name__} has no example"
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


def gives_the_same_bits_however_the_series_is_cut(indicator: Indicator) -> None:
    alone = Alone(indicator)
    expected = alone.run(alone.new(), BARS)
    for cuts in ([1], [M // 2], list(range(1, M, 7))):
        state = alone.new()
        parts = []
        for part in np.split(BARS, cuts):
            state = np.frombuffer(state.tobytes()).copy()
            parts.append(alone.run(state, part))
        assert np.vstack(parts).tobytes() == expected.tobytes()


def goes_on_from_a_snapshot_as_if_nothing_had_happened(indicator: Indicator) -> None:
    alone = Alone(indicator)
    state = alone.new()
    alone.run(state, BARS[:100])
    snapshot = state.copy()
    first = alone.run(state, BARS[100:])
    alone.run(state, bars_of(50, seed=9))
    assert alone.run(snapshot, BARS[100:]).tobytes() == first.tobytes()


def begins_at_its_warmup_and_not_before(indicator: Indicator) -> None:
    out = Alone(indicator).run(np.zeros(Alone(indicator).layout.size), BARS)[:, :-1]
    assert np.isnan(out[: indicator.warmup - 1]).all()
    assert np.isfinite(out[indicator.warmup - 1 :]).all()


def reads_nothing_from_before_the_series_began(indicator: Indicator) -> None:
    alone = Alone(indicator)
    unknown, known = alone.new(), alone.new()
    unknown[2 : alone.layout.size - indicator.own] = math.nan
    shown = slice(indicator.warmup - 1, None)
    assert alone.run(unknown, BARS)[shown].tobytes() == alone.run(known, BARS)[shown].tobytes()


def sets_every_output_at_every_bar(indicator: Indicator) -> None:
    alone = Alone(indicator)
    assert alone.run(alone.new(), BARS, 1e9).tobytes() == alone.run(alone.new(), BARS, -7.0).tobytes()


def leaves_the_shared_windows_alone(indicator: Indicator) -> None:
    alone = Alone(indicator)
    state = alone.new()
    alone.run(state, BARS)
    seen = [derive(row, float(n + 1), BARS[n - 1, 3]) for n, row in enumerate(BARS)]
    at = 2
    for name, n in alone.layout.windows.items():
        assert state[at : at + n].tolist() == [getattr(bar, name) for bar in seen[M - n :]]
        at += n


def keeps_finite_values_on_flat_bars(indicator: Indicator) -> None:
    flat = np.tile([3.3, 3.3, 3.3, 3.3, 0.0, 0.0, 0.0, 0.0], (M, 1))
    alone = Alone(indicator)
    out = alone.run(alone.new(), np.vstack([flat, BARS]))[:, :-1]
    at_flat = out[indicator.warmup - 1 : M]
    assert np.isfinite(out[-1]).all()
    said = "undefined" in (type(indicator).__doc__ or "").lower()
    assert np.isfinite(at_flat).all() or (said and not np.isinf(at_flat).any())


CHECKS: tuple[Callable[[Indicator], None], ...] = (
    has_an_example_that_runs,
    gives_the_same_bits_however_the_series_is_cut,
    goes_on_from_a_snapshot_as_if_nothing_had_happened,
    begins_at_its_warmup_and_not_before,
    reads_nothing_from_before_the_series_began,
    sets_every_output_at_every_bar,
    leaves_the_shared_windows_alone,
    keeps_finite_values_on_flat_bars,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ALL)
def test_every_indicator(name: str, check: Callable[[Indicator], None]) -> None:
    check(ALL[name])


def _classes(root: type[Indicator]) -> Iterator[type[Indicator]]:
    for cls in root.__subclasses__():
        yield cls
        yield from _classes(cls)


def test_no_indicator_is_left_out() -> None:
    ours = {cls for cls in _classes(Indicator) if cls.__module__.startswith("sparktrends.")}
    assert ours == {type(i) for i in ALL.values()}
    assert all(inspect.getdoc(cls) for cls in ours)


@pytest.fixture(scope="module")
def everything() -> Kernel:
    """All indicators of the registry and one of each family in one compiled loop."""
    return Kernel({name: [7] for name in FAMILIES})


def test_compiled_together_gives_the_bits_of_each_alone(everything: Kernel) -> None:
    out = everything.run(everything.new(1)[0], BARS)
    for indicator in ALL.values():
        alone = Alone(indicator)
        expected = alone.run(alone.new(), BARS)
        columns = [everything.columns.index(name) for name in indicator.names]
        assert out[:, columns].tobytes() == expected[:, :-1].tobytes(), indicator


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, M - 1), st.floats(1e-9, 1e9), st.floats(0, 1e9)), max_size=25), st.data())
def test_any_bars_in_any_split_give_the_same_bits(
    everything: Kernel, odd: list[tuple[int, float, float]], data: st.DataObject
) -> None:
    bars = BARS.copy()
    for at, price, volume in odd:
        bars[at, :6] = (price, price, price, price, volume, price * volume)
    cuts = sorted(data.draw(st.sets(st.integers(1, M - 1), max_size=12)))
    whole, cut = everything.new(1), everything.new(1)
    expected = everything.run(whole[0], bars)
    peeked = everything.peek(cut, bars[:1])
    parts = [everything.run(cut[0], part) for part in np.split(bars, cuts)]
    assert np.vstack(parts).tobytes() == expected.tobytes()
    assert (peeked.tobytes(), cut.tobytes()) == (expected[:1].tobytes(), whole.tobytes())


# ---- broken on purpose: each must be caught by the check that is named with it -------------------------------------


class NoExample(Indicator):
    """Has nothing to show."""

    def __init__(self) -> None:
        super().__init__(("broken",), (), warmup=1)

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats) -> None:
        out[0] = bar.close


class WrongExample(NoExample):
    """Shows what is not so.

    >>> 1 + 1
    3
    """


class TooLittleRoom(NoExample):
    """Writes beyond the float it asked for: compiled, it would spoil its neighbour's."""

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats) -> None:
        own[0] += bar.close
        out[0] = own[0]


class MemoryInOutput(NoExample):
    """Takes what stood in the output before for its memory."""

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats) -> None:
        out[0] += bar.close


class TooEarly(Indicator):
    """Says that it is warm with half of its window unknown."""

    def __init__(self) -> None:
        super().__init__(("broken",), (), warmup=5, past={"close": 10})

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats) -> None:
        out[0] = mean(past.close, 10)


class NeverThere(NoExample):
    """Divides by what is always zero."""

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats) -> None:
        out[0] = 0.0 * bar.close / (bar.close - bar.close)


class SpoilsTheWindow(TooEarly):
    """Uses a shared window as its notebook."""

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats) -> None:
        past.close[0] = 0.0
        out[0] = mean(past.close, 10)


class LostOnFlat(NoExample):
    """Measures by the range of the bar, and does not say what it does when there is none."""

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats) -> None:
        out[0] = (bar.close - bar.low) / (bar.high - bar.low)


class Remembers(NoExample):
    """Keeps something outside its state."""

    calls: list[float] = []  # noqa: RUF012 - the fault that is planted

    class _Outside:
        @staticmethod
        def py_func(bar: Bar, past: Past, own: Floats, out: Floats) -> None:
            Remembers.calls.append(bar.close)
            out[0] = float(len(Remembers.calls))

    update = _Outside  # type: ignore[assignment]


BROKEN = [
    (NoExample, has_an_example_that_runs),
    (WrongExample, has_an_example_that_runs),
    (TooLittleRoom, gives_the_same_bits_however_the_series_is_cut),
    (Remembers, gives_the_same_bits_however_the_series_is_cut),
    (Remembers, goes_on_from_a_snapshot_as_if_nothing_had_happened),
    (NeverThere, begins_at_its_warmup_and_not_before),
    (TooEarly, reads_nothing_from_before_the_series_began),
    (MemoryInOutput, sets_every_output_at_every_bar),
    (SpoilsTheWindow, leaves_the_shared_windows_alone),
    (LostOnFlat, keeps_finite_values_on_flat_bars),
]


@pytest.mark.parametrize(("cls", "check"), BROKEN, ids=lambda value: value.__name__)
def test_a_broken_indicator_is_caught(
    cls: type[NoExample], check: Callable[[Indicator], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((AssertionError, IndexError)):
        check(cls())
    capsys.readouterr()  # doctest prints what it found


def test_a_sound_one_planted_the_same_way_passes() -> None:
    class Sound(NoExample):
        """Is right.

        >>> 1 + 1
        2
        """

    for check in CHECKS:
        check(Sound())
