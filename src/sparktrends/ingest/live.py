"""One live source: its links, its seam, its polls and its heartbeats, over one `Source` that knows the provider."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sparktrends.errors import BadRecord, BadSetting, NotFound, NotInPlan, SparkTrendsError
from sparktrends.ingest.bars_owed import BarsOwed
from sparktrends.ingest.dedupe import Known
from sparktrends.ingest.fill import Filler, Gaps
from sparktrends.ingest.heartbeats import EVERY_S, Feed, minute_end, status_of
from sparktrends.ingest.link import Heard, Link, Surroundings
from sparktrends.ingest.outlet import Outlet
from sparktrends.ingest.polling import Poller, pace, retry_s
from sparktrends.ingest.publish import Publisher
from sparktrends.ingest.rejects import quarantined
from sparktrends.ingest.rest import Rest
from sparktrends.ingest.seam import Seam
from sparktrends.ingest.trouble import Look, Trouble, named, troubles
from sparktrends.ingest.wanted import possible
from sparktrends.ingest.warm import History
from sparktrends.model import DAY, SECOND, Heartbeat, ProviderBar, Status, Trade
from sparktrends.net import Redactor
from sparktrends.net.quota import Store
from sparktrends.sessions import calendar
from sparktrends.sources.base import Notice, Reject, Source
from sparktrends.sources.recording import LastSeen
from sparktrends.sources.symbols import hours_of
from sparktrends.telemetry import Clock, gauge

_log = logging.getLogger(__name__)
_AGE = gauge("data_age_seconds", "since the last record of a symbol came", ["source", "symbol"])
_UP = gauge("feed_up", "1 while a connection or poll carries the symbol, or nobody expects it to", ["source", "symbol"])
_QUOTA = gauge("quota_ready", "1 when the quota would let the next call go now", ["source"])
_PATIENCE = 15 * SECOND
_SILENT_SYMBOL_S = 60.0
_KEYLESS_LINKS = 10
_MOST_REFUSED = 5
_MOST_POLLED = 10_000
_ARRIVAL_S = 20.0
"""As long a new symbol waits for its past before it is subscribed to; a slow provider's may come after its trades."""
_NOTHING, _DATA, _ALIVE, _LEAVES = Heard(), Heard(data=True), Heard(alive=True), Heard(shutdown=True)


