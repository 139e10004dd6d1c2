"""Plays recordings side by side, each at its own speed, from where the log says the last run stopped.

One thread, one producer: in each round every lane publishes what has become due, a slice at most, so a recording at
full speed does not starve a paced one and a stop is seen within milliseconds. Kafka's queue is the back-pressure.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparktrends.bus.kafka import Reader
from sparktrends.bus.topics import RAW_BARS, RAW_TRADES
from sparktrends.errors import Unavailable
from sparktrends.ingest.dedupe import Own, last_seen, settle
from sparktrends.ingest.places import Place, Places
from sparktrends.ingest.publish import Publisher
from sparktrends.model import MINUTE, SECOND, Heartbeat, Trade
from sparktrends.sources.recording import Event, LastSeen, Recording, Series
from sparktrends.telemetry import Clock

log = logging.getLogger(__name__)

_SLICE = 2_000
_TICK_S = 0.005
_REPORT = SECOND // 2
# What was published that long ago Kafka has acknowledged: only that is written down while a recording plays.
_SETTLED = 10 * SECOND


@dataclass(frozen=True, slots=True)
class Track:
    """A recording and how many times faster than life it plays; None is as fast as Kafka takes it."""

    recording: Recording
    speed: float | None = 1.0

    @property
    def topic(self) -> str:
        """Where its trades or bars go."""
        return RAW_BARS if self.recording.bars else RAW_TRADES

    @property
    def places(self) -> dict[Series, Place]:
        """What the places of its series are called in the log."""
        return {series: (self.topic, *series) for series in self.recording.series}


@dataclass(frozen=True, slots=True)
class LaneProgress:
    """How far one recording is: trades or bars published in this run, in the whole file, and the recorded time (µs)."""

    sources: tuple[str, ...]
    published: int
    total: int | None
    position: int | None
    done: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """What the terminal view shows: events per second since the last report; ``waiting`` says for what, if so."""

    lanes: tuple[LaneProgress, ...]
    rate: float
    waiting: str = ""

    @property
    def done(self) -> bool:
        """Whether all recordings have been published."""
        return all(lane.done for lane in self.lanes)


@dataclass(frozen=True, slots=True)
class Summary:
    """The end of a playback. ``positions`` is, per (topic, partition), the offset that a ledger has to reach."""

    published: int
    seconds: float
    positions: dict[tuple[str, int], int]
    done: bool


@dataclass(slots=True)
class _Lane:
    track: Track
    events: Iterator[Event]
    sources: tuple[str, ...]
    next: Event | None = None
    origin: int = 0
    began: int = 0
    published: int = 0
    position: int | None = None
    stands: dict[Series, LastSeen] = field(default_factory=dict)

    def begin(self, now: int) -> None:
        self.next = next(self.events, None)
        self.began = now
        # Recorded time begins with the first event that is left, so a run that goes on does not wait through the past.
        self.origin = (self.next.received or now) if self.next else now

    def horizon(self, now: int) -> float:
        """The recorded time up to which events are due."""
        speed = self.track.speed
        return float("inf") if speed is None else self.origin + (now - self.began) * speed

    def advance(self, now: int, publish: Callable[[Event], bool]) -> int:
        """Publish what is due, a slice at most; returns how many events. An event that is refused stays next."""
        horizon, moved, event = self.horizon(now), 0, self.next
        while event is not None and moved < _SLICE and (event.received or 0) <= horizon:
            # Raises before anything moves: the event stays the next one.
            publish(event)
            # Heartbeats count for the slice, not for the progress: a person asks for trades.
            moved += 1
            self.published += not isinstance(event, Heartbeat)
            self.position = event.received
            self._stands_at(event)
            self.next = event = next(self.events, None)
        return moved

    def _stands_at(self, event: Event) -> None:
        series, received = (event.source, event.symbol), event.received or 0
        if isinstance(event, Trade) and event.id:
            self.stands[series] = LastSeen(event.id, str(event.price), received)
        else:
            self.stands[series] = self.stands.get(series, _NOWHERE)._replace(received=received)

    def progress(self) -> LaneProgress:
        total = self.track.recording.total
        return LaneProgress(self.sources, self.published, total, self.position, self.next is None)


@dataclass(slots=True)
class Playback:
    """Plays ``tracks`` through ``publisher`` until they end or ``stop`` is set; ``report`` is told twice a second.

    ``places`` says where a series stood that the log does not hold any more, or not to its end; ``say`` is told once,
    before the first event, which recordings have nothing left, and which bars are passed over. What came more than
    ``future`` (µs) after it was appended the stream refuses: it was not published.
    """

    tracks: Sequence[Track]
    publisher: Publisher
    clock: Clock
    stop: threading.Event
    report: Callable[[Progress], None] = lambda _: None
    say: Callable[[Sequence[str]], None] = lambda _: None
    sleep: Callable[[float], object] | None = None
    places: Places = field(default_factory=Places)
    future: int = MINUTE
    _stood: dict[Place, LastSeen] = field(default_factory=dict)
    _written: int = 0
    _lanes: list[_Lane] = field(default_factory=list)
    _events: int = 0
    _reported: tuple[int, int] = (0, 0)

    def run(self, reader: Reader, deadline_s: float = 30.0) -> Summary:
        """Play to the end and wait until all of it is acknowledged (at most ``deadline_s``, else Unavailable)."""
        ends = self._look_up(reader)
        began = self.clock()
        self._lanes = [_lane(track, self._stood) for track in self.tracks]
        self.say([words for lane in self._lanes if (words := _passed_over(lane))])
        for lane in self._lanes:
            lane.begin(began)
        self._reported = (began, 0)
        self._play()
        self.publisher.flush(deadline_s)
        self._tell(self.clock(), "")
        self.places.write(self._stand())
        return self._summary(ends, began)

    def _look_up(self, reader: Reader) -> dict[tuple[str, int], int]:
        """Find where every series stood; returns the end of each (topic, partition)."""
        found, ends = dict[Place, LastSeen](), dict[tuple[str, int], int]()
        for topic in (RAW_TRADES, RAW_BARS):
            wanted = {series: t.recording for t in self.tracks if t.topic == topic for series in t.recording.series}
            if wanted:
                # What a killed run had sent, and the broker writes a moment later, would be published again.
                settle(reader, topic)
                tell, own = (lambda text: self.report(Progress((), 0.0, text))), self._own(wanted)
                seen = last_seen(reader, topic, wanted, tell, own=own)
                found.update({(topic, *series): last for series, last in seen.series.items()})
                ends.update(seen.ends)
        stood = self.places.read()
        # A power cut may take the end of the log, which was folded by then: what comes again would count twice.
        ahead = {place for place, last in found.items() if place in stood and stood[place].received > last.received}
        if ahead:
            log.warning("the log ends before where the last run stood: %d series go on from there", len(ahead))
        self._stood = {**stood, **{place: last for place, last in found.items() if place not in ahead}}
        return ends

    def _own(self, recordings: Mapping[Series, Recording]) -> Own:
        """Anyone may write under a recording's name: what it cannot have published does not say where it stood."""

        def own(series: Series, row: Mapping[str, Any], appended: int) -> bool:
            received, id_ = row.get("received"), row.get("id")
            if not isinstance(received, int) or received > appended + self.future:
                return False
            return not id_ or recordings[series].owns(str(id_), str(row.get("price", "")))

        return own

    def _stand(self) -> dict[Place, LastSeen]:
        lanes = [(lane.track.places, lane.stands) for lane in self._lanes]
        return {**self._stood, **{names[series]: last for names, stands in lanes for series, last in stands.items()}}

    def _note_places(self, now: int) -> None:
        if now - self._written >= _SETTLED:
            self.places.write(self._stood)
            self._stood, self._written = self._stand(), now

    def _play(self) -> None:
        # On the event, so that a stop is seen at once.
        sleep = self.sleep or self.stop.wait
        while not self.stop.is_set() and any(lane.next is not None for lane in self._lanes):
            now = self.clock()
            moved, waiting = self._round(now)
            self._events += moved
            if now - self._reported[0] >= _REPORT or waiting:
                self._tell(now, waiting)
            if not moved and not waiting:
                sleep(_TICK_S)

    def _round(self, now: int) -> tuple[int, str]:
        before, waiting = self.publisher.published.total(), ""
        try:
            for lane in self._lanes:
                lane.advance(now, self.publisher.publish)
            self.publisher.producer.poll()
        except Unavailable as error:
            # Nothing is lost: the event that was refused is still the lane's next one.
            waiting = str(error)
        return self.publisher.published.total() - before, waiting

    def _tell(self, now: int, waiting: str) -> None:
        since, events = self._reported
        rate = (self._events - events) * SECOND / max(1, now - since)
        self._reported = (now, self._events)
        self._note_places(now)
        self.publisher.report()
        self.report(Progress(tuple(lane.progress() for lane in self._lanes), rate, waiting))

    def _summary(self, ends: Mapping[tuple[str, int], int], began: int) -> Summary:
        published = sum(lane.published for lane in self._lanes)
        # Where this run wrote nothing, what earlier runs wrote is what must be reached.
        positions = {**ends, **self.publisher.producer.positions}
        done = all(lane.next is None for lane in self._lanes)
        return Summary(published, (self.clock() - began) / SECOND, positions, done)


_NOWHERE = LastSeen("", "", 0)


def _lane(track: Track, stood: Mapping[Place, LastSeen]) -> _Lane:
    recording = track.recording
    own = {series: stood[place] for series, place in track.places.items() if place in stood}
    sources = tuple(dict.fromkeys(source for source, _ in recording.series))
    # A copy: the events may look again at what was seen, while the lane moves on.
    return _Lane(track, recording.events(own), sources, stands=dict(own))


def _passed_over(lane: _Lane) -> str:
    """What a person should know of a recording that does not begin at its beginning; empty when there is nothing."""
    recording, name = lane.track.recording, ", ".join(lane.sources)
    left, total = recording.left(lane.stands), recording.total
    if left is None or total is None or left == total:
        return ""
    if not recording.bars:
        return "" if left else f"{name}: nothing is left to publish, all {total:,} trades were published before"
    words = f"{left:,} of {total:,} bars are left" if left else f"nothing of {total:,} bars is left"
    # Trades of another version are refused; bars have no ids that would tell it.
    why = "what ends no later than the last that was published counts as published"
    return f"{name}: {words} to publish: {why}; another version of the file needs another name, --source NAME=FILE"
