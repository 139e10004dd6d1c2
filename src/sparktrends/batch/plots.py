"""Small plots as inline SVG: no script, no other host, colours from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT, _PAD = 120, 28, 3
_BAR, _GAP, _CHART, _NAMES = 18, 6, 640, 120


def spark_line(values: Sequence[float]) -> str:
    """A line through the values, its last point marked; empty when there are fewer than two."""
    known = [value for value in values if math.isfinite(value)]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    step = (_WIDTH - 2 * _PAD) / (len(known) - 1)
    scale = (_HEIGHT - 2 * _PAD) / ((high - low) or 1.0)
    points = [(_PAD + step * n, _HEIGHT - _PAD - scale * (value - low)) for n, value in enumerate(known)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    kind = "up" if known[-1] >= known[0] else "down"
    return (
        f'<svg class="spark {kind}" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'role="img" aria-label="{len(known)} closes from {known[0]:g} to {known[-1]:g}">'
        f'<polyline points="{path}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="2.2"/></svg>'
    )


def move_bars(moves: Sequence[tuple[str, float]]) -> str:
    """A bar for each name, to the right for a gain, to the left for a loss; shares as per cent at its end."""
    if not moves:
        return ""
    widest = max(abs(move) for _, move in moves) or 1.0
    room = (_CHART - _NAMES) / 2 - 60
    height = len(moves) * (_BAR + _GAP) + _GAP
    bars = "".join(_bar(n, name, move, room * abs(move) / widest) for n, (name, move) in enumerate(moves))
    zero = _NAMES + (_CHART - _NAMES) / 2
    return (
        f'<svg class="bars" viewBox="0 0 {_CHART} {height}" role="img" aria-label="Moves of the day">'
        f'{bars}<line class="axis" x1="{zero}" x2="{zero}" y1="0" y2="{height}"/></svg>'
    )


def _bar(place: int, name: str, move: float, length: float) -> str:
    top, zero = _GAP + place * (_BAR + _GAP), _NAMES + (_CHART - _NAMES) / 2
    kind, left = ("up", zero) if move >= 0 else ("down", zero - length)
    end, anchor = (left + length + 6, "start") if move >= 0 else (left - 6, "end")
    middle = top + _BAR / 2 + 4
    return (
        f'<text class="name" x="{_NAMES - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>'
        f'<rect class="{kind}" x="{left:.1f}" y="{top}" width="{max(length, 1):.1f}" height="{_BAR}" rx="3"/>'
        f'<text x="{end:.1f}" y="{middle}" text-anchor="{anchor}">{100 * move:+.1f} %</text>'
    )
