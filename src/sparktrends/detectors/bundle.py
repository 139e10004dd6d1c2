"""All chosen detectors, stepped over many series at once."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import numpy as np
from numba import types

from sparktrends.detectors.base import BARS, BASELINE, SCALE, SCORE, THRESHOLD, VALUE, WARM, Detector, Floats
from sparktrends.detectors.compiling import CUBE, READ_TABLE, READ_TIMES, READ_VECTOR, TABLE, compile_kept
from sparktrends.detectors.feed import Key
from sparktrends.detectors.registry import REGISTRY
from sparktrends.errors import BadSetting, IntegrityError
from sparktrends.indicators.layout import code_of, usable
from sparktrends.model import Signal

_PACKAGE = "sparktrends.detectors."

Settings = Mapping[str, Mapping[str, float]]
"""Parameters by detector name, e.g. ``{"price_move": {"threshold": 5}}``."""


def fingerprint_of(kind: type[Detector]) -> str:
    """A hash of the code that a detector is made of: its state means nothing to another version of it.

    That is its own file, the files of this package that it takes something from, and the loop here.
    """
    own = inspect.getmodule(kind)
    used = [inspect.getmodule(value) for value in (*vars(own).values(), Detectors)]
    modules = {m.__name__: m for m in (own, *used) if m is not None and m.__name__.startswith(_PACKAGE)}
    if own is not None:
        modules[own.__name__] = own
    text = "".join(map(code_of, sorted(modules))) + inspect.getsource(usable)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _driver(score: Callable[..., Any], learn: Callable[..., Any], version: str) -> Callable[..., None]:
    """Compile the loop of one detector over rows; row j belongs to the series ``rows[j]`` of ``state``.

    Numba files compiled code by this file and by what the closure holds: ``version`` is held so that a change in the
    detector's own file compiles anew.
    """

    def drive(
        p: Any, at: int, size: int, rows: Any, state: Any, bars: Any, seen: Any, found: Any, column: int, learning: bool
    ) -> None:
        version  # noqa: B018
        for j in range(len(rows)):
            own = state[rows[j], at : at + size]
            there = usable(bars[j])
            if there and own[0] >= p[1]:
                verdict = score(p, own, bars[j], seen[j])
                for i in range(4):
                    found[j, column, i] = verdict[i]
            else:
                found[j, column, :4] = math.nan
            found[j, column, 4] = own[0]
            if learning and there:
                learn(p, own, bars[j], seen[j])
                own[0] += 1.0

    i = types.int64
    return compile_kept(drive, READ_VECTOR, i, i, READ_TIMES, TABLE, READ_TABLE, READ_TABLE, CUBE, i, types.boolean)


class Detectors:
    """The chosen detectors over rows of bars and metrics.

    ``metrics`` names the columns of the metrics rows; ``settings`` overrides parameters; ``chosen`` limits the set.
    State is ``float64[n, size]``, one row per series and interval, zeros for a new one. Raises `BadSetting` for an
    unknown detector, parameter or metric, or a value that is not a positive number.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        settings: Settings | None = None,
        chosen: Sequence[str] | None = None,
        registry: Sequence[type[Detector]] = REGISTRY,
    ) -> None:
        self._kinds = _choose(registry, chosen)
        known = [kind.name for kind in self._kinds]
        for name in settings or {}:
            _require(name, known, "detector")
        self._params = [_parameters(kind, (settings or {}).get(kind.name, {})) for kind in self._kinds]
        self._reads = [_positions(kind, metrics) for kind in self._kinds]
        self._starts = np.concatenate([[0], np.cumsum([kind.size for kind in self._kinds])]).astype(int).tolist()
        self.columns = tuple(kind.column() for kind in self._kinds)
        self.size: int = self._starts[-1]

    def prepare(self) -> None:
        """Load or compile every detector now; otherwise the first step does. Who asks for names never waits for it."""
        _ = self._drivers

    @cached_property
    def _drivers(self) -> list[Callable[..., None]]:
        return [_driver(kind.score, kind.learn, fingerprint_of(kind)) for kind in self._kinds]

    @property
    def thresholds(self) -> dict[str, float]:
        """The score at which each column makes a signal."""
        return {name: float(p[THRESHOLD]) for name, p in zip(self.columns, self._params, strict=True)}

    @property
    def fingerprint(self) -> str:
        """Changes whenever stored state of these detectors stops meaning the same."""
        text = repr([(fingerprint_of(k), p[WARM:].tolist()) for k, p in zip(self._kinds, self._params, strict=True)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def new(self, n: int) -> Floats:
        """State of ``n`` series that have seen nothing."""
        return np.zeros((n, self.size))

    def step(self, state: Floats, bars: Floats, metrics: Floats) -> Floats:
        """One bar for each of n series: returns ``found[n, k, 5]`` (see `base.SCORE`) and learns in place.

        A row that holds no bar (a price that is NaN or not above 0) is no opinion and teaches nothing. Raises
        `IntegrityError` for state of another layout.
        """
        return self._drive(np.arange(len(bars)), state, bars, metrics, learning=True)

    def peek(self, state: Floats, bars: Floats, metrics: Floats) -> Floats:
        """What forming bars already show: like `step`, learning nothing, NaN for detectors that must wait."""
        early = [column for column, kind in enumerate(self._kinds) if kind.forming]
        return self._drive(np.arange(len(bars)), state, bars, metrics, learning=False, only=early)

    def run(self, state: Floats, bars: Floats, metrics: Floats, only: Collection[int] | None = None) -> Floats:
        """m bars of one series in order, ``state`` being its row: the same bits as m steps.

        With ``only`` the other columns stay NaN, and their state as it was: for whoever looks at no others.
        """
        rows = np.zeros(len(bars), dtype=np.int64)
        return self._drive(rows, state[None, :], bars, metrics, learning=True, only=only)

    def _drive(
        self,
        rows: Any,
        state: Floats,
        bars: Floats,
        metrics: Floats,
        *,
        learning: bool,
        only: Collection[int] | None = None,
    ) -> Floats:
        if state.shape[1] != self.size or not state.flags.c_contiguous or len(metrics) != len(bars):
            raise IntegrityError(f"state of {state.shape[1]} floats a series: these detectors keep {self.size}")
        bars = np.ascontiguousarray(bars, dtype=np.float64)
        found = np.full((len(bars), len(self._kinds), 5), math.nan)
        for column, (kind, drive) in enumerate(zip(self._kinds, self._drivers, strict=True)):
            if only is not None and column not in only:
                continue
            seen = np.ascontiguousarray(metrics[:, self._reads[column]])
            p, at = self._params[column], self._starts[column]
            drive(p, at, kind.size, rows, state, bars, seen, found, column, learning)
        return found

    def signals(self, keys: Sequence[Key], found: Floats) -> list[Signal]:
        """The signals among what a step or a peek found, in order of rows; ``keys[j]`` says what row j is."""
        thresholds = np.array([p[THRESHOLD] for p in self._params])
        rows, columns = np.nonzero(np.abs(found[:, :, SCORE]) >= thresholds)
        return [self._signal(keys[j], c, found[j]) for j, c in zip(rows.tolist(), columns.tolist(), strict=True)]

    def _signal(self, key: Key, column: int, bar: Floats) -> Signal:
        found = bar[column]
        kind, threshold = self._kinds[column], float(self._params[column][THRESHOLD])
        score = float(found[SCORE])
        excess = abs(score) - threshold
        severity = "critical" if excess >= kind.critical else "warning" if excess >= kind.warning else "info"
        figures = {"value": VALUE, "baseline": BASELINE, "scale": SCALE, "bars": BARS}
        detail: dict[str, Any] = {name: _plain(found[at]) for name, at in figures.items()}
        detail |= {"score": score, "threshold": threshold, "measure": kind.measure}
        if kind.joins:
            parts = {other.name: at for at, other in enumerate(self._kinds) if other.name in kind.joins}
            detail["scores"] = {name: _plain(bar[at, SCORE]) for name, at in parts.items()}
        direction = "none" if not kind.directed else "up" if score > 0 else "down"
        return Signal(*key, kind.kind, kind.name, direction, score, severity, detail)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _choose(registry: Sequence[type[Detector]], chosen: Sequence[str] | None) -> list[type[Detector]]:
    by_name = {kind.name: kind for kind in registry}
    if len(by_name) != len(registry):
        raise BadSetting("two detectors have the same name")
    return [by_name[_require(name, by_name, "detector")] for name in (by_name if chosen is None else chosen)]


def _require(name: str, known: Any, what: str) -> str:
    if name in known:
        return name
    close = get_close_matches(name, list(known), 1)
    raise BadSetting(f"unknown {what} {name!r}", hint=f"did you mean {close[0]}?" if close else "")


def _parameters(kind: type[Detector], given: Mapping[str, float]) -> Floats:
    if not isinstance(given, Mapping):
        raise BadSetting(f"detector {kind.name} = {given!r} is not a table", hint=f"write [detectors.{kind.name}]")
    for name, value in given.items():
        _require(name, kind.defaults, f"parameter of detector {kind.name}")
        # Not isinstance: to Python true is a number as well.
        if type(value) not in (int, float) or not 0 < value < math.inf:
            raise BadSetting(f"detector {kind.name}: {name} must be a positive number, not {value!r}")
    return np.array(list({**kind.defaults, **given}.values()), dtype=np.float64)


def _positions(kind: type[Detector], metrics: Sequence[str]) -> list[int]:
    return [list(metrics).index(_require(name, metrics, "metric")) for name in kind.reads]
