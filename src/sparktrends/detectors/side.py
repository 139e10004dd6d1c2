"""Crossing with hysteresis: what the trend detectors share.

A figure is above, below, or neither yet. It changes side only when it lies beyond a band on the other side, so one
that wavers around zero crosses once and not at every bar.
"""

from __future__ import annotations

from sparktrends.detectors.base import Row, compiled

SIDE = 1
"""State: +1 above, −1 below, 0 not known yet."""


@compiled
def new_side(state: Row, figure: float, band: float) -> float:
    """The side after seeing ``figure``; NaN (not warm) changes nothing.

    >>> new_side([9.0, -1.0], 0.5, 1.0), new_side([9.0, -1.0], 1.5, 1.0)
    (-1.0, 1.0)
    """
    if figure > band:
        return 1.0
    if figure < -band:
        return -1.0
    return state[SIDE]


@compiled
def crossing(state: Row, figure: float, band: float) -> float:
    """+1 or −1 at the bar that changes the side, else 0; the first side ever is no crossing."""
    side = new_side(state, figure, band)
    return side if side * state[SIDE] < 0 else 0.0
