"""What the records of one series come to, minute by minute, in Python integers."""

from __future__ import annotations

from collections.abc import Iterator

from sparktrends.audit.numbers import vwap
from sparktrends.audit.records import Event
from sparktrends.model import DAY, MINUTE

# A place in the log as one integer that sorts by (event time, partition, offset).
_PARTITION_AT, _TIME_AT = 64, 96
_STATUS_BITS = {"ok": 1, "stale": 2, "throttled": 4, "start": 16}
_STALE, _THROTTLED, _START = 2, 4, 16

Expected = tuple[int, "Minute | None"]
"""A minute that must be a row: its start and what its records come to; None where nobody said a word."""


class Minute:
    """Sums and edges of one minute. ``first`` and ``last`` are packed places; without them there are no prices."""

    # A year of one symbol is half a million of these.
    __slots__ = (
        "after_final",
        "close",
        "first",
        "high",
        "last",
        "low",
        "open",
        "statuses",
        "trades",
        "turnover",
        "volume",
    )

    def __init__(self) -> None:
        self.open = self.high = self.low = self.close = 0
        self.first = self.last = -1
        self.volume = self.turnover = self.trades = self.after_final = self.statuses = 0

    def take(self, event: Event, start: int, partition: int, offset: int, settle: int) -> None:
        """Add an accepted trade."""
        price, size = event.price, event.size
        self.trades += 1
        self.volume += size
        self.turnover += price * size
        if event.arrival > start + MINUTE + settle:
            self.after_final += 1
        if not event.pricing:
            return
        # One comparison of integers in place of one of tuples: this runs for every trade.
        place = event.ts << _TIME_AT | partition << _PARTITION_AT | offset
        if self.first < 0:
            self.first = self.last = place
            self.open = self.high = self.low = self.close = price
            return
        if place < self.first:
            self.first, self.open = place, price
        if place > self.last:
            self.last, self.close = place, price
        if price > self.high:
            self.high = price
        if price < self.low:
            self.low = price

    def prices(self) -> tuple[int | None, ...]:
        """Open, high, low, close in units of 10**-18; None where no trade moved them."""
        return (None,) * 4 if self.first < 0 else (self.open, self.high, self.low, self.close)

    def places(self) -> tuple[int | None, ...]:
        """(event time, partition, offset) of open, then of close."""
        return (None,) * 6 if self.first < 0 else (*_unpacked(self.first), *_unpacked(self.last))

    def add(self, other: Minute, *, silent: bool) -> None:
        """Add a final minute of a longer bar; a ``silent`` one is an accusation of its own."""
        self.trades += other.trades
        self.volume += other.volume
        self.turnover += other.turnover
        self.after_final += other.after_final
        self.statuses |= other.statuses | (_STALE if silent else 0)
        if other.first < 0:
            return
        if self.first < 0 or other.first < self.first:
            self.first, self.open = other.first, other.open
        # By `last`: `first` has just been set above.
        self.high = other.high if self.last < 0 else max(self.high, other.high)
        self.low = other.low if self.last < 0 else min(self.low, other.low)
        if other.last > self.last:
            self.last, self.close = other.last, other.close

    def values(self, start: int, clock: int, settle: int, length: int = MINUTE) -> tuple[object, ...]:
        """The stored columns from open to close_offset, in the order of `audit_queries.BAR_COLUMNS`."""
        sums = (self.volume, self.turnover, vwap(self.turnover, self.volume))
        counts = (self.trades, self.after_final, self.statuses)
        words = (_state(start + length, clock, settle, self.after_final), _reason(self.statuses, self.trades))
        return (*self.prices(), *sums, *counts, *words, *self.places())


def _unpacked(place: int) -> tuple[int, int, int]:
    partition = place >> _PARTITION_AT & (1 << _TIME_AT - _PARTITION_AT) - 1
    return place >> _TIME_AT, partition, place & (1 << _PARTITION_AT) - 1


def _state(end: int, clock: int, settle: int, after_final: int) -> str:
    if clock <= end + settle:
        return "forming"
    return "revised" if after_final else "final"


def is_final(start: int, clock: int, settle: int) -> bool:
    """Whether the clock is past the end of the minute by more than the settle time."""
    return clock > start + MINUTE + settle


def _reason(statuses: int, trades: int) -> str | None:
    if statuses & _START:
        return "partial_start"
    if statuses & _THROTTLED:
        return "throttled"
    if statuses & _STALE or not (trades or statuses):
        return "feed_stale"
    return None if trades else "no_trade"


