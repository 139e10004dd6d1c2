"""Follows what was committed, and judges every minute that changed across all symbols of its market.

A market is what one source says of the symbols of one exchange. A bar that changed makes its minute anew, and the
minutes after it too: their returns and volatilities come from it. Minutes that moved make events, and each event is one
alert, from its first minute until the market is calm. After a day without it, the minutes that changed meanwhile are
found in the tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sparktrends.analysis.market import LEAST, LULL, QUIET, Member, Together, events_of, market_minute
from sparktrends.model import DAY, INTERVALS, MINUTE, Alert, alert_id
from sparktrends.sources.symbols import exchange_of
from sparktrends.store import followers, inhibition, market_rows
from sparktrends.store.connect import Cursor
from sparktrends.store.followers import Missed
from sparktrends.store.outbox import insert_again, retract_alerts, row_of, silence_reason
from sparktrends.store.session import Session
from sparktrends.telemetry import Clock

READER, RULE = "market", "market_move"
KEYS = 20_000
"""Changes that are dealt with in one transaction."""
MINUTES = "1m"
STRETCH = DAY
"""Minutes (µs) that are judged with one statement: a correction may be of months ago."""
LOOK_BACK = max(QUIET, INTERVALS["15m"])
"""Moves before what changed that still matter (µs): the event they belong to may go on, and so may a bar of a rule with
``unless_market`` that holds them."""
Market = tuple[str, str]
"""Source and exchange."""
Bar = tuple[int, str, int]
"""Series, interval and start (µs UTC)."""


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
            bars = _missed(cursor, page) if isinstance(page, Missed) else page.bars
            changed = [(series, start) for series, interval, start in bars if interval == MINUTES]
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
        together: dict[int, Together] = {}
        alone: list[dict[str, Any]] = []
        whole: list[int] = []
        minutes = 0
        for start, moved in market_rows.moves(cursor, members, since, until, LULL):
            minutes += 1
            judged = market_minute([Member(*one) for one in moved])
            if len(moved) >= LEAST:
                whole.append(start)
            if judged.together:
                together[start] = judged.together
            alone += ({"start": start, **asdict(one)} for one in judged.alone)
        stored = market_rows.events(cursor, market, since - LOOK_BACK, until)
        earlier = {start: event for start, event in stored.items() if start < since}
        before = {start: event for start, event in stored.items() if start >= since}
        after = events_of(together, max(earlier.items(), default=None))
        rows = [{"start": start, "event": after[start], **asdict(one)} for start, one in together.items()]
        now = self.clock()
        market_rows.replace(cursor, market, since, until, rows, alone, now)
        self._tell(cursor, market, together, before, after, now)
        # After the market's own alert is in the outbox: only on channels that hear of it others are kept back.
        told = {start: _id_of(market, event) for start, event in {**earlier, **after}.items()}
        inhibition.inhibit(cursor, members, told)
        market_rows.end_alerts(cursor, RULE, market, since, until, whole, QUIET)
        return minutes

    def _tell(
        self,
        cursor: Cursor,
        market: Market,
        together: Mapping[int, Together],
        before: Mapping[int, int],
        after: Mapping[int, int],
        now: int,
    ) -> None:
        """Tell the events (a minute that moved, to the first of its event) that began, and take back what is gone."""
        began, gone = _first(after) - _first(before), _first(before) - _first(after)
        alerts = [_alert(market, start, together[start], self.channels) for start in sorted(began)]
        insert_again(cursor, [row_of(a, None, silence_reason(a, now), " ".join(market)) for a in alerts], now)
        retract_alerts(cursor, [_id_of(market, start) for start in sorted(gone)], now)
        other = {start: _id_of(market, event) for start, event in before.items() if after.get(start) != event}
        inhibition.forgive(cursor, other, now)


def _missed(cursor: Cursor, missed: Missed) -> list[Bar]:
    """The first changed minute of each series: it is judged from there on."""
    changed = (followers.changed_bars(cursor, series, missed.since) for series in market_rows.all_series(cursor))
    return [min(minutes) for bars in changed if (minutes := [bar for bar in bars if bar[1] == MINUTES])]


def _first(events: Mapping[int, int]) -> set[int]:
    """The minutes with which these events began."""
    return {start for start, event in events.items() if start == event}


def _id_of(market: Market, event: int) -> str:
    return alert_id(RULE, *market, MINUTES, event)


def _alert(market: Market, start: int, move: Together, channels: Sequence[str]) -> Alert:
    source, exchange = market
    most, way = (move.up, "rose") if move.median > 0 else (move.down, "fell")
    title = f"The market of {source} ({exchange}) {way}: {most} of {move.members} symbols at once"
    return Alert(RULE, source, exchange, MINUTES, start, "critical", title, tuple(channels), (), asdict(move))
