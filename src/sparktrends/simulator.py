"""A seeded market with planted events: pure, fast, and labelled as simulated (`SOURCE` ends in ``~sim``, law 9).

Log prices walk randomly with volatility that clusters (a log-AR(1) factor per symbol) and a common market factor;
trades come as a Poisson process with log-normal sizes; prices and sizes lie on decimal grids. What is planted (jump,
volume spike, pump, flash crash, market-wide move, silence) is known exactly in `Market.planted`: the ground truth that
detectors are measured against. The market is made in blocks of ten seconds, each from its own generator, so that the
same seed gives the same trades to the last digit, live or historical, however fast the blocks are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from math import log, log1p

import numpy as np
from numpy.typing import NDArray

from sparktrends.errors import BadSetting
from sparktrends.model import DAY, HOUR, MINUTE, SECOND, Trade

SOURCE = "simulator~sim"
STEPS = 10
BLOCK = STEPS * SECOND
EVERYWHERE = "*"

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_YEAR_S = 365.25 * 86_400
# One basis point between bid and ask.
_SPREAD = 1e-4
_VOL_MEMORY, _VOL_SHOCK = 0.98, 0.12


class Kind(StrEnum):
    """What can be planted."""

    JUMP = "jump"
    VOLUME_SPIKE = "volume_spike"
    PUMP = "pump"
    FLASH_CRASH = "flash_crash"
    MARKET_MOVE = "market_move"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class Planted:
    """One planted event in ``[start, end)`` (microseconds).

    ``size`` is the relative price change (jump, pump, flash crash, market move: +0.3 is 30 % up) or the factor on
    the trade rate (volume spike); it means nothing for a silence. ``symbol`` is ``*`` for the whole market.
    """

    kind: Kind
    symbol: str
    start: int
    end: int
    size: float = 0.0

    def level(self, t: float) -> float:
        """What the event has added to the log price by time ``t``."""
        done = min(1.0, max(0.0, (t - self.start) / (self.end - self.start)))
        if self.kind is Kind.JUMP:
            return log1p(self.size) if t > self.start else 0.0
        if self.kind in (Kind.PUMP, Kind.MARKET_MOVE):
            return log1p(self.size) * done
        if self.kind is Kind.FLASH_CRASH:
            # Down in the first third, then four fifths of the way back.
            return log1p(self.size) * (min(1.0, 3 * done) - 0.8 * max(0.0, 1.5 * done - 0.5))
        return 0.0

    def activity(self, t: float) -> float:
        """The factor on the trade rate at time ``t``."""
        if not self.start <= t < self.end:
            return 1.0
        if self.kind is Kind.SILENCE:
            return 0.0
        return self.size if self.kind is Kind.VOLUME_SPIKE else 3.0


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a symbol stood when it was last seen: the number of its last trade, and its price."""

    seq: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Block:
    """Trades of ten seconds as columns, ordered by time: one row each, ``symbol`` indexes `Market.symbols`.

    Price and size are whole numbers of the symbol's grid: ``price / 10**price_digits[symbol]``.
    """

    start: int
    ts: Ints
    symbol: Ints
    seq: Ints
    price: Ints
    size: Ints

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(slots=True)
class Market:
    """A market of ``count`` symbols that starts at ``start`` (µs) and trades ``rate`` times a second in total.

    ``events`` are planted as given; ``events_per_hour`` plants random ones on top (announced in `planted` when
    their hour begins). ``u_shaped`` makes the ends of the UTC day three times as busy as its middle. ``resume``
    continues symbols where an earlier run stopped: numbers go on, prices begin where they were.
    """

    start: int
    count: int = 20
    seed: int = 7
    rate: float = 50.0
    events: tuple[Planted, ...] = ()
    events_per_hour: float = 0.0
    u_shaped: bool = False
    resume: Mapping[str, Resume] = field(default_factory=dict)
    symbols: tuple[str, ...] = field(init=False)
    planted: list[Planted] = field(init=False)
    price_digits: Ints = field(init=False)
    size_digits: Ints = field(init=False)
    _blocks: int = field(init=False, default=0)
    _past: int = field(init=False, default=0)
    _log_price: Floats = field(init=False)
    _volatility: Floats = field(init=False)
    _mood: Floats = field(init=False)
    _beta: Floats = field(init=False)
    _rates: Floats = field(init=False)
    _log_size: Floats = field(init=False)
    _seq: Ints = field(init=False)

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 10_000 or not 0 < self.rate <= 10_000_000:
            raise BadSetting("a simulated market has 1 to 10,000 symbols and up to 10,000,000 trades a second")
        width = max(3, len(str(self.count)))
        self.symbols = tuple(f"SIM{i:0{width}d}/USD" for i in range(1, self.count + 1))
        self.planted = list(self.events)
        self._draw_symbols(np.random.default_rng([self.seed, 0]))
        for index, symbol in enumerate(self.symbols):
            if symbol in self.resume:
                self._seq[index] = self.resume[symbol].seq + 1
                self._log_price[index] = log(self.resume[symbol].price)
        self._past = int(self._seq.sum())

    def _draw_symbols(self, rng: np.random.Generator) -> None:
        n = self.count
        self._log_price = rng.uniform(log(0.5), log(5_000.0), n)
        magnitude = np.floor(self._log_price / log(10.0)).astype(np.int64)
        # About five significant digits at any level of price.
        self.price_digits = np.clip(4 - magnitude, 2, 8)
        self.size_digits = np.clip(magnitude + 2, 1, 6)
        self._volatility = rng.uniform(0.3, 1.2, n) / np.sqrt(_YEAR_S)
        self._mood = rng.normal(0.0, 0.5, n)
        self._beta = rng.uniform(0.5, 1.5, n)
        weights = rng.lognormal(0.0, 0.7, n)
        self._rates = self.rate * weights / weights.sum()
        # Sizes are alike in money: a cheap coin is traded in large numbers.
        self._log_size = rng.uniform(log(50.0), log(2_000.0), n) - self._log_price
        self._seq = np.zeros(n, np.int64)

    def next_block(self) -> Block:
        """The next ten seconds."""
        begin = self.start + self._blocks * BLOCK
        self._plant_hours(begin)
        # `past` counts what earlier runs told: a run that goes on draws new numbers, not those of its beginning.
        rng = np.random.default_rng([self.seed, 1, self._past, self._blocks])
        edges = begin + SECOND * np.arange(STEPS + 1)
        drift, activity = self._effects(edges)
        path = self._walk(rng, drift)
        counts = rng.poisson(self._rates * activity * self._time_of_day(begin))
        block = self._trades(rng, begin, counts, path)
        self._blocks += 1
        return block

    def history(self, until: int) -> Iterator[Block]:
        """Blocks up to time ``until``, as fast as they can be made."""
        while self.start + self._blocks * BLOCK < until:
            yield self.next_block()

    def trades(self, block: Block) -> Iterator[Trade]:
        """The trades of a block as values, ``received`` = ``ts``."""
        columns = (block.ts, block.symbol, block.seq, block.price, block.size)
        price_exp, size_exp = (-self.price_digits).tolist(), (-self.size_digits).tolist()
        for ts, index, seq, price, size in zip(*(c.tolist() for c in columns), strict=True):
            yield Trade(
                SOURCE,
                self.symbols[index],
                ts,
                Decimal(price).scaleb(price_exp[index]),
                Decimal(size).scaleb(size_exp[index]),
                f"{self.seed}-{seq}",
                ts,
            )

    def silent(self, symbol: str, t: int) -> bool:
        """Whether a planted silence covers this symbol at time ``t``."""
        return any(
            e.kind is Kind.SILENCE and e.symbol in (symbol, EVERYWHERE) and e.start <= t < e.end for e in self.planted
        )

    def _walk(self, rng: np.random.Generator, drift: Floats) -> Floats:
        """Log prices at the 11 edges of the block's seconds, one column per symbol."""
        self._mood = _VOL_MEMORY * self._mood + _VOL_SHOCK * rng.standard_normal(self.count)
        common = rng.standard_normal((STEPS, 1)) * self._beta * 0.5
        # 0.5² + 0.85² is about 1: with a beta of 1 the mood alone says how widely a symbol moves.
        shocks = self._volatility * np.exp(self._mood) * (common + 0.85 * rng.standard_normal((STEPS, self.count)))
        path = np.vstack([self._log_price, self._log_price + np.cumsum(shocks + drift, axis=0)])
        # Planted moves stay in it, so that the market goes on from where they led.
        self._log_price = path[-1]
        return path

    def _trades(self, rng: np.random.Generator, begin: int, counts: Ints, path: Floats) -> Block:
        cells = np.repeat(np.arange(counts.size), counts.ravel())
        step, symbol = np.divmod(cells, self.count)
        within = rng.integers(0, SECOND, len(cells))
        # By time, ties by symbol: the order must not depend on how the draws were laid out.
        order = np.lexsort((symbol, step * SECOND + within))
        step, symbol, within = step[order], symbol[order], within[order]
        part = within / SECOND
        # Along the line between two seconds, so that a price never jumps at their border.
        level = path[step, symbol] * (1 - part) + path[step + 1, symbol] * part
        level = level + _SPREAD / 2 * rng.choice([-1.0, 1.0], len(cells))
        size = np.exp(self._log_size[symbol] + 1.2 * rng.standard_normal(len(cells)))
        return Block(
            begin,
            begin + step * SECOND + within,
            symbol,
            self._number(symbol),
            np.maximum(1, np.rint(np.exp(level) * 10.0 ** self.price_digits[symbol])).astype(np.int64),
            np.maximum(1, np.rint(size * 10.0 ** self.size_digits[symbol])).astype(np.int64),
        )

    def _number(self, symbol: Ints) -> Ints:
        """Consecutive numbers per symbol, in row order."""
        counts = np.bincount(symbol, minlength=self.count)
        # Stable, so that a symbol's numbers rise with time.
        grouped = np.argsort(symbol, kind="stable")
        rank = np.empty(len(symbol), np.int64)
        rank[grouped] = np.arange(len(symbol)) - np.repeat(np.cumsum(counts) - counts, counts)
        numbers = self._seq[symbol] + rank
        self._seq = self._seq + counts
        return numbers

    def _effects(self, edges: Ints) -> tuple[Floats, Floats]:
        """Added log return and factor on the trade rate, per second and symbol."""
        drift, activity = np.zeros((STEPS, self.count)), np.ones((STEPS, self.count))
        for event in self.planted:
            if event.end <= edges[0] or event.start >= edges[-1]:
                continue
            column = slice(None) if event.symbol == EVERYWHERE else self.symbols.index(event.symbol)
            drift[:, column] += _column(np.diff([event.level(t) for t in edges]), column)
            activity[:, column] *= _column(np.array([event.activity(t) for t in edges[:-1]]), column)
        return drift, activity

    def _time_of_day(self, begin: int) -> float:
        if not self.u_shaped:
            return 1.0
        noon = 2.0 * (begin % DAY) / DAY - 1.0
        return 0.6 + 1.2 * noon * noon

    def _plant_hours(self, begin: int) -> None:
        since = begin - self.start
        if self.events_per_hour > 0 and since % HOUR == 0:
            hour = since // HOUR
            rng = np.random.default_rng([self.seed, 2, self._past, hour])
            self.planted += random_events(rng, self.symbols, begin, self.events_per_hour)


