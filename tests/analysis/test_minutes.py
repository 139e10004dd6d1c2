"""Minutes, gap rows and spans: any cut of a log gives what the audit's own way makes of it in one go."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.analysis import advance, open_from, spans_needed
from sparktrends.audit.records import Laws, read_event
from sparktrends.audit.series import Minute, Series, holes, is_final, rows
from sparktrends.bars import Limits, fold_records
from sparktrends.model import DAY, HOUR, MINUTE, SECOND, Bar, Coordinates, SeriesState, Span

T = 1_704_067_200 * SECOND
LIMITS = Limits()
SETTLE = LIMITS.settle
Record = tuple[bytes, Coordinates]


def random_log(rng: random.Random) -> list[Record]:
    """Up to 16 records of one series: trades, fills, updates, heartbeats; jumps ahead, steps back, days of silence."""
    log: list[Record] = []
    now = T
    for offset in range(rng.randint(1, 16)):
        now += rng.choice((0, 0, 1, 5, 30, 61, 200, 3600, 24 * 3600 + 59, 24 * 3600 + 60, 90_000)) * SECOND
        behind = rng.choice((0, 0, 0, 1, 30, 61, 100, 300, 899, 1000, 4000, 100_000)) * SECOND
        kind = rng.choice(("trade", "trade", "heartbeat", "heartbeat", "heartbeat", "price"))
        fields = {
            "source": "s",
            "symbol": "A",
            "ts": now - behind,
            "received": now,
            "kind": kind,
            "price": 1,
            "size": 1,
        }
        if kind == "heartbeat":
            fields["status"] = rng.choice(("ok", "stale", "closed", "closed", "throttled", "start"))
        fields["fill"] = rng.random() < 0.15
        log.append((json.dumps(fields).encode(), Coordinates("raw.trades", 0, offset, now)))
    return log


@dataclass
class Store:
    """What a database would hold of the series: `advance` is shown only what it says that it must see."""

    state: SeriesState = field(default_factory=lambda: SeriesState(1, 0, 0))
    bars: dict[int, Bar] = field(default_factory=dict)
    spans: set[Span] = field(default_factory=set)

    def take(self, records: list[Record]) -> None:
        """One batch."""
        folded = fold_records(records, LIMITS)
        if not folded.marks:
            return
        mark = folded.marks[0]
        touched = {bar.start for bar in folded.bars}.union(*(range(a, b, MINUTE) for a, b in mark.closed))
        since = open_from(self.state.clock, SETTLE)
        stored = {start: bar.fold for start, bar in self.bars.items() if start in touched or start >= since}
        stretch = spans_needed(self.state, mark, (bar.start for bar in folded.bars))
        near = [s for s in self.spans if stretch and s.start <= stretch[1] and s.end >= stretch[0]]
        change = advance(self.state, mark, folded.bars, stored, near, SETTLE)
        for start in change.deleted:
            self.bars.pop(start, None)
        self.bars.update({bar.fold.start: bar for bar in change.changed})
        self.spans = self.spans.difference(change.spans_deleted).union(change.spans_added)
        self.state = change.state


def stored_of(log: list[Record], rng: random.Random) -> Store:
    """The log in random batches."""
    store, first = Store(), 0
    while first < len(log):
        end = first + rng.randint(1, 5)
        store.take(log[first:end])
        first = end
    return store


def audited(log: list[Record]) -> Series:
    """The log by the audit's way."""
    series, laws = Series("s", "A"), Laws()
    for value, at in log:
        event = read_event(value, at.appended, laws)
        if event.place == "trades":
            series.move_clock(event.arrival)
            start = event.ts - event.ts % MINUTE
            series.minute(start).take(event, start, 0, at.offset, laws.settle)
        elif event.place == "heartbeats":
            series.beat(event)
        elif event.place == "prices":
            series.move_clock(event.arrival)
    return series


def described(bar: Bar) -> tuple[object, ...]:
    f = bar.fold
    return (f.open, f.close, f.volume, f.trades, f.after_final, f.statuses, str(bar.state), bar.reason)


def expected_of(series: Series) -> dict[int, tuple[object, ...]]:
    found = {}
    for start, minute in rows(series):
        o, _, _, c, volume, _, _, trades, late, statuses, state, reason, *_ = (minute or Minute()).values(
            start, series.clock, SETTLE
        )
        found[start] = (o, c, volume, trades, late, statuses, state, reason)
    return found


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**40))
def test_any_cut_is_what_the_audit_makes_of_it(seed: int) -> None:
    rng = random.Random(seed)
    log = random_log(rng)
    store, series = stored_of(log, rng), audited(log)
    assert store.state.clock == series.clock
    assert (store.state.first_minute, store.state.last_minute) == series.ends()
    spans = {(a, b, "closed") for a, b in series.closed()} | {(a, b, "hole") for a, b in holes(series)}
    assert {(s.start, s.end, s.reason) for s in store.spans} == spans
    expected = expected_of(series)
    # An empty minute that still forms shows nowhere, and may be absent.
    needed = {start for start, row in expected.items() if row[3] or row[5] or is_final(start, series.clock, SETTLE)}
    assert needed <= store.bars.keys() <= expected.keys()
    assert {start: described(bar) for start, bar in store.bars.items()} == {s: expected[s] for s in store.bars}


def trade(ts: int, offset: int, **more: object) -> Record:
    fields = {"source": "s", "symbol": "A", "ts": ts, "received": ts, "price": 1, "size": 1, **more}
    return json.dumps(fields).encode(), Coordinates("raw.trades", 0, offset, int(str(fields["received"])))


def test_a_record_makes_the_minutes_between_final_and_says_so() -> None:
    store = Store()
    store.take([trade(T, 0)])
    folded = fold_records([trade(T + 3 * MINUTE, 1)], LIMITS)
    change = advance(store.state, folded.marks[0], folded.bars, {T: store.bars[T].fold}, [], SETTLE)
    assert [bar.fold.start for bar in change.changed] == [T + n * MINUTE for n in range(4)]
    assert change.finished == (T, T + MINUTE)
    assert change.state.version == 2


@pytest.mark.parametrize(("ahead", "kinds"), [(DAY + MINUTE, "rows"), (DAY + 2 * MINUTE, "span")])
def test_a_hole_of_more_than_a_day_is_a_span(ahead: int, kinds: str) -> None:
    store = Store()
    store.take([trade(T, 0), trade(T + ahead, 1)])
    assert (len(store.bars), len(store.spans)) == ((DAY // MINUTE + 2, 0) if kinds == "rows" else (2, 1))


def test_a_fill_inside_a_long_hole_cuts_it() -> None:
    store = Store()
    store.take([trade(T, 0), trade(T + 5 * DAY, 1)])
    store.take([trade(T + DAY + HOUR, 2, received=T + 5 * DAY, fill=True)])
    assert sorted((s.start - T, s.end - T) for s in store.spans) == [
        (MINUTE, DAY + HOUR),
        (DAY + HOUR + MINUTE, 5 * DAY),
    ]


def test_a_fill_before_the_first_minute_joins_on() -> None:
    store = Store()
    store.take([trade(T, 0)])
    store.take([trade(T - 3 * MINUTE, 1, received=T, fill=True)])
    assert sorted(start - T for start in store.bars) == [-3 * MINUTE, -2 * MINUTE, -MINUTE, 0]
