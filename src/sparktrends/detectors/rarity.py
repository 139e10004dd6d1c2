"""How rare a value is for its own series: the arithmetic that the anomaly detectors share.

A tracker is four floats of state. Centre and scale are exponentially weighted and learn winsorised values, so that an
outlier moves them no more than a bar at `WINSOR` scales would. How heavy the tail is, is learned too: the share of
bars beyond `KNEE` scales and the mean of ln(z / KNEE) among them (Hill, 1975), winsorised at `WINSOR` times that mean,
or the first pump of a day would make the second look usual. The score is then

    −log10 P(|z| at least this large)  =  −log10(rate) + log10(z / KNEE) / tail        for z beyond the knee,

read as "once in 10**score bars". So one threshold means the same for every detector, symbol and market. The default
4.2 shares a budget of one false alarm per symbol and day of 1,440 minutes among ten detectors: log10(1440 · 10).
A fixed number of standard deviations would not do: with the tails that returns have, seven of them come daily in one
market and never in another.
"""

from __future__ import annotations

import math

from sparktrends.detectors.base import Row, compiled

CENTRE, SPREAD, RATE, TAIL = range(4)
"""A tracker's floats, counted from where it begins in the state."""
TRACKER = 4

KNEE = 2.0
WINSOR = 3.0
GAUSS = math.sqrt(math.pi / 2)
"""Mean absolute deviation to standard deviation, for a Gaussian: scales read like standard deviations."""
RATE_MEMORY, TAIL_MEMORY = 1 / 500, 1 / 50
"""Weights: of a bar in the rate, of a bar beyond the knee in the tail: both remember about a thousand bars."""
PRIOR_RATE, PRIOR_TAIL = 0.05, 0.25
"""Before anything is learned: the tail of Student's t with four degrees of freedom, usual for returns."""
LEAST_RATE, LEAST_TAIL = 0.02, 0.17
"""No market is taken to have thinner tails than a Gaussian (0.17 at two deviations)."""
CENSORED = 1.0 - math.exp(-WINSOR)
"""Mean of an exponential variable that is cut off at `WINSOR` times its mean, as a share of that mean."""

MOST_SCORE = 100.0
"""Beyond it the number says nothing more."""


@compiled
def distance(state: Row, at: int, value: float, floor: float) -> float:
    """``value`` in scales from the centre; ``floor`` is the least scale, so no series is infinitely calm."""
    return (value - state[at + CENTRE]) / max(state[at + SPREAD], floor)


@compiled
def rarity(state: Row, at: int, z: float) -> float:
    """−log10 of the chance of ``|z|`` or more, at most `MOST_SCORE`; below the knee a straight line from 0.

    >>> round(rarity([0.0, 1.0, 0.05, 0.25], 0, 20.0), 2)
    5.3
    """
    size = abs(z)
    if not size > KNEE:
        return -math.log10(max(state[at + RATE], LEAST_RATE)) * size / KNEE
    score = -math.log10(max(state[at + RATE], LEAST_RATE)) + math.log10(size / KNEE) / max(state[at + TAIL], LEAST_TAIL)
    return min(score, MOST_SCORE)


@compiled
def together(a: float, b: float) -> float:
    """Fisher's method (1932) for the independent chances P = 10**-a and Q = 10**-b: −log10 of PQ · (1 − ln PQ).

    >>> round(together(3.0, 3.0), 2)
    4.83
    """
    return a + b - math.log10(1.0 + (a + b) * math.log(10.0))


@compiled
def bounded(excess: float, mean: float) -> float:
    """What an excess teaches about the mean of an exponential tail: one outlier little, all together the truth.

    >>> bounded(0.19, 0.2) < 0.2 < bounded(0.2, 0.2), bounded(50.0, 0.2) == bounded(0.7, 0.2)
    (True, True)
    """
    return min(excess, WINSOR * mean) / CENSORED


@compiled
def absorb(
    state: Row, at: int, z: float, floor: float, weight: float, moving: bool, both_sides: bool, fresh: bool = True
) -> None:
    """Learn a value that lay at ``z``: first the tail, then scale and, when ``moving``, centre.

    ``weight`` is the weight of the newest bar. With ``both_sides`` false only large values count as tail. ``fresh``
    false: the tail has learned from the event that the value belongs to.
    """
    far = abs(z) if both_sides else z
    beyond = far > KNEE
    if fresh:
        state[at + RATE] += RATE_MEMORY * ((1.0 if beyond else 0.0) - state[at + RATE])
    if fresh and beyond:
        state[at + TAIL] += TAIL_MEMORY * (bounded(math.log(far / KNEE), state[at + TAIL]) - state[at + TAIL])
    width = max(state[at + SPREAD], floor)
    near = min(max(z, -WINSOR), WINSOR) * width
    state[at + SPREAD] += weight * (GAUSS * abs(near) - state[at + SPREAD])
    if moving:
        state[at + CENTRE] += weight * near


@compiled
def begin(state: Row, at: int, centre: float, spread: float) -> None:
    """A tracker before its first value."""
    state[at + CENTRE] = centre
    state[at + SPREAD] = spread
    state[at + RATE] = PRIOR_RATE
    state[at + TAIL] = PRIOR_TAIL


@compiled
def weight_of(count: float, span: float) -> float:
    """Weight of the newest bar: the plain mean at first, 1/span once there are ``span`` bars."""
    return max(1.0 / (count + 1.0), 1.0 / span)
