"""What a batch changes among the minutes of one series: merged bars, gap rows, spans, states. Pure.

A minute is *known* when an accepted trade or a heartbeat touched it. Between two known minutes every minute is a row
(zero volume), unless the hole is longer than 24 hours: then it is a span. Minutes that only `closed` heartbeats
touched are spans too. All of it is a function of the set of known minutes, so the order of arrival does not matter.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sparktrends.bars import merge_bars, reason_of, state_of
from sparktrends.model import DAY, MINUTE, Bar, PartialBar, SeriesMark, SeriesState, Span


@dataclass(frozen=True, slots=True)
class MinutesChange:
    """What is different after a batch: rows to write, rows and spans to delete, spans to add, the new state.

    ``changed`` is in order of start. ``finished`` are the starts of rows that were forming (or absent) before.
    """

    state: SeriesState
    changed: tuple[Bar, ...]
    deleted: tuple[int, ...] = ()
    spans_added: tuple[Span, ...] = ()
    spans_deleted: tuple[Span, ...] = ()
    finished: tuple[int, ...] = ()


@dataclass(slots=True)
class _Minutes:
    """The working set of one series during one batch."""

    rows: dict[int, PartialBar]
    spans: list[Span]
    first: int | None
    last: int | None
    gap_rows: list[int] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)


def open_from(clock: int, settle: int) -> int:
    """The oldest minute that is not final at this clock: every minute before it is.

    >>> open_from(2 * MINUTE + 5, 5) // MINUTE, open_from(2 * MINUTE + 6, 5) // MINUTE
    (1, 2)
    """
    moment = clock - settle - 1
    return moment - moment % MINUTE


def advance(
    state: SeriesState,
    mark: SeriesMark,
    partials: Iterable[PartialBar],
    stored: Mapping[int, PartialBar],
    spans: Iterable[Span],
    settle: int,
) -> MinutesChange:
    """Fold one batch's partial bars and mark of one series into its stored minutes.

    ``stored`` must hold the rows that the partials touch and every row from ``open_from(state.clock)`` on;
    ``spans`` the spans that touch any minute of the batch (see `spans_needed`).
    """
    clock = max(state.clock, mark.clock)
    before, after = open_from(state.clock, settle), open_from(clock, settle)
    work = _Minutes(dict(stored), sorted(spans, key=_start), state.first_minute, state.last_minute)
    touched = {partial.start for partial in partials}
    for partial in sorted(partials, key=_start):
        _learn(work, partial)
    for span in mark.closed:
        _close(work, *span)
    # Final without a word of their own: the clock has passed them, and readers must hear of it.
    turned = [start for start in work.rows if before <= start < after]
    dirty = touched.union(work.gap_rows, turned).difference(work.deleted)
    changed = tuple(described(work.rows[start], clock, settle) for start in sorted(dirty))
    kept, old = set(work.spans), set(spans)
    return MinutesChange(
        SeriesState(state.id, state.version + 1, clock, work.first, work.last),
        changed,
        tuple(work.deleted),
        tuple(sorted(kept - old, key=_start)),
        tuple(sorted(old - kept, key=_start)),
        tuple(sorted(start for start in dirty if start < after and (start >= before or start not in stored))),
    )


def spans_needed(state: SeriesState, mark: SeriesMark, starts: Iterable[int]) -> tuple[int, int] | None:
    """The stretch of time whose spans `advance` must see, or None when there is nothing it could meet."""
    inside = [start for start in starts if state.last_minute is not None and start < state.last_minute]
    inside += [edge for span in mark.closed for edge in span]
    return (min(inside) - MINUTE, max(inside) + MINUTE) if inside else None


def described(fold: PartialBar, clock: int, settle: int) -> Bar:
    """A minute with its state and reason at a clock."""
    state = state_of(fold.start + MINUTE, clock, settle, fold.after_final)
    return Bar(fold, state, reason_of(fold.statuses, fold.trades))


def _learn(work: _Minutes, partial: PartialBar) -> None:
    """A known minute: merge it into its row; where there was none, close the holes beside it."""
    start = partial.start
    row = work.rows.get(start)
    if row is None:
        _connect(work, partial, start, start + MINUTE)
        row = work.rows.get(start)
    work.rows[start] = merge_bars(row, partial) if row is not None else partial


def _connect(work: _Minutes, like: PartialBar, start: int, end: int) -> None:
    """Known or closed minutes [start, end) appear: what lies between them and their neighbours becomes a hole."""
    if work.first is None or work.last is None:
        work.first, work.last = start, end - MINUTE
    elif start > work.last:
        _hole(work, like, work.last + MINUTE, start)
        work.last = end - MINUTE
    elif end <= work.first:
        _hole(work, like, end, work.first)
        work.first = start
    else:
        _split(work, like, start, end)
        work.first, work.last = min(work.first, start), max(work.last, end - MINUTE)


def _hole(work: _Minutes, like: PartialBar, start: int, end: int) -> None:
    """Nobody said a word in [start, end): rows up to 24 hours, a span beyond."""
    if end - start > DAY:
        insort(work.spans, Span(start, end, "hole"), key=_start)
        return
    for minute in range(start, end, MINUTE):
        if minute not in work.rows:
            work.rows[minute] = PartialBar(like.source, like.symbol, minute)
            work.gap_rows.append(minute)


def _split(work: _Minutes, like: PartialBar, start: int, end: int) -> None:
    """A minute inside a span `hole` cuts it in two; inside rows or a closed session nothing changes."""
    for span in [s for s in work.spans if s.reason == "hole" and s.start < end and start < s.end]:
        work.spans.remove(span)
        if span.start < start:
            _hole(work, like, span.start, start)
        if end < span.end:
            _hole(work, like, end, span.end)


def _close(work: _Minutes, start: int, end: int) -> None:
    """The exchange was closed in [start, end): no rows there but those that somebody filled."""
    like = next(iter(work.rows.values()), None) or PartialBar("", "", start)
    _connect(work, like, start, end)
    empty = [m for m in work.rows if start <= m < end and not work.rows[m].trades and not work.rows[m].statuses]
    for minute in empty:
        del work.rows[minute]
    work.deleted.extend(empty)
    _unite(work, Span(start, end, "closed"))


def _unite(work: _Minutes, new: Span) -> None:
    """Closed spans that touch or overlap are one."""
    touching = [s for s in work.spans if s.reason == "closed" and s.start <= new.end and new.start <= s.end]
    for span in touching:
        work.spans.remove(span)
        new = Span(min(new.start, span.start), max(new.end, span.end), "closed")
    work.spans.insert(bisect_right(work.spans, new.start, key=_start), new)


def _start(item: Span | PartialBar) -> int:
    return item.start
