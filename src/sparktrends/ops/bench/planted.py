"""Simulated days with planted events: what is found, how soon, and what is found where nothing was planted.

Forming bars are looked at every ten seconds while an event goes on, as the stream does with its batches; false alarms
are counted on final bars, one for each bar at which anything spoke. A contestant of `baselines` gets the log returns of
final bars, and the threshold at which it cries wolf as often as the detectors do: what differs is what it finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparktrends.indicators import BAR_COLUMNS
from sparktrends.model import DAY, HOUR, MINUTE, SECOND
from sparktrends.ops.bench.baselines import BASELINES
from sparktrends.ops.bench.detecting import Combined
from sparktrends.simulator import BLOCK, EVERYWHERE, Block, Kind, Market, Planted

Floats = NDArray[np.float64]
START = 1_732_147_200_000_000
SETTLE = 5 * SECOND
WARM = 5 * HOUR
"""Nothing is planted and nothing counted before: every detector has learned its fill."""
AFTERMATH = 15 * MINUTE
"""What is said so long after an event is said of it: volatility that was shaken calms down."""
SOON = MINUTE
PER_DAY = (Kind.PUMP, Kind.PUMP, Kind.JUMP, Kind.VOLUME_SPIKE, Kind.FLASH_CRASH)
"""Events of each symbol and day, one in each fifth of it."""


def plan(symbols: Sequence[str], days: int, seed: int) -> tuple[Planted, ...]:
    """Events that do not meet: pumps of +3 % to +100 % (log-uniform) within two to five minutes, and others."""
    random = np.random.default_rng([seed, 3])
    slot = (DAY - WARM) // len(PER_DAY)
    return tuple(
        _event(random, kind, symbol, START + day * DAY + WARM + number * slot, slot)
        for day in range(days)
        for symbol in symbols
        for number, kind in enumerate(random.permutation(np.array(PER_DAY, dtype=object)))
    )


def _event(random: np.random.Generator, kind: Kind, symbol: str, begin: int, slot: int) -> Planted:
    sign = float(random.choice([-1.0, 1.0]))
    minutes, size = {
        Kind.PUMP: (int(random.integers(2, 6)), float(np.exp(random.uniform(np.log(0.03), 0.0)))),
        Kind.JUMP: (1, sign * random.uniform(0.01, 0.05)),
        Kind.VOLUME_SPIKE: (int(random.integers(1, 6)), random.uniform(5.0, 20.0)),
        Kind.FLASH_CRASH: (int(random.integers(2, 7)), -random.uniform(0.05, 0.3)),
    }[kind]
    start = begin + int(random.integers(0, slot - HOUR)) // SECOND * SECOND
    return Planted(kind, symbol, start, start + minutes * MINUTE, float(size))


@dataclass(slots=True)
class Minute:
    """The bars of all symbols as they form: rows of bar columns, NaN before the first trade."""

    start: int
    rows: Floats

    @classmethod
    def begin(cls, start: int, count: int) -> Minute:
        """No trade yet."""
        rows = np.full((count, len(BAR_COLUMNS)), np.nan)
        rows[:, 4:] = 0.0
        rows[:, 6] = start // DAY
        return cls(start, rows)

    def add(self, market: Market, block: Block) -> None:
        """Take in the trades of ten seconds."""
        price = block.price / 10.0 ** market.price_digits[block.symbol]
        size = block.size / 10.0 ** market.size_digits[block.symbol]
        first, last = block.symbol[::-1], block.symbol
        opens, closes = np.full(len(self.rows), np.nan), np.full(len(self.rows), np.nan)
        # Of several trades of a symbol NumPy keeps the one it is given last: so the opening ones are given in reverse.
        opens[first], closes[last] = price[::-1], price
        self.rows[:, 0] = np.where(np.isnan(self.rows[:, 0]), opens, self.rows[:, 0])
        self.rows[:, 3] = np.where(np.isnan(closes), self.rows[:, 3], closes)
        np.fmax.at(self.rows[:, 1], block.symbol, price)
        np.fmin.at(self.rows[:, 2], block.symbol, price)
        np.add.at(self.rows[:, 4], block.symbol, size)
        np.add.at(self.rows[:, 5], block.symbol, size * price)


@dataclass(slots=True)
class Watch:
    """The detectors over a market as it goes on."""

    market: Market
    combined: Combined
    kernel_state: Floats = field(init=False)
    state: Floats = field(init=False)
    strengths: list[Floats] = field(default_factory=list)
    closes: list[Floats] = field(default_factory=list)
    heard: dict[tuple[int, int], int] = field(default_factory=dict)
    """By symbol and minute: the moment at which something was said of that bar first."""

    def __post_init__(self) -> None:
        self.kernel_state = self.combined.kernel.new(self.market.count)
        self.state = self.combined.detectors.new(self.market.count)

    def run(self, days: int) -> None:
        """Every minute of the days."""
        for start in range(START, START + days * DAY, MINUTE):
            minute = Minute.begin(start, self.market.count)
            watched = self._during_events(start)
            for at in range(start + BLOCK, start + MINUTE + BLOCK, BLOCK):
                minute.add(self.market, self.market.next_block())
                if watched:
                    self._note(minute, self._peek(minute), at)
            self._step(minute)

    def _during_events(self, start: int) -> bool:
        return any(event.start < start + MINUTE and start < event.end + MINUTE for event in self.market.planted)

    def _peek(self, minute: Minute) -> Floats:
        metrics = self.combined.kernel.peek(self.kernel_state, minute.rows)
        return self.combined.of(self.combined.detectors.peek(self.state, minute.rows, metrics))

    def _step(self, minute: Minute) -> None:
        metrics = self.combined.kernel.step(self.kernel_state, minute.rows)
        strength = self.combined.of(self.combined.detectors.step(self.state, minute.rows, metrics))
        self._note(minute, strength, minute.start + MINUTE + SETTLE)
        self.strengths.append(strength)
        self.closes.append(minute.rows[:, 3].copy())

    def _note(self, minute: Minute, strength: Floats, at: int) -> None:
        for symbol in np.flatnonzero(strength >= 1.0).tolist():
            self.heard.setdefault((symbol, minute.start), at)


def run(count: int, rate: float, days: int, seed: int) -> dict[str, Any]:
    """Recall, delay, precision and false alarms, and what the baselines find at as many false alarms."""
    names = Market(START, count, seed, rate).symbols
    events = plan(names, days, seed)
    watch = Watch(Market(START, count, seed, rate, events), Combined())
    watch.run(days)
    strengths, closes = np.array(watch.strengths).T, np.array(watch.closes).T
    usual = np.stack([_usual(events, name, strengths.shape[1]) for name in names])
    false = int((strengths >= 1.0)[usual].sum())
    in_events = int((strengths >= 1.0)[~usual & _counted(strengths.shape[1])].sum())
    symbol_days = count * days * (DAY - WARM) / DAY
    figures = {
        "symbols": count,
        "days": days,
        "false_per_symbol_day": round(false / symbol_days, 2),
        "precision": round(in_events / max(1, in_events + false), 3),
        **_found(events, names, watch.heard),
    }
    return figures | {
        f"{name}_pump_recall": _baseline(score, closes, usual, false, events, names)
        for name, score in BASELINES.items()
    }


def _found(events: Sequence[Planted], names: Sequence[str], heard: dict[tuple[int, int], int]) -> dict[str, Any]:
    """Per kind: the share found at the bars that they touched, and how soon."""
    delays = {event: min(_heard(event, names, heard), default=None) for event in events}
    figures: dict[str, Any] = {}
    for kind in dict.fromkeys(event.kind for event in events):
        of = [delay for event, delay in delays.items() if event.kind is kind]
        found = [delay for delay in of if delay is not None]
        figures[f"{kind}_events"], figures[f"{kind}_recall"] = len(of), round(len(found) / len(of), 3)
        figures[f"{kind}_within_1_min"] = round(sum(delay <= SOON for delay in found) / len(of), 3)
        figures[f"{kind}_delay_median_s"] = round(float(np.median(found)) / SECOND, 1) if found else None
    return figures


def _heard(event: Planted, names: Sequence[str], heard: dict[tuple[int, int], int]) -> Iterator[int]:
    """Delays of what was said of an event: of bars that it touched."""
    symbol = names.index(event.symbol)
    for minute in range(event.start - event.start % MINUTE, event.end, MINUTE):
        at = heard.get((symbol, minute))
        if at is not None and at > event.start:
            yield at - event.start


def _counted(minutes: int) -> NDArray[np.bool_]:
    return np.arange(minutes) * MINUTE % DAY >= WARM


def _usual(events: Sequence[Planted], name: str, minutes: int) -> NDArray[np.bool_]:
    """The minutes at which nothing was planted, nor shortly before."""
    usual = _counted(minutes)
    for event in events:
        if event.symbol in (name, EVERYWHERE):
            usual[(event.start - START) // MINUTE : (event.end + AFTERMATH - START) // MINUTE + 1] = False
    return usual


def _baseline(
    score: Any, closes: Floats, usual: NDArray[np.bool_], false: int, events: Sequence[Planted], names: Sequence[str]
) -> float:
    """The share of pumps that it speaks of at their bars, at a threshold with as many false alarms."""
    filled = np.array([_forward(row) for row in closes])
    returns = np.diff(np.log(filled), axis=1, prepend=np.log(filled[:, :1]))
    scores = np.stack([score(row) for row in returns])
    loudest = np.sort(scores[usual])[::-1]
    # As many false alarms or fewer: where scores are equal, the next higher threshold.
    threshold = np.nextafter(loudest[min(false, len(loudest) - 1)], np.inf)
    pumps = [event for event in events if event.kind is Kind.PUMP]
    found = sum(_speaks(event, scores[names.index(event.symbol)] >= threshold) for event in pumps)
    return round(found / len(pumps), 3)


def _speaks(event: Planted, spoken: NDArray[np.bool_]) -> bool:
    """Whether something is said of a bar that the event touched."""
    return bool(spoken[(event.start - START) // MINUTE : (event.end - 1 - START) // MINUTE + 1].any())


def _forward(closes: Floats) -> Floats:
    known = np.maximum.accumulate(np.where(np.isnan(closes), 0, np.arange(len(closes))))
    filled = closes[known]
    return np.where(np.isnan(filled), filled[~np.isnan(filled)][0], filled)
