"""The fetch job: what a day still needs, asked, published and written down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sparktrends.batch.fetch import Fetcher, Outcome, Provider
from sparktrends.batch.plan import BACKFILL_DAYS, MEMORY_DAYS, NOW_ONLY, Call, Cost, Stored, Stretch, calls_of, weights
from sparktrends.bus.codec import encode
from sparktrends.bus.producer import Producer
from sparktrends.errors import BadRecord
from sparktrends.sources.base import Ask
from sparktrends.store import daily_calls
from sparktrends.store.connect import Cursor
from sparktrends.store.daily_calls import CallRow
from sparktrends.store.session import Session

_StoredOf = Mapping[str, Mapping[str, Stored]]
"""By source and symbol, what is stored of its daily bars."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to ask: each provider with the questions of its day; ``symbols`` None means those configured, ``again``
    that the calls of the day that were refused are made again."""

    providers: Sequence[tuple[Provider, Sequence[Ask]]]
    day: date
    today: date
    symbols: Sequence[str] | None = None
    again: bool = False

    def calls(self) -> dict[str, list[Call]]:
        """The calls of the day by source."""
        return {
            provider.source.name: calls_of(provider.source, asks, self.day, self.today, self.symbols)
            for provider, asks in self.providers
        }

    def nobodys(self) -> list[str]:
        """The named symbols that no call is about: no source can have them, or tells nothing of that day."""
        asked = {symbol for calls in self.calls().values() for call in calls for symbol in call.symbols}
        return [symbol for symbol in self.symbols or () if symbol not in asked]

    def wants(self, row: CallRow) -> bool:
        """Whether a stored call is among what was asked for."""
        return self.symbols is None or set(row.symbols) <= set(self.symbols)

    def too_late(self, row: CallRow) -> bool:
        """Whether the answer would be about another day."""
        return row.what in NOW_ONLY and (self.today - row.day).days > 1


def costs(job: Job, session: Session) -> list[Cost]:
    """What `fetch` would ask now comes to, from where each quota stands; makes no call and writes nothing.

    Of an answer in pages the first is counted: how many there are is known by asking.
    """
    stored = stored_days(job, session)
    with session.trial() as cursor:
        work = _open(job, cursor, stored)
    return _costs(work, stored)


def costs_of_all(job: Job, session: Session) -> list[Cost]:
    """As `costs`, of every call of the day, whatever was asked before."""
    work = list(zip((p for p, _ in job.providers), job.calls().values(), strict=True))
    return _costs(work, stored_days(job, session))


def _costs(work: Sequence[tuple[Provider, Sequence[Call]]], stored: _StoredOf) -> list[Cost]:
    found = []
    for provider, calls in work:
        name = provider.source.name
        units = weights(calls, provider.source, stored[name])
        symbols = sorted({symbol for call in calls for symbol in call.symbols})
        found.append(Cost(name, tuple(symbols), len(units), sum(units), provider.planner.estimate(units)))
    return found


def stored_days(job: Job, session: Session) -> dict[str, dict[str, Stored]]:
    """By source and symbol, what is stored of the daily bars that the day is held against."""
    found: dict[str, dict[str, Stored]] = {}
    with session.transaction() as cursor:
        for name, calls in job.calls().items():
            symbols = sorted({symbol for call in calls for symbol in call.symbols})
            # Of a day long ago only what lies before it counts: newer days say nothing of its past.
            since = job.day - timedelta(days=BACKFILL_DAYS)
            known = daily_calls.daily_bars(cursor, name, symbols, since, job.day)
            found[name] = {symbol: Stored(*row) for symbol, row in known.items()}
    return found


def fetch(job: Job, session: Session, producer: Producer, fetcher: Fetcher) -> Iterator[Outcome]:
    """Make the calls that the day and those before it still wait for; each outcome is written down when it comes."""
    stored = stored_days(job, session)
    with session.transaction() as cursor:
        work = _open(job, cursor, stored)
    return _made(work, stored, session, producer, fetcher, job.today)


def fetch_stretches(
    provider: Provider,
    calls: Sequence[Stretch],
    session: Session,
    producer: Producer,
    fetcher: Fetcher,
    today: date,
    *,
    again: bool = False,
) -> Iterator[Outcome]:
    """Make those calls of a backfill that were not made before, or only while their last day lasted (``again``: or were
    refused); each outcome is written down when it comes."""
    rows = [_row(call) for call in calls]
    with session.transaction() as cursor:
        daily_calls.plan(cursor, rows)
        left = daily_calls.still_open(cursor, rows, again=again)
    return _made([(provider, [call for call in calls if call.id in left])], {}, session, producer, fetcher, today)


def _made(
    work: Sequence[tuple[Provider, Sequence[Call]]],
    stored: _StoredOf,
    session: Session,
    producer: Producer,
    fetcher: Fetcher,
    today: date,
) -> Iterator[Outcome]:
    for outcome in fetcher.run(work, stored):
        outcome = _published(outcome, producer)
        row = _row(outcome.call)
        early = outcome.state == "done" and (row.until or row.day) >= today
        since = outcome.call.since(stored.get(row.source, {}))
        with session.transaction() as cursor:
            daily_calls.mark(cursor, row, outcome.state, daily_calls.EARLY if early else outcome.reason)
            daily_calls.mark_older(cursor, row, since, outcome.state, outcome.reason)
        yield outcome


def _open(job: Job, cursor: Cursor, stored: _StoredOf) -> list[tuple[Provider, list[Call]]]:
    """Write down the calls of the day, and tell those that wait, of it and of the days before."""
    work = []
    for provider, calls in zip((p for p, _ in job.providers), job.calls().values(), strict=True):
        daily_calls.plan(cursor, [_row(call) for call in calls])
        since = job.day - timedelta(days=MEMORY_DAYS)
        over = min(job.day, job.today - timedelta(days=1))
        daily_calls.reopen_early(cursor, provider.source.name, since, over, NOW_ONLY)
        if job.again:
            daily_calls.reopen_refused(cursor, provider.source.name, job.day, job.symbols)
        rows = [r for r in daily_calls.open_calls(cursor, provider.source.name, since, job.day) if job.wants(r)]
        for row in filter(job.too_late, rows):
            daily_calls.mark(cursor, row, "refused", daily_calls.TOO_LATE)
        calls = [_call(row) for row in rows if not job.too_late(row)]
        work.append((provider, _needed(calls, stored[provider.source.name])))
    return work


def _needed(calls: Sequence[Call], stored: Mapping[str, Stored]) -> list[Call]:
    """The calls, newest day first, without those whose answer comes with that of a newer day."""
    newest: dict[str, Call] = {}
    found = []
    for call in calls:
        newer = newest.setdefault(call.id, call)
        if newer is call or call.day < newer.since(stored):
            found.append(call)
    return found


def _published(outcome: Outcome, producer: Producer) -> Outcome:
    try:
        for payload in outcome.payloads:
            producer.send(*encode(payload))
        producer.flush()
    except BadRecord as error:  # larger than a record may be
        return Outcome(outcome.call, "refused", str(error))
    return outcome


def _row(call: Call) -> CallRow:
    until = call.until if isinstance(call, Stretch) else None
    return CallRow(call.day, call.source, call.id, call.what, call.endpoint, call.interval, list(call.symbols), until)


def _call(row: CallRow) -> Call:
    what: object = row.what
    return Call(row.day, row.source, what, row.endpoint, row.interval, tuple(row.symbols))  # type: ignore[arg-type]


def tally(outcomes: Sequence[Outcome]) -> Mapping[str, int]:
    """How many calls ended in each state."""
    states = [outcome.state for outcome in outcomes]
    return {state: states.count(state) for state in ("done", "refused", "failed", "waiting")}
