"""A batch cut where it would make too many rows: a few records may end long silences, and each of their minutes is one.

The parts are of one transaction, and any way of cutting gives the same bars (law 4). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sparktrends.bars import FoldResult
from sparktrends.model import DAY, MINUTE, PartialBar, SeriesMark, SeriesState, Span, StoredProviderBar
from sparktrends.store.writer import SeriesKey

# What one statement writes within seconds, and what memory holds: some 3.5 kB a row, with all that follows from it.
ROWS = 50_000
_WORST = 2 * DAY // MINUTE
_NEVER = 1 << 62


@dataclass(slots=True)
class _Item:
    """Minutes [start, end) that a batch makes known or closed; ``rows`` is how many come with them at most."""

    start: int
    end: int
    partial: PartialBar | None
    rows: int = 1


@dataclass(slots=True)
class _Part:
    bars: list[PartialBar] = field(default_factory=list)
    marks: list[SeriesMark] = field(default_factory=list)
    provider_bars: list[StoredProviderBar] = field(default_factory=list)
    rows: int = 0

    def add(self, mark: SeriesMark, items: Sequence[_Item], clock: int) -> None:
        """Take these of a series, whose clock then stands there."""
        self.bars += [item.partial for item in items if item.partial is not None]
        closed = tuple((item.start, item.end) for item in items if item.partial is None)
        self.marks.append(replace(mark, clock=clock, closed=closed))

    def result(self) -> FoldResult:
        """What is folded in at once."""
        return FoldResult(bars=tuple(self.bars), marks=tuple(self.marks), provider_bars=tuple(self.provider_bars))


def cut(
    result: FoldResult, states: Mapping[SeriesKey, SeriesState], spans: Mapping[int, Sequence[Span]]
) -> Iterator[FoldResult]:
    """Bars, marks and providers' bars of a batch in parts of about `ROWS` rows; mostly that is one, ``result`` itself.

    ``spans`` are those that the batch could meet (`analysis.spans_needed`), by series.
    """
    if _is_small(result, states, spans):
        yield result
        return
    items = {(mark.source, mark.symbol): [_Item(*span, None) for span in mark.closed] for mark in result.marks}
    for bar in result.bars:
        items[bar.source, bar.symbol].append(_Item(bar.start, bar.start + MINUTE, bar))
    for key, of_series in items.items():
        of_series.sort(key=lambda item: item.start)
        _weigh(of_series, states[key], spans.get(states[key].id, ()))
    if sum(item.rows for of_series in items.values() for item in of_series) <= ROWS:
        yield result
        return
    provided: dict[SeriesKey, list[StoredProviderBar]] = {}
    for stored in result.provider_bars:
        provided.setdefault((stored.bar.source, stored.bar.symbol), []).append(stored)
    part = _Part()
    for mark in result.marks:
        key = (mark.source, mark.symbol)
        left = items[key]
        while (fitting := _fitting(left, ROWS - part.rows)) < len(left):
            if fitting:
                # No further than these: what comes behind them is new then, and needs not be made anew.
                part.add(mark, left[:fitting], min(mark.clock, left[fitting - 1].end))
            yield part.result()
            part, left = _Part(), left[fitting:]
        part.add(mark, left, mark.clock)
        part.rows += sum(item.rows for item in left)
        # With the last of its series: where it shows is judged by minutes that are there.
        part.provider_bars += provided.get(key, [])
    yield part.result()


def _is_small(result: FoldResult, states: Mapping[SeriesKey, SeriesState], spans: Mapping[int, Sequence[Span]]) -> bool:
    """Whether a batch cannot make too many rows, as far as a glance tells: so it is with all but few."""
    far = sum(len(mark.closed) for mark in result.marks)
    for bar in result.bars:
        state = states[bar.source, bar.symbol]
        first, last = state.first_minute, state.last_minute
        if first is None or last is None or not first <= bar.start <= last + MINUTE or spans.get(state.id):
            far += 1
    return len(result.bars) + far * _WORST <= ROWS


def _fitting(items: Sequence[_Item], rows: int) -> int:
    """How many of these fit into so many rows."""
    for number, item in enumerate(items):
        rows -= item.rows
        # One fits into an empty part, whatever it brings: else there would be no end.
        if rows < 0 and not (number == 0 and rows + item.rows == ROWS):
            return number
    return len(items)


def _weigh(items: Sequence[_Item], state: SeriesState, spans: Sequence[Span]) -> None:
    """Add to each item the minutes of silence that it may turn into rows: before it, and behind the last of them."""
    before = -_NEVER
    for number, item in enumerate(items):
        low, high = _void(item.start, state, spans)
        following = items[number + 1].start if number + 1 < len(items) else _NEVER
        item.rows += _silent(item.start - max(low, before))
        item.rows += _silent(high - item.end) if following >= high else 0
        before = max(before, item.end)


def _void(start: int, state: SeriesState, spans: Sequence[Span]) -> tuple[int, int]:
    """The stretch around a minute in which nothing is stored; from there on to there when something is."""
    if state.first_minute is None or state.last_minute is None:
        return -_NEVER, _NEVER
    if start > state.last_minute:
        return state.last_minute + MINUTE, _NEVER
    if start < state.first_minute:
        return -_NEVER, state.first_minute
    holes = ((span.start, span.end) for span in spans if span.reason == "hole" and span.start <= start < span.end)
    return next(holes, (start, start))


def _silent(length: int) -> int:
    """How many rows a silence makes: longer than a day it is a span."""
    return length // MINUTE if 0 < length <= DAY else 0