def _column(values: Floats, column: slice | int) -> Floats:
    # Against one column the values stand as they are; against all of them they need a second axis.
    return values if isinstance(column, int) else values[:, None]


def random_events(rng: np.random.Generator, symbols: Iterable[str], begin: int, per_hour: float) -> list[Planted]:
    """Random events of one hour from ``begin``, about ``per_hour`` of them, each over before the hour ends."""
    names, kinds = list(symbols), list(Kind)
    return [
        _random_event(rng, kinds[int(rng.integers(len(kinds)))], names[int(rng.integers(len(names)))], begin)
        for _ in range(int(rng.poisson(per_hour)))
    ]


def _random_event(rng: np.random.Generator, kind: Kind, symbol: str, begin: int) -> Planted:
    sign = float(rng.choice([-1.0, 1.0]))
    minutes, size = {
        Kind.JUMP: (1, sign * rng.uniform(0.01, 0.05)),
        Kind.VOLUME_SPIKE: (int(rng.integers(1, 6)), rng.uniform(5.0, 20.0)),
        Kind.PUMP: (int(rng.integers(2, 11)), rng.uniform(0.03, 1.0)),
        Kind.FLASH_CRASH: (int(rng.integers(2, 7)), -rng.uniform(0.05, 0.3)),
        Kind.MARKET_MOVE: (int(rng.integers(2, 11)), sign * rng.uniform(0.01, 0.04)),
        Kind.SILENCE: (int(rng.integers(2, 11)), 0.0),
    }[kind]
    # Over before the hour ends: `planted` of an hour is then complete when the hour begins.
    start = begin + int(rng.integers(0, HOUR - minutes * MINUTE))
    where = EVERYWHERE if kind is Kind.MARKET_MOVE else symbol
    return Planted(kind, where, start, start + minutes * MINUTE, float(size))