@dataclass(eq=False)
class Live:
    """Drives one source. `start` begins all of its tasks in a group; `add` brings symbols while it runs.

    ``ends`` is what the log holds of its series: where an earlier run stopped; ``known`` which ids it holds, by symbol;
    ``spooled`` when the first record came that waits on disk.
    """

    source: Source
    rest: Rest
    outlet: Outlet
    publisher: Publisher
    around: Surroundings
    ends: Mapping[tuple[str, str], LastSeen] = field(default_factory=dict)
    known: Mapping[str, Known] = field(default_factory=dict)
    spooled: Mapping[tuple[str, str], int] = field(default_factory=dict)
    debts: Store | None = None
    bar_debts: Store | None = None
    feeds: dict[str, Feed] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    seam: Seam = field(default_factory=Seam)
    filler: Filler | None = None
    bars: BarsOwed | None = None
    _group: asyncio.TaskGroup | None = None

    def __post_init__(self) -> None:
        self._memory = self.source.memory([])
        self._nudged: dict[str, int] = {}
        self._refused: list[str] = []
        self._barless: dict[str, int] = {}
        self._redact = Redactor([self.around.key] if self.around.key else [])
        self.rest.refuse = self._reject
        self._history = History(self.rest, self.publisher.publish, self._exchange, self.clock)

    @property
    def clock(self) -> Clock:
        """The clock of everything here."""
        return self.around.clock

    @property
    def gaps(self) -> Gaps:
        """What became of the gaps so far."""
        return self.filler.gaps if self.filler else Gaps()

    # -- starting ----------------------------------------------------------------------------------------------

    def start(self, group: asyncio.TaskGroup, symbols: Sequence[str]) -> None:
        """Begin, with as many of them as there is room for; `troubles` names the others."""
        self._group = group
        publish, partial = self.publisher.publish, self._mark_partial
        self.filler = Filler(self.rest, self.seam, publish, self.clock, group, self.debts, partial)
        kept = self.outlet.kept
        self.bars = BarsOwed(self.rest, publish, self.clock, group, self._traded, kept, self.bar_debts)
        # What one provider has no room for must not keep the others from starting.
        self.take(symbols)
        self.bars.restore(list(self.feeds))
        if self.source.ids:
            self.filler.restore(list(self.feeds), self.known)
            group.create_task(self.filler.run())
        group.create_task(self._beat())
        if not self.source.tape:
            poller = Poller(self.rest, self._present, self.trading, publish, self.clock, self._polled, self._heard)
            group.create_task(poller.run())

    def add(self, symbols: Iterable[str]) -> None:
        """Take these in as well; BadSetting when the provider cannot have one, or not so many: then none is taken."""
        fresh = [s for s in dict.fromkeys(symbols) if s not in self.feeds]
        names = self.source.memory(fresh).names
        # Everything that can refuse comes before anything that changes: none is taken, or all.
        self._require_room(len(self.feeds) + len(fresh))
        self._memory.names.update(names)
        now = self.clock()
        for symbol in fresh:
            last = self.ends.get((self.source.name, symbol))
            arriving = last is None and bool(self.source.history)
            self.feeds[symbol] = Feed(down_since=now, last_data=last.received if last else 0, arriving=arriving)
            # After a day the gap is too long to be fetched trade by trade: that is the business of `batch backfill`.
            known = self.known.get(symbol)
            if last and known and known.ids and now - last.received < DAY:
                self.seam.begin(symbol, known.ids)
            elif last:
                # What came in that minute after the end of the last run is missing; and, where Kafka was away then,
                # in the minute in which the spool begins: what was with Kafka and not yet written.
                spooled = self.spooled.get((self.source.name, symbol), 0)
                for moment in (last.received, spooled) if spooled > last.received else (last.received,):
                    self.publisher.publish(Heartbeat(self.source.name, symbol, moment, Status.STALE, now))
        self._spread([symbol for symbol in fresh if not self.feeds[symbol].arriving])
        if new := [symbol for symbol in fresh if self.feeds[symbol].arriving]:
            assert self._group is not None
            self._group.create_task(self._welcome(new))

    def take(self, symbols: Iterable[str]) -> None:
        """As `add`, of as many as there is room for; `troubles` names the others, which keep nobody from anything."""
        fresh = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self.feeds]
        taken = possible(self.source, fresh)[: max(0, self._most_symbols - len(self.feeds))]
        if left := [symbol for symbol in fresh if symbol not in taken]:
            words = f"it cannot take {named(left)} ({self._most_symbols} symbols are the most)"
            self._told_refused(f"{words}; name fewer, or `sparktrends symbols remove` forgets them")
        self.add(taken)

    async def _welcome(self, symbols: Sequence[str]) -> None:
        """Their past first: what a provider made of it lies in the log before their first trade."""
        assert self._group is not None
        past_until = self.clock()
        past = self._group.create_task(self._history.fetch(symbols))
        # `wait` and not `wait_for`: a slow answer is still welcome, so it goes on after the time.
        await asyncio.wait([past], timeout=_ARRIVAL_S)
        for symbol in symbols:
            feed = self.feeds[symbol]
            feed.arriving, feed.past_until, feed.down_since = False, past_until, self.clock()
        self._spread(symbols)

    @property
    def _most_links(self) -> int:
        stream = self.source.stream
        return max(stream.connections, _KEYLESS_LINKS if stream.auth is None else 1) if stream else 0

    @property
    def _most_symbols(self) -> int:
        stream = self.source.stream
        return self._most_links * stream.max_symbols if stream else _MOST_POLLED

    def _require_room(self, symbols: int) -> None:
        if symbols > (most := self._most_symbols):
            raise BadSetting(f"{self.source.name} carries {most} symbols at most", hint=f"{symbols} were asked for")

    def _spread(self, fresh: Sequence[str]) -> None:
        """Give each new symbol to a link with room, opening links as far as the provider allows."""
        stream = self.source.stream
        left = list(fresh) if stream else []
        # Links with room first, then new ones. `most` is never passed: `_require_room` has counted.
        for link in [*self.links, *(None,) * self._most_links]:
            if not left or not stream:
                return
            link_ = link or self._open()
            room = stream.max_symbols - len(link_.symbols)
            link_.carry([*link_.symbols, *left[:room]])
            left = left[room:]

    def _open(self) -> Link:
        assert self._group is not None
        link = Link(self.source, self, self.around)
        self.links.append(link)
        self._group.create_task(link.run())
        return link

    # -- what links say ----------------------------------------------------------------------------------------

    def opened(self, symbols: Sequence[str]) -> None:
        """See `Listener`: what was missed meanwhile is fetched."""
        assert self.filler is not None
        assert self.bars is not None
        now, since = self.clock(), dict[str, int]()
        for symbol in symbols:
            feed = self.feeds[symbol]
            feed.up, self._nudged[symbol] = True, now
            # By id nothing is missed, so the minute need not be marked.
            if self.seam.next_id(symbol):
                self.filler.catch_up(symbol)
                continue
            # What was missed is asked for when the first trade has come, or has not come for long (`_nudge`).
            if self.seam.begun(symbol):
                continue
            self._mark_partial(symbol)
            if begun := feed.last_data or feed.past_until:
                since[symbol] = begun
        self.bars.owe(since)

    def closed(self, symbols: Sequence[str]) -> None:
        """See `Listener`."""
        now = self.clock()
        for symbol in symbols:
            feed = self.feeds[symbol]
            feed.up, feed.down_since = False, now
            self._say(symbol, feed, now)

    def unusable(self, error: SparkTrendsError) -> None:
        """See `Listener`."""
        reason = error.reason if isinstance(error, BadRecord) else type(error).__name__
        self._reject(reason, b"", str(error))

    def frame(self, payload: bytes, received: int) -> Heard:
        """See `Listener`: parse, judge what it is, publish."""
        try:
            events = self.source.parse(payload, received, self._memory)
        except BadRecord as error:
            self._reject(error.reason, payload, str(error))
            return _NOTHING
        # A provider's word about one symbol, or what a plan has: no reason to give up the connection of the others.
        except (NotFound, NotInPlan) as error:
            self._told_refused(str(error))
            return _ALIVE
        heard = _NOTHING
        for event in events:
            kind = type(event)
            # Exact types, which is quicker than `isinstance`: every trade passes here.
            if kind is Trade:
                self._trade(event, received, payload)  # type: ignore[arg-type]
                heard = _DATA
            elif kind is ProviderBar:
                # Forming bars say nothing that the trades do not say; the closed one is the check on them.
                if event.closed:  # type: ignore[union-attr]
                    self.publisher.publish(event)  # type: ignore[arg-type]
                heard = _DATA
            elif kind is Reject:
                self._reject(event.reason, event.payload, event.message)  # type: ignore[union-attr]
            elif kind is Notice:
                heard = self._notice(event, heard)  # type: ignore[arg-type]
        return heard

    def _trade(self, trade: Trade, received: int, payload: bytes) -> None:
        self.feeds[trade.symbol].last_data = received
        if not self.source.ids:
            self.publisher.publish(trade)
            return
        if self.seam.begun(trade.symbol):
            assert self.filler is not None
            self.filler.place(trade.symbol, int(trade.id))
        try:
            for ready in self.seam.take(trade, received):
                self.publisher.publish(ready)
        except BadRecord as error:
            self._reject(error.reason, payload, str(error))

    def _notice(self, notice: Notice, heard: Heard) -> Heard:
        if notice.kind == "shutdown":
            return _LEAVES
        if notice.kind == "refused":
            self._told_refused(f"it refuses {', '.join(notice.symbols) or 'a request'}: {notice.message}")
        return heard if heard.data else _ALIVE

    def _told_refused(self, words: str) -> None:
        _log.warning("%s: %s", self.source.name, words)
        # Bounded, and each once: a provider may say it again with every subscription.
        self._refused = [*(w for w in self._refused if w != words), words][-_MOST_REFUSED:]

    def _reject(self, reason: str, payload: str | bytes, message: str) -> None:
        # An answer may repeat the key it was asked with.
        self.outlet.send(*quarantined(self.source.name, reason, payload, self.clock(), message, self._redact))

    async def room(self) -> None:
        """See `Listener`: while the spool is full nothing more is read, and the provider's socket fills up."""
        while self.outlet.full:
            await asyncio.sleep(0.05)

    def trading(self, symbols: Iterable[str]) -> bool:
        """Whether the market of any of these is open now."""
        now = self.clock()
        return any(calendar(self._exchange(symbol)).at(now).trading for symbol in symbols)

    def _traded(self, symbol: str, since: int, until: int) -> bool:
        return calendar(self._exchange(symbol)).traded(since, until)

    def _exchange(self, symbol: str) -> str:
        return hours_of(self.source.name, symbol)

    def troubles(self) -> list[Trouble]:
        """What keeps this source from taking in what is wanted, in sentences."""
        now = self.clock()
        failing = next((link.trouble for link in self.links if link.trouble), "")
        look = Look(
            self.source.name,
            now,
            dict(self.feeds),
            lambda symbol: calendar(self._exchange(symbol)).at(now),
            failing if self.source.stream else self.rest.trouble,
            self.rest.held_s,
            [*self.rest.refusals(), *self._refused],
            int(self._silence_s * SECOND),
            dict(self._barless),
            self.rest.trouble,
            int(retry_s(self.source, len(self.feeds)) * SECOND),
            socket=self.source.stream is not None,
        )
        return troubles(look)

    @property
    def _silence_s(self) -> float:
        """As long a symbol may be silent before it is asked after."""
        stream = self.source.stream
        return max(_SILENT_SYMBOL_S, 2 * stream.idle) if stream else 2 * pace(self.source, max(1, len(self.feeds)))

    # -- what runs beside --------------------------------------------------------------------------------------

    def _present(self) -> list[str]:
        return [symbol for symbol, feed in self.feeds.items() if not feed.arriving]

    def _polled(self, symbols: Sequence[str], came: bool) -> None:
        """A source without a socket is up while its polls bring bars."""
        now = self.clock()
        for symbol in symbols:
            feed = self.feeds[symbol]
            # Where there is a socket, the socket says whether the feed is up and when it spoke; polls only help it.
            if self.source.stream:
                if came:
                    self._barless.pop(symbol, None)
                else:
                    self._barless.setdefault(symbol, now)
                continue
            if came:
                feed.last_data = now
            if came != feed.up:
                feed.up, feed.down_since = came, now

    def _heard(self, symbol: str) -> int:
        # With a socket `opened` asks for what was missed.
        return 0 if self.source.stream else self.feeds[symbol].last_data

    def _mark_partial(self, symbol: str) -> None:
        """Trades of this minute may be missing: said at once, for the next heartbeat may be in the next minute."""
        now, feed = self.clock(), self.feeds[symbol]
        feed.partial_until = minute_end(now)
        self._say(symbol, feed, now)

    async def _beat(self) -> None:
        while True:
            now = self.clock()
            for symbol, feed in list(self.feeds.items()):
                self._say(symbol, feed, now)
                self._nudge(symbol, feed, now)
            _QUOTA.labels(self.source.name).set(self.rest.planner.wait() == 0)
            await asyncio.sleep(EVERY_S)

    def _say(self, symbol: str, feed: Feed, now: int) -> None:
        patience = _PATIENCE if self.source.ids else 0
        # Looked up now: while a call waits for hours, nobody hears of it otherwise. A socket waits for no quota.
        feed.throttled = not self.source.stream and self.rest.held_s > EVERY_S
        status = status_of(feed, now, self.source.tape, lambda: self.trading([symbol]), patience)
        # The heartbeat's time is its arrival: it speaks of now.
        if status is not None:
            self.publisher.publish(Heartbeat(self.source.name, symbol, now, status, now))
        _AGE.labels(self.source.name, symbol).set((now - feed.last_data) / SECOND if feed.last_data else -1)
        _UP.labels(self.source.name, symbol).set(feed.up or feed.arriving or not self.trading([symbol]))

    def _nudge(self, symbol: str, feed: Feed, now: int) -> None:
        """A symbol that is silent while its connection is not: subscribe again, and ask by id what it should have."""
        silent_since = max(feed.last_data, self._nudged.get(symbol, 0))
        # Once in each such time: a symbol that is hardly traded is no reason to subscribe without end.
        early = now - silent_since <= self._silence_s * SECOND
        if early or not self.source.stream or not feed.up or not self.trading([symbol]):
            return
        self._nudged[symbol] = now
        for link in self.links:
            if symbol in link.symbols:
                link.renew(symbol)
        if self.source.ids and self.filler:
            # If it was silent because nobody traded, the answer is empty and costs one call.
            self.filler.catch_up(symbol)
