"""What a detector is: score, then learn.

A detector looks at one bar of one series at a time and says how remarkable it is. It keeps a fixed number of floats
per series and nothing else. `score` is asked first and may not touch the state; `learn` then takes the bar in. Both
are plain functions over numbers that Numba compiles, so a bundle (`sparktrends.detectors.Detectors`) steps any number
of series in one call, and the bits of a series never depend on who else is in the batch.

Rows: a bar is eight floats in the order of the constants below; ``seen`` holds the metrics the detector declared in
`reads`, NaN while one is not warm. ``state[0]`` counts the bars learned; the bundle keeps it, and asks for no score
before it reaches the parameter ``warm``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableSequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Row = MutableSequence[float]
"""A one-dimensional array of floats, as the type checker should see it from inside a compiled function."""
F = TypeVar("F", bound=Callable[..., Any])

OPEN, HIGH, LOW, CLOSE, VOLUME, TURNOVER, SESSION, PROVIDER = range(8)
"""Columns of a bar row."""
SCORE, VALUE, BASELINE, SCALE, BARS = range(5)
"""What a step leaves per row and detector: the score, the figure it judged, what it was compared with (centre and
width, in the unit of the figure), and the number of bars that were learned before. NaN where there is no opinion."""
COUNT = 0
"""State: bars learned so far."""
THRESHOLD, WARM = 0, 1
"""Parameters that every detector has."""

Verdict = tuple[float, float, float, float]
"""What `score` returns: score, value, baseline, scale."""


def compiled(function: F) -> F:
    """Mark a function of numbers as one that compiled code may call; from Python it stays what it is.

    Compiled, a division by zero gives infinity or NaN, as in NumPy.
    """
    return register_jitable(fastmath=False, error_model="numpy", forceinline=True)(function)


class Detector:
    """One way of finding something at a bar; subclasses are declarations and two compiled functions.

    ``name`` is what rules and signals call it, ``kind`` the signal's kind, ``size`` the floats of state per series.
    ``defaults`` are its parameters in the order in which `score` and `learn` find them in ``p``: ``threshold``
    (a signal is made when ``|score|`` reaches it), ``warm`` (bars to learn first), then its own.
    ``reads`` names metrics. ``forming`` says that everything it reads moves one way only while a bar forms (law 4),
    so that it may be asked early. ``directed`` false: its
    signals have no direction. ``measure`` says in words what the value is. ``warning`` and ``critical`` are how
    far beyond the threshold a score must lie for that severity. ``joins`` names detectors whose scores at the same bar
    explain this one: they are told in the signal's detail.
    """

    name: ClassVar[str]
    kind: ClassVar[str] = "anomaly"
    size: ClassVar[int]
    defaults: ClassVar[Mapping[str, float]]
    measure: ClassVar[str]
    reads: ClassVar[tuple[str, ...]] = ()
    forming: ClassVar[bool] = False
    directed: ClassVar[bool] = True
    warning: ClassVar[float] = 1.0
    critical: ClassVar[float] = 2.5
    joins: ClassVar[tuple[str, ...]] = ()

    score: ClassVar[staticmethod[[Row, Row, Row, Row], Verdict]]
    """``score(p, state, bar, seen)``: how remarkable the bar is, positive upwards, negative downwards. Leaves the
    state alone."""
    learn: ClassVar[staticmethod[[Row, Row, Row, Row], None]]
    """``learn(p, state, bar, seen)``: take the bar into the state, in place."""

    @classmethod
    def column(cls) -> str:
        """Its name among the scores.

        >>> from sparktrends.detectors.price_move import PriceMove
        >>> PriceMove.column()
        'anomaly.price_move'
        """
        return f"{cls.kind}.{cls.name}"
