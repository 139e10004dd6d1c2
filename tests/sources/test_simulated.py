"""The simulated market as a recording."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sparktrends.model import MINUTE, SECOND, Heartbeat, Status, Trade
from sparktrends.simulator import Kind, Planted
from sparktrends.sources.recording import LastSeen
from sparktrends.sources.simulated import Simulated


def test_received_never_falls() -> None:
    events = list(Simulated(start=3 * SECOND, symbols=4, rate=200, until=MINUTE).events({}))
    assert all((a.received or 0) <= (b.received or 0) for a, b in pairwise(events))


def test_every_symbol_has_a_heartbeat_every_five_seconds() -> None:
    events = Simulated(start=0, symbols=3, rate=5, until=MINUTE).events({})
    beats = [(e.symbol, e.ts) for e in events if isinstance(e, Heartbeat)]
    assert sorted(beats) == sorted((f"SIM00{i}/USD", t) for i in (1, 2, 3) for t in range(0, MINUTE, 5 * SECOND))


@pytest.mark.parametrize(("start", "status"), [(0, Status.OK), (MINUTE, Status.OK), (MINUTE + 1, Status.START)])
def test_a_market_that_begins_within_a_minute_says_so(start: int, status: Status) -> None:
    events = Simulated(start=start, symbols=2, until=start + MINUTE).events({})
    beats = [e for e in events if isinstance(e, Heartbeat)]
    assert {b.status for b in beats if b.ts == start} == {status}
    assert {b.status for b in beats if b.ts > start} == {Status.OK}


def test_a_silent_symbol_is_stale() -> None:
    simulated = Simulated(start=0, symbols=2, until=MINUTE, events_per_hour=0)
    silence = Planted(Kind.SILENCE, "SIM001/USD", 10 * SECOND, 20 * SECOND)
    events = simulated.events({})
    next(events)
    simulated.market.planted.append(silence)
    stale = {(e.symbol, e.ts) for e in events if isinstance(e, Heartbeat) and e.status is Status.STALE}
    assert stale == {("SIM001/USD", 10 * SECOND), ("SIM001/USD", 15 * SECOND)}


def test_it_goes_on_where_the_log_ends() -> None:
    first = [e for e in Simulated(start=0, symbols=3, rate=30, until=MINUTE).events({}) if isinstance(e, Trade)]
    seen = {(t.source, t.symbol): LastSeen(t.id, str(t.price), t.ts) for t in first}
    again = Simulated(start=2 * MINUTE, symbols=3, rate=30, until=3 * MINUTE)
    second = [e for e in again.events(seen) if isinstance(e, Trade)]
    ids = [(t.symbol, t.id) for t in first + second]
    assert len(set(ids)) == len(ids)
    assert {s for _, s in seen} == {t.symbol for t in second}


@pytest.mark.parametrize(
    ("id_", "price"),
    [("7-x", "1"), ("7-²", "1"), ("7-", "1"), ("7-5", ""), ("7-5", "-1"), ("7-5", "NaN"), ("7-5", "1e99")],
)
def test_what_others_write_under_its_name_does_not_matter(id_: str, price: str) -> None:
    market = Simulated(start=0, symbols=1, rate=30, until=MINUTE)
    assert (market.owns(id_, price), market.owns("99-5", "1"), market.owns("7-5", "1.5")) == (False, True, True)
    events = market.events({("simulator~sim", "SIM001/USD"): LastSeen(id_, price, 0)})
    assert next(e for e in events if isinstance(e, Trade)).id == "7-0"


def test_what_another_seed_published_does_not_matter() -> None:
    seen = {("simulator~sim", "SIM001/USD"): LastSeen("99-5", "1.0", 0)}
    events = Simulated(start=0, symbols=1, rate=30, until=MINUTE).events(seen)
    assert next(e for e in events if isinstance(e, Trade)).id == "7-0"
