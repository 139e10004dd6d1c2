"""Follows what was committed, and judges every minute that changed across all symbols of its market.

A market is what one source says of the symbols of one exchange. A bar that changed makes its minute anew, and the
minutes after it too: their returns and volatilities come from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass

from sparktrends.analysis.market import LEAST, MarketMinute, Member, market_minute
from sparktrends.model import DAY, MINUTE, Alert, alert_id
from sparktrends.sources.symbols import exchange_of
from sparktrends.store import followers, inhibition, market_rows
from sparktrends.store.connect import Cursor
from sparktrends.store.outbox import insert_again, retract_alerts, row_of, silence_reason
from sparktrends.store.session import Session
from sparktrends.telemetry import Clock

READER, RULE = "market", "market_move"
KEYS = 20_000
"""Changes that are dealt with in one transaction."""
MINUTES = "1m"
STRETCH = DAY
"""Minutes (µs) that are judged with one statement: a correction may be of months ago."""
Market = tuple[str, str]
"""Source and exchange."""


@dataclass
class MarketStep:
    """The second pure step (law 4), taken after the commits of the stream; ``channels`` hear of a market that moves,
    and there alerts of single symbols that the move explains are not sent (`store.inhibition`).

    Raises Retryable while the database is away.
    """

    session: Session
    clock: Clock
    channels: Sequence[str] = ("console",)

    def run(self) -> int:
        """Deal with all that was committed since the last time; returns how many minutes were judged."""
        judged, now = 0, self.clock()
        with self.session.transaction() as cursor:
            shards = market_rows.all_shards(cursor)
            waiting = inhibition.waiting(cursor, now)
        for shard in shards:
            while (done := self._page(shard)) is not None:
                judged += done
        if waiting:
            with self.session.transaction() as cursor:
                inhibition.release(cursor, waiting, now)
        return judged

    def _page(self, shard: str) -> int | None:
        """The next changes of a shard, in one transaction; None when there are none."""
        with self.session.transaction() as cursor:
            market_rows.take_turn(cursor)
            page = followers.next_page(cursor, READER, shard, KEYS)
            if page is None:
                return None
            changed = [(series, start) for series, interval, start in page.bars if interval == MINUTES]
            judged = self._judge(cursor, changed) if changed else 0
            followers.move_cursor(cursor, READER, page)
        return judged

    def _judge(self, cursor: Cursor, changed: Iterable[tuple[int, int]]) -> int:
        names = market_rows.all_series(cursor)
        members: dict[Market, list[int]] = {}
        markets = {series: (source, exchange_of(symbol)) for series, (source, symbol) in names.items()}
        for series, market in markets.items():
            members.setdefault(market, []).append(series)
        starts: dict[Market, set[int]] = {}
        for series, start in changed:
            starts.setdefault(markets[series], set()).add(start)
        large = {market: of for market, of in starts.items() if len(members[market]) >= LEAST}
        return sum(self._market(cursor, market, members[market], of) for market, of in large.items())

    def _market(self, cursor: Cursor, market: Market, members: Sequence[int], changed: Collection[int]) -> int:
        """Judge the minutes of a market from the first changed one on."""
        since, until = min(changed), max(*changed, market_rows.newest(cursor, members)) + MINUTE
        stretches = [(start, min(start + STRETCH, until)) for start in range(since, until, STRETCH)]
        return sum(self._stretch(cursor, market, members, *stretch) for stretch in stretches)

    def _stretch(self, cursor: Cursor, market: Market, members: Sequence[int], since: int, until: int) -> int:
        found: dict[int, MarketMinute] = {}
        calm: list[int] = []
        minutes = 0
        for start, moved in market_rows.moves(cursor, members, since, until):
            minutes += 1
            judged = market_minute([Member(*one) for one in moved])
            if len(moved) >= LEAST and not judged.together:
                calm.append(start)
            if judged.together or judged.alone:
                found[start] = judged
        together = [{"start": start, **asdict(one.together)} for start, one in found.items() if one.together]
        alone = [{"start": start, **asdict(one)} for start, minute in found.items() for one in minute.alone]
        now = self.clock()
        new, gone = market_rows.replace(cursor, market, since, until, together, alone, now)
        self._tell(cursor, market, [(start, found[start]) for start in new], gone, now)
        # After the market's own alert is in the outbox: only on channels that hear of it others are kept back.
        told = {start: _id_of(market, start) for start, one in found.items() if one.together}
        inhibition.inhibit(cursor, members, told)
        market_rows.end_alerts(cursor, RULE, " ".join(market), since, until, calm)
        return minutes

    def _tell(
        self, cursor: Cursor, market: Market, new: Iterable[tuple[int, MarketMinute]], gone: Iterable[int], now: int
    ) -> None:
        alerts = [_alert(market, start, minute, self.channels) for start, minute in new]
        subject = " ".join(market)
        insert_again(cursor, [row_of(a, None, silence_reason(a, now), subject) for a in alerts], now)
        undone = [_id_of(market, start) for start in gone]
        retract_alerts(cursor, undone, now)
        inhibition.forgive(cursor, undone, now)


def _id_of(market: Market, start: int) -> str:
    return alert_id(RULE, *market, MINUTES, start)


def _alert(market: Market, start: int, minute: MarketMinute, channels: Sequence[str]) -> Alert:
    source, exchange = market
    assert minute.together is not None, "only a market that moved is told"
    move = minute.together
    most, way = (move.up, "rose") if move.median > 0 else (move.down, "fell")
    title = f"The market of {source} ({exchange}) {way}: {most} of {move.members} symbols at once"
    return Alert(RULE, source, exchange, MINUTES, start, "critical", title, tuple(channels), (), asdict(move))
