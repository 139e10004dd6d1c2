"""The simulated market as a recording that has no end: its trades, and a heartbeat per symbol every five seconds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from itertools import count

from sparktrends.model import MINUTE, SECOND, Heartbeat, Status
from sparktrends.simulator import BLOCK, SOURCE, Block, Market, Resume
from sparktrends.sources.recording import Event, LastSeen, Series

BEAT = 5 * SECOND
_ID = re.compile(r"-?[0-9]{1,20}-[0-9]{1,18}")


class Simulated:
    """A market of ``symbols`` names that starts at ``start`` (µs) and trades ``rate`` times a second in total.

    An earlier run of the same seed goes on where the log says it stopped: numbers and prices continue.

    >>> market = Simulated(start=0, symbols=1, rate=1.0)
    >>> next(market.events({}))
    Heartbeat(source='simulator~sim', symbol='SIM001/USD', ts=0, status=<Status.OK: 'ok'>, received=0)
    """

    bars = False
    remarks = ()

    def __init__(
        self,
        *,
        start: int,
        symbols: int = 20,
        rate: float = 50.0,
        seed: int = 7,
        events_per_hour: float = 6.0,
        until: int | None = None,
    ) -> None:
        self.total: int | None = None
        self._settings = {"start": start, "count": symbols, "rate": rate, "seed": seed}
        self._events_per_hour = events_per_hour
        self._until = until
        self.market = self._market({})

    @property
    def series(self) -> tuple[Series, ...]:
        """One per simulated symbol."""
        return tuple((SOURCE, symbol) for symbol in self.market.symbols)

    def owns(self, id_: str, price: str) -> bool:
        """Trades of any seed: those of another one end a series in the log as well, though none goes on from them."""
        return _ID.fullmatch(id_) is not None and _is_price(price)

    def left(self, _seen: Mapping[Series, LastSeen]) -> None:
        """It has no end."""

    def events(self, seen: Mapping[Series, LastSeen]) -> Iterator[Event]:
        """Trades and heartbeats, going on after what was seen; endless unless ``until`` was given."""
        prefix = f"{self.market.seed}-"
        self.market = self._market(
            {
                symbol: Resume(int(last.id.removeprefix(prefix)), Decimal(last.price))
                for (_, symbol), last in seen.items()
                # Another seed is another market, whose prices must not go on here.
                if last.id.startswith(prefix) and self.owns(last.id, last.price)
            }
        )
        for begin in count(self.market.start, BLOCK):
            if self._until is not None and begin >= self._until:
                return
            yield from self._block(self.market.next_block())

    def _market(self, resume: Mapping[str, Resume]) -> Market:
        return Market(**self._settings, events_per_hour=self._events_per_hour, resume=resume)  # type: ignore[arg-type]

    def _block(self, block: Block) -> Iterator[Event]:
        beat = block.start
        for trade in self.market.trades(block):
            # In the order of time, for `received` never falls (law 3).
            while trade.ts >= beat:
                yield from self._beats(beat)
                beat += BEAT
            yield trade
        while beat < block.start + BLOCK:
            yield from self._beats(beat)
            beat += BEAT

    def _beats(self, ts: int) -> Iterator[Heartbeat]:
        # Beginning in the middle of a minute means that the minute's first part is missing.
        starting = ts == self.market.start and ts % MINUTE != 0
        for symbol in self.market.symbols:
            status = Status.START if starting else Status.STALE if self.market.silent(symbol, ts) else Status.OK
            yield Heartbeat(SOURCE, symbol, ts, status, ts)


def _is_price(text: str) -> bool:
    try:
        return 0 < Decimal(text) < 10**20
    except InvalidOperation:
        return False