class Series:
    """Everything the log says of one (source, symbol): clock, known minutes, closed spans."""

    __slots__ = ("_closed", "clock", "heard", "minutes", "source", "symbol")

    def __init__(self, source: str, symbol: str) -> None:
        self.source, self.symbol = source, symbol
        self.clock = 0
        self.heard = False
        self.minutes: dict[int, Minute] = {}
        self._closed: list[tuple[int, int]] = []

    def move_clock(self, arrival: int) -> None:
        """An accepted record, price update or heartbeat arrived."""
        self.heard = True
        if arrival > self.clock:
            self.clock = arrival

    def minute(self, start: int) -> Minute:
        """The minute at ``start``, known from now on."""
        found = self.minutes.get(start)
        if found is None:
            found = self.minutes[start] = Minute()
        return found

    def beat(self, event: Event) -> None:
        """A heartbeat: it moves the clock, and one in time says something of its minute."""
        self.move_clock(event.arrival)
        start = event.ts - event.ts % MINUTE
        if not event.touches:
            return
        if event.status == "closed":
            self._close(start)
        else:
            self.minute(start).statuses |= _STATUS_BITS[event.status]

    def _close(self, start: int) -> None:
        # Heartbeats mostly come in order: a weekend is then one pair, not three thousand.
        if self._closed and self._closed[-1][0] <= start <= self._closed[-1][1]:
            first, last = self._closed[-1]
            self._closed[-1] = (first, max(last, start + MINUTE))
        else:
            self._closed.append((start, start + MINUTE))

    def closed(self) -> list[tuple[int, int]]:
        """The union of the minutes that `closed` heartbeats touched, as half-open spans in order."""
        joined: list[tuple[int, int]] = []
        for first, last in sorted(self._closed):
            if joined and first <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
            else:
                joined.append((first, last))
        return joined

    def timeline(self, since: int | None = None) -> Iterator[tuple[int, int, Minute | None]]:
        """Known minutes and closed spans in order of start, as (start, end, minute); ``since`` stands for all before.

        ``since`` is the end of what is stored of a time that the log no longer holds.
        """
        known = [(start, start + MINUTE, minute) for start, minute in self.minutes.items()]
        shut = [(first, last, None) for first, last in self.closed()]
        before = [] if since is None else [(since - MINUTE, since, None)]
        # Two of one start: the span first, so that the row after it finds no hole.
        return iter(sorted([*before, *shut, *known], key=lambda item: (item[0], item[2] is not None)))

    def ends(self) -> tuple[int | None, int | None]:
        """The first and the last minute that a trade or a heartbeat in time touched."""
        line = list(self.timeline())
        if not line:
            return None, None
        return line[0][0], max(end for _, end, _ in line) - MINUTE


def holes(series: Series, since: int | None = None) -> Iterator[tuple[int, int]]:
    """The stretches of more than 24 hours between neighbours of the timeline, about which nobody said a word."""
    reached: int | None = since
    for start, end, _ in series.timeline(since):
        if reached is not None and start - reached > DAY:
            yield reached, start
        reached = end if reached is None else max(reached, end)


def rows(series: Series, since: int | None = None) -> Iterator[Expected]:
    """Every minute of the series that is a row, in order: known ones, and the empty ones of holes up to 24 hours."""
    reached: int | None = since
    for start, end, minute in series.timeline(since):
        if reached is not None and reached < start <= reached + DAY:
            yield from ((empty, None) for empty in range(reached, start, MINUTE))
        if minute is not None:
            yield start, minute
        reached = end if reached is None else max(reached, end)


def longer(series: Series, length: int, settle: int, since: int | None = None) -> Iterator[tuple[int, Minute]]:
    """Every bar of ``length`` microseconds, counted from 1970 UTC, that has a final minute: the sum of those."""
    start, whole = -1, Minute()
    for at, found in rows(series, since):
        # Longer bars are made of final minutes only (decision 0008).
        if not is_final(at, series.clock, settle):
            continue
        minute = found or Minute()
        if at - at % length != start:
            if start >= 0:
                yield start, whole
            start, whole = at - at % length, Minute()
        whole.add(minute, silent=_reason(minute.statuses, minute.trades) == "feed_stale")
    if start >= 0:
        yield start, whole
