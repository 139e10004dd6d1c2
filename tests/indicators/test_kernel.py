"""The kernel as its callers see it: the same bits however it is called, and nothing it cannot digest."""

from __future__ import annotations

import doctest
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sparktrends.errors import IntegrityError
from sparktrends.indicators import EXTRAS, METRICS, Kernel
from sparktrends.indicators import kernel as room

Floats = NDArray[np.float64]
Walk = Callable[..., Floats]
M = 260
MAY_BE_UNDEFINED = {"vwap_session", "volume_ratio", "volume_z"}


def _bits(values: Floats) -> bytes:
    return np.ascontiguousarray(values).tobytes()


def _whole(kernel: Kernel, bars: Floats) -> tuple[Floats, Floats]:
    state = kernel.new(1)
    return kernel.run(state[0], bars), state


def test_the_examples_run() -> None:
    assert doctest.testmod(room).failed == 0


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(1, M - 1), max_size=30))
def test_any_way_of_cutting_the_series_gives_the_same_bits(kernel: Kernel, walk: Walk, cuts: set[int]) -> None:
    bars = walk(M)
    expected, end = _whole(kernel, bars)
    state = kernel.new(1)
    parts = []
    for first, last in zip([0, *sorted(cuts)], [*sorted(cuts), M], strict=True):
        state = np.frombuffer(state.tobytes()).reshape(1, -1).copy()  # as if it had been stored and read back
        parts.append(kernel.run(state[0], bars[first:last]))
    assert _bits(np.vstack(parts)) == _bits(expected)
    assert _bits(state) == _bits(end)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=400))
def test_other_series_in_the_batch_change_nothing(kernel: Kernel, walk: Walk, order: list[int]) -> None:
    series = [walk(400, seed) for seed in range(5)]
    state, seen = kernel.new(5), [0] * 5
    for a, b in pairwise(order):
        batch = sorted({a, b})
        part = state[batch].copy()
        out = kernel.step(part, np.stack([series[i][seen[i]] for i in batch]))
        state[batch] = part
        for row, i in zip(out, batch, strict=True):
            seen[i] += 1
            assert _bits(row) == _bits(_whole(kernel, series[i][: seen[i]])[0][-1])


def test_step_over_many_is_run_over_each(kernel: Kernel, walk: Walk) -> None:
    series = np.stack([walk(M, seed) for seed in range(7)])
    state = kernel.new(7)
    stepped = np.stack([kernel.step(state, series[:, j]) for j in range(M)], axis=1)
    for i in range(7):
        expected, end = _whole(kernel, series[i])
        assert _bits(stepped[i]) == _bits(expected)
        assert _bits(state[i]) == _bits(end)


def test_peek_gives_what_step_will_and_leaves_the_state_alone(kernel: Kernel, walk: Walk) -> None:
    series = np.stack([walk(M, seed) for seed in range(3)])
    state = kernel.new(3)
    for j in range(M):
        before = _bits(state)
        state.flags.writeable = False
        peeked = kernel.peek(state, series[:, j])
        assert _bits(state) == before
        state.flags.writeable = True
        assert _bits(kernel.step(state, series[:, j])) == _bits(peeked)


def test_threads_do_not_meet(kernel: Kernel, walk: Walk) -> None:
    series = [walk(3000, seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda bars: _bits(_whole(kernel, bars)[0]), series))
    assert together == [_bits(_whole(kernel, bars)[0]) for bars in series]


def test_warm_is_said_at_the_bar_where_every_metric_has_begun(kernel: Kernel, walk: Walk) -> None:
    out, _ = _whole(kernel, walk(M))
    warm = out[:, -1]
    assert kernel.warmup == 200
    assert np.array_equal(warm, np.arange(M) >= 199)
    named = out[:, : len(kernel.names)]
    assert np.isfinite(named[199:]).all()
    assert np.isnan(named[198]).any()


def test_a_long_extra_window_does_not_hold_back_warm(walk: Walk) -> None:
    kernel = Kernel({"sma": [250]}, metrics=METRICS[:2], extras=())
    out, _ = _whole(kernel, walk(M))
    assert np.array_equal(out[:, -1], np.arange(M) >= 1)
    assert np.array_equal(np.isfinite(out[:, 2]), np.arange(M) >= 249)


@pytest.mark.parametrize("value", [math.nan, 0.0, -5.0, math.inf])
def test_a_row_without_a_bar_gives_nothing_and_changes_nothing(kernel: Kernel, walk: Walk, value: float) -> None:
    bars = walk(M)
    holes = np.insert(bars, [5, 5, 230], value, axis=0)
    expected, end = _whole(kernel, bars)
    out, state = _whole(kernel, holes)
    assert np.isnan(out[[5, 6, 232]]).all()
    assert _bits(np.delete(out, [5, 6, 232], axis=0)) == _bits(expected)
    assert _bits(state) == _bits(end)


