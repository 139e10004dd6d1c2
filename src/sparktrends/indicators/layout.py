"""How chosen indicators lie in one row of floats, and the loop over bars that this layout asks for, as source text.

A row of state is: the number of bars, the last close, the shared windows, then each indicator's own floats. The
loop is written out for the chosen indicators, one call each, so that the compiler sees every offset and window
length as a constant: there is no dispatch left at run time.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate, pairwise

from sparktrends.indicators import base
from sparktrends.indicators.base import Bar, Floats, Indicator, Past, compiled

BAR_COLUMNS = ("open", "high", "low", "close", "volume", "turnover", "session", "provider")
"""A bar is a row of these, float64. ``session`` is any number that changes when a session starts; ``provider`` is
not 0 for a bar that a provider made, whose turnover is not looked at."""

_COMMON = 2  # the number of bars and the last close stand before the windows

_LOOP = """
@njit(fastmath=False, error_model="numpy", forceinline=True)
def advance(s, row, out):
    if not usable(row):
        out[:] = nan
        return
    s[0] += 1.0
    bar = derive(row, s[0], s[1])
    s[1] = bar.close
{pushes}
    past = Past({windows})
{calls}
    out[{last}] = 1.0 if bar.number >= {warmup} else 0.0


@njit(signature, fastmath=False, error_model="numpy", nogil=True, cache=kept)
def drive(states, bars, outs, scratch, keep):
    for i in range(states.shape[0]):
        s = states[i]
        if not keep:
            scratch[:] = s
            s = scratch
        for j in range(bars.shape[1]):
            advance(s, bars[i, j], outs[i, j])
"""


@compiled
def usable(row: Floats) -> bool:
    """Whether a row holds a bar at all: finite prices above 0 and a finite volume not below 0."""
    # Two comparisons each, because every comparison with a NaN is false.
    priced = 0.0 < row[0] < math.inf and 0.0 < row[1] < math.inf and 0.0 < row[2] < math.inf and 0.0 < row[3] < math.inf
    return bool(priced and 0.0 <= row[4] < math.inf)


@compiled
def derive(row: Floats, number: float, before: float) -> Bar:
    """The bar that updates see; the first bar counts its own close as the previous one."""
    start, high, low, close = row[0], row[1], row[2], row[3]
    # A new row of state is all zeros, and 0 as a previous close would make infinities.
    previous = before if number > 1.0 else close
    typical = (high + low + close) / 3.0
    moves = (math.log(close / previous), math.log(high / low), math.log(close / start))
    given = (start, high, low, close, row[4], row[5], row[6], row[7])
    return Bar(*given, number, previous, typical, *moves)


@cache
def code_of(module: str) -> str:
    """A module's code without comments, docstrings and layout: what decides about bits."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            body[0].value.value = ""
    return ast.unparse(tree)


@dataclass(frozen=True, eq=False)
class Layout:
    """Where everything lies for these indicators; the first ``counted`` of them decide when a series is warm.

    Two layouts are equal when a state row means the same in both.
    """

    indicators: tuple[Indicator, ...]
    counted: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and self.version == other.version

    def __hash__(self) -> int:
        return hash(self.version)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The outputs, in order, without ``warm`` which comes last."""
        return tuple(name for indicator in self.indicators for name in indicator.names)

    @cached_property
    def windows(self) -> dict[str, int]:
        """The length of each shared window: the longest that any indicator asks for."""
        return {name: max((i.past.get(name, 0) for i in self.indicators), default=0) for name in Past._fields}

    @cached_property
    def size(self) -> int:
        """Floats of state per series."""
        return _COMMON + sum(self.windows.values()) + sum(i.own for i in self.indicators)

    @cached_property
    def warmup(self) -> int:
        """The bar at which a series is warm."""
        return max((i.warmup for i in self.indicators[: self.counted]), default=1)

    @cached_property
    def version(self) -> str:
        """A hash of everything that decides what a stored state means: layout, parameters and code."""
        # Whole modules, because an update may lean on anything beside it; a needless recomputation is harmless.
        modules = sorted({base.__name__, __name__, *(type(i).__module__ for i in self.indicators)})
        classes = [f"{i!r} {type(i).__module__}.{type(i).__qualname__}" for i in self.indicators]
        parts = [*classes, self.source, *map(code_of, modules)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @cached_property
    def source(self) -> str:
        """The loop over bars for this layout."""
        windows = dict(zip(Past._fields, _slices(_COMMON, list(self.windows.values())), strict=True))
        return _LOOP.format(
            pushes="\n".join(f"    push(s[{at}], bar.{name})" for name, at in windows.items() if self.windows[name]),
            windows=", ".join(f"s[{at}]" for at in windows.values()),
            calls="\n".join(self._calls()),
            last=len(self.names),
            warmup=self.warmup,
        )

    def _calls(self) -> Iterator[str]:
        owns = _slices(_COMMON + sum(self.windows.values()), [i.own for i in self.indicators])
        outs = _slices(0, [len(i.names) for i in self.indicators])
        for n, (indicator, own, out) in enumerate(zip(self.indicators, owns, outs, strict=True)):
            # As literals: a window length known to the compiler lets it unroll the loops over it.
            params = "".join(f", {value!r}" for value in indicator.params)
            yield f"    update_{n}(bar, past, s[{own}], out[{out}]{params})"
            # Here and not in each indicator, so that none can forget it.
            yield f"    if bar.number < {indicator.warmup}:"
            yield f"        out[{out}] = nan"


def _slices(start: int, lengths: Sequence[int]) -> list[str]:
    ends = list(accumulate(lengths, initial=start))
    return [f"{a}:{b}" for a, b in pairwise(ends)]
