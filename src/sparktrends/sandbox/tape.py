"""The twin's market as it happens: every trade with its number, bars of them, and the past before the first.

One `Tape` is the only truth of the twin: sockets read its newest trades, REST its rows and bars, so the same instant
has the same values everywhere. It moves only when told the time.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from sparktrends.model import DAY, HOUR, MINUTE, SECOND
from sparktrends.sandbox.background import Background
from sparktrends.sandbox.candles import Candle, folded
from sparktrends.sandbox.instruments import UNIT, Instrument
from sparktrends.simulator import Block, Market, Resume

KEEP = 1_000_000
"""Trades kept per instrument; older ones can no longer be asked for."""

Row = tuple[int, int, int, int]
"""(id, time in µs on a whole millisecond, price, size), price and size in units of 10**-8."""


@dataclass(slots=True)
class Series:
    """The trades and bars of one instrument; ``first`` is the id of the oldest trade kept."""

    instrument: Instrument
    start: int
    first: int
    past: Background
    _ts: array[int] = field(default_factory=lambda: array("q"))
    _price: array[int] = field(default_factory=lambda: array("q"))
    _size: array[int] = field(default_factory=lambda: array("q"))
    _minutes: dict[int, Candle] = field(default_factory=dict)
    _days: dict[int, int] = field(default_factory=dict)
    _same: set[tuple[int, int]] = field(default_factory=set)

    @property
    def end(self) -> int:
        """The id that the next trade will have."""
        return self.first + len(self._ts)

    @property
    def price(self) -> int:
        """The price of the last trade, in units."""
        return self._price[-1] if self._price else self.past.price(self.start)

    @property
    def time(self) -> int:
        """The time of the last trade."""
        return self._ts[-1] if self._ts else self.start

    def add(self, ts: int, price: int, size: int) -> None:
        """One more trade, not older than the last. No two trades of one millisecond are equal.

        A provider without ids could not tell two equal ones from a repeat: the twin makes them only as a fault.
        """
        if self._ts and ts != self._ts[-1]:
            self._same.clear()
        while (price, size) in self._same:
            size += self.instrument.lot
        self._same.add((price, size))
        minute = ts - ts % MINUTE
        candle = self._minutes.get(minute)
        if candle is None:
            candle = self._minutes[minute] = Candle(minute, price, price, price, price)
        candle.add(self.end, price, size)
        day = ts - ts % DAY
        self._days[day] = self._days.get(day, 0) + size
        self._ts.append(ts)
        self._price.append(price)
        self._size.append(size)
        # An eighth at a time: each cut at the front moves all that stays.
        if len(self._ts) > KEEP + KEEP // 8:
            self._forget(KEEP // 8)

    def _forget(self, count: int) -> None:
        del self._ts[:count], self._price[:count], self._size[:count]
        self.first += count

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        """Trades with ids [start, stop), as far as they are kept."""
        low, high = max(0, start - self.first), max(0, min(stop, self.end) - self.first)
        columns = (self._ts[low:high], self._price[low:high], self._size[low:high])
        return zip(range(self.first + low, self.first + high), *columns, strict=True)

    def id_at(self, ts: int) -> int:
        """The id of the first trade at or after ``ts``."""
        return self.first + bisect_left(self._ts, ts)

    def day_volume(self, ts: int) -> int:
        """What was traded so far on the UTC day of ``ts``, in units, as far as the twin ran."""
        return self._days.get(ts - ts % DAY, 0)

    def candles(self, first: int, last: int, length: int, most: int = 100_000) -> list[Candle]:
        """The bars that begin in [first, last], oldest first, the newest ``most`` of them."""
        begin = -(-first // length) * length
        starts = range(begin, last + 1, length)
        return [self.candle(start, length) for start in starts[max(0, len(starts) - most) :]]

    def candle(self, start: int, length: int) -> Candle:
        """The bar [start, start + length): trades where the twin ran, the past before it, flat without trades."""
        if start + length <= self.start:
            return self._before(start, start + length)
        parts = [self.past.candle(start, self.start)] if start < self.start else []
        found = (self._minutes.get(minute) for minute in range(max(start, self.start), start + length, MINUTE))
        whole = folded(start, [*parts, *(candle for candle in found if candle)])
        if whole:
            return whole
        last = self._last_before(start)
        return Candle(start, last, last, last, last)

    def _before(self, start: int, end: int) -> Candle:
        if end - start > HOUR:
            return self.past.candle(start, end)
        minutes = [self.past.candle(at, at + MINUTE) for at in range(start, end, MINUTE)]
        return folded(start, minutes) or minutes[0]

    def _last_before(self, ts: int) -> int:
        index = bisect_left(self._ts, ts)
        return self._price[index - 1] if index else self.past.price(self.start)


class Tape:
    """All instruments; `advance` makes the trades up to a time. ``start`` is on a whole minute."""

    def __init__(self, instruments: Sequence[Instrument], start: int, seed: int = 7, rate: float = 50.0) -> None:
        """Trade ``rate`` times a second in all. Ids begin with the seconds of ``start`` times ten thousand.

        So a twin that was started again never gives an id twice.
        """
        self.start = start - start % MINUTE
        self.now = self.start
        first = self.start // SECOND * 10_000
        names = [f"SIM{i:03d}/USD" for i in range(1, len(instruments) + 1)]
        # The market may draw a grid of 0.01 for any symbol: shifted, that is as fine as the instrument's own tick.
        shift = np.array([max(0, len(str(UNIT // i.tick)) - 3) for i in instruments])
        resume = {
            name: Resume(first - 1, Decimal(str(i.price)).scaleb(int(digits)))
            for name, i, digits in zip(names, instruments, shift, strict=True)
        }
        self._market = Market(self.start, len(instruments), seed, rate, resume=resume)
        self.series = {i.name: Series(i, self.start, first, Background(i, self.start, seed)) for i in instruments}
        self._order = list(self.series.values())
        self._pending: Iterator[tuple[int, int, int, int]] = iter(())
        self._next: tuple[int, int, int, int] | None = None
        self._made_to = self.start
        # The market writes each symbol on grids of its own drawing; sizes are worth some hundred of the currency.
        drawn = self._market.size_digits - 2
        wanted = np.array([i.magnitude for i in instruments])
        self._ticks = np.array([i.tick for i in instruments])
        self._lots = np.array([i.lot for i in instruments])
        self._price_scale = UNIT / 10.0 ** (self._market.price_digits + shift) / self._ticks
        self._size_scale = UNIT / 10.0 ** (self._market.size_digits + wanted - drawn) / self._lots

    def advance(self, now: int) -> int:
        """Make every trade up to and including time ``now``; returns how many. Time never goes back."""
        made = 0
        while True:
            if self._next is None:
                self._next = next(self._pending, None)
            if self._next is None:
                if self._made_to > now:
                    break
                self._pending = self._rows(self._market.next_block())
                continue
            ts, index, price, size = self._next
            if ts > now:
                break
            self._order[index].add(ts, price, size)
            self._next = None
            made += 1
        self.now = max(self.now, now)
        return made

    def _rows(self, block: Block) -> Iterator[tuple[int, int, int, int]]:
        self._made_to = block.start + 10 * SECOND
        s = block.symbol
        price = np.maximum(1, np.rint(block.price * self._price_scale[s])).astype(np.int64) * self._ticks[s]
        size = np.maximum(1, np.rint(block.size * self._size_scale[s])).astype(np.int64) * self._lots[s]
        columns = (block.ts - block.ts % 1000, s, price, size)
        return zip(*(column.tolist() for column in columns), strict=True)