def test_a_million_bars_do_not_drift(kernel: Kernel, walk: Walk) -> None:
    bars = walk(1_000_000)
    bars[1000] *= 1e6  # a spike whose rounding errors a running sum would keep for ever
    bars[:, 6] = 0.0
    state = kernel.new(1)[0]
    for part in np.array_split(bars, 20):
        out = kernel.run(state, part)
    long = dict(zip(kernel.columns, out[-1].tolist(), strict=True))
    short = dict(zip(kernel.columns, _whole(kernel, bars[-5000:])[0][-1].tolist(), strict=True))
    traded = np.where(bars[:, 7] != 0, bars[:, 1:4].sum(axis=1) / 3 * bars[:, 4], bars[:, 5])
    short["vwap_session"] = math.fsum(traded) / math.fsum(bars[:, 4])
    short["obv"] = math.fsum([bars[0, 4], *(np.sign(np.diff(bars[:, 3])) * bars[1:, 4])])
    assert long == pytest.approx(short, rel=1e-9)


prices = st.floats(1e-18, 1e20)
any_bar = st.tuples(prices, prices, prices, prices, st.floats(0, 1e20), st.integers(0, 3), st.booleans())


@settings(max_examples=60, deadline=None)
@given(st.lists(any_bar, min_size=1, max_size=12))
def test_no_bars_whatever_leave_a_value_undefined_for_ever(kernel: Kernel, rows: list[tuple[float, ...]]) -> None:
    pattern = np.array([[o, max(o, h, lo, c), min(o, h, lo, c), c, v, c * v, s, p] for o, h, lo, c, v, s, p in rows])
    out, _ = _whole(kernel, np.tile(pattern, (300 // len(rows) + 1, 1)))
    for name, value in zip(kernel.columns, out[-1], strict=True):
        assert math.isfinite(value) or name in MAY_BE_UNDEFINED


def test_it_recovers_from_the_greatest_and_smallest_prices(kernel: Kernel, walk: Walk) -> None:
    calm, wild = walk(8000), walk(300)
    wild[::2, :4] *= 1e15
    wild[1::2, :4] *= 1e-15
    out, _ = _whole(kernel, np.vstack([wild, calm]))
    expected, _ = _whole(kernel, calm)
    columns = [i for i, name in enumerate(kernel.columns) if name not in {"obv", "volatility_ewma"}]
    assert out[-1, columns] == pytest.approx(expected[-1, columns], rel=1e-7)


def test_a_flat_series_without_volume_has_the_documented_values(kernel: Kernel) -> None:
    flat = np.tile([0.1, 0.1, 0.1, 0.1, 0.0, 0.0, 0.0, 0.0], (40_000, 1))
    last = dict(zip(kernel.columns, _whole(kernel, flat)[0][-1].tolist(), strict=True))
    undefined = {name for name, value in last.items() if math.isnan(value)}
    at_price = {name for name, value in last.items() if value == 0.1}
    assert undefined == MAY_BE_UNDEFINED
    assert last["warm"] == 1.0
    assert {"sma_200", "bb_upper", "bb_middle", "bb_lower", "dc_lower", "wma_30"} <= at_price
    averages = {name for name in last if name.startswith(("ema", "kc"))}
    assert all(last[name] == pytest.approx(0.1, rel=1e-13) for name in averages)
    assert all(abs(last[name]) < 1e-12 for name in set(last) - undefined - at_price - averages - {"warm"})


@pytest.mark.parametrize("shape", [(2, 5), (3, 8), (2,)])
def test_bars_of_another_shape_are_refused(kernel: Kernel, shape: tuple[int, ...]) -> None:
    with pytest.raises(IntegrityError):
        kernel.step(kernel.new(2), np.ones(shape))


def test_state_of_another_layout_is_refused(kernel: Kernel, walk: Walk) -> None:
    other = Kernel(metrics=METRICS[:2], extras=())
    assert other.version != kernel.version
    with pytest.raises(IntegrityError):
        kernel.step(other.new(2), walk(2))


@pytest.mark.parametrize("spoil", [lambda s: s.astype(np.float32), np.asfortranarray, lambda s: s[:, ::-1]])
def test_state_that_cannot_be_stepped_in_place_is_refused(
    kernel: Kernel, walk: Walk, spoil: Callable[..., Floats]
) -> None:
    with pytest.raises(IntegrityError):
        kernel.step(spoil(kernel.new(2)), walk(2))


def test_read_only_state_is_refused(kernel: Kernel, walk: Walk) -> None:
    state = kernel.new(2)
    state.flags.writeable = False
    with pytest.raises(IntegrityError, match="read-only"):
        kernel.step(state, walk(2))


def test_nothing_to_step_is_nothing_returned(kernel: Kernel) -> None:
    assert kernel.step(kernel.new(0), np.empty((0, 8))).shape == (0, len(kernel.columns))
    assert kernel.run(kernel.new(1)[0], np.empty((0, 8))).shape == (0, len(kernel.columns))


def test_the_state_of_everything_stays_small() -> None:
    assert Kernel().size <= 400
    assert len(Kernel().columns) == 30 + sum(len(i.names) for i in EXTRAS) + 1
