"""The audit from beginning to end."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from sparktrends.audit.compare import Comparison
from sparktrends.audit.log import LogAudit
from sparktrends.audit.records import TRADES_TOPIC, Laws
from sparktrends.audit.report import EXAMPLES, Findings, Report, place_name
from sparktrends.bus.log import LogReader
from sparktrends.errors import LogGap
from sparktrends.model import SECOND
from sparktrends.store.audit_queries import AuditDatabase, GapRow, LedgerRow, Row, Snapshot
from sparktrends.store.ledger import is_lost_end

Progress = Callable[[str, int, int], None]
"""Told what is being done, how far it is, and how far it goes."""

LAWS = Laws()
TRIES = 3
"""So often the log is read from its beginning before the audit gives up: the broker may trim what is being read, or
repair move what was compared with it. The last time it is read inside of the snapshot: there nothing moves."""


def run(reader: LogReader, database: AuditDatabase, progress: Progress | None = None, laws: Laws = LAWS) -> Report:
    """Prove laws 1, 2, 5 and 6 of what is stored, or list what does not hold.

    Stored bars are read in one snapshot, and the log up to the offsets of that snapshot: a stream may go on meanwhile.
    The log is read before the snapshot is taken, and in it only what was folded since: while a snapshot is held,
    PostgreSQL cannot clear away what the stream replaces. Raises Unavailable when Kafka or PostgreSQL is away and
    LogGap when the log is trimmed each time that it is read.
    """
    began = time.monotonic()
    tell = progress or (lambda _what, _done, _total: None)
    report, left = None, TRIES
    while report is None:
        left -= 1
        report = _tried(reader, database, tell, laws, last=not left)
        # What was read for nothing holds itself: its ids would stay beside those that are read now.
        gc.collect()
    return replace(report, seconds=time.monotonic() - began)


def _tried(reader: LogReader, database: AuditDatabase, tell: Progress, laws: Laws, *, last: bool) -> Report | None:
    """The report, or None where the log was trimmed, or what it was compared with moved, while it was read."""
    log = LogAudit(laws, Findings())
    try:
        known = None if last else _read_ahead(log, reader, database, tell)
        return _compare(log, reader, database, known, tell, laws)
    except LogGap:
        if last:
            raise
    except _Moved:
        assert not last
    return None


class _Known(NamedTuple):
    """Up to where the log was read, and all that is stored of the records before and may move meanwhile."""

    places: list[LedgerRow]
    gaps: list[GapRow]
    stored: list[Row]


class _Moved(Exception):
    """Something else than what the known one says is stored of records that were read."""


def _read_ahead(log: LogAudit, reader: LogReader, database: AuditDatabase, tell: Progress) -> _Known:
    with database.snapshot() as now:
        places = now.ledger()
        known = _Known(places, now.accepted_gaps(), list(map(now.stored_of, places)))
        log.removed = now.repeats()
    log.partitions = len(places)
    advance = _advance(tell, sum(place.next_offset - place.first_offset for place in places))
    with database.set_aside() as stored:
        for place in places:
            log.ahead(place, _gaps_of(place, known.gaps), reader, stored, advance)
    return known


def _refuse_moved(known: _Known, now: Snapshot) -> None:
    """Records may have come since, and rows of those; whatever was read and compared already must be as it was."""
    found = {(place.topic, place.partition): place for place in now.ledger()}
    for before in known.places:
        place = found.get((before.topic, before.partition))
        # Another log of the name, or another beginning.
        if place is None or (place.topic_id, place.first_offset) != (before.topic_id, before.first_offset):
            raise _Moved
    if (now.accepted_gaps(), list(map(now.stored_of, known.places))) != (known.gaps, known.stored):
        raise _Moved


def _compare(
    log: LogAudit, reader: LogReader, database: AuditDatabase, known: _Known | None, tell: Progress, laws: Laws
) -> Report:
    findings = log.findings
    # One snapshot for everything: the ledger it shows says how far the log is to be read.
    with database.snapshot() as stored:
        places = stored.ledger()
        if known:
            _refuse_moved(known, stored)
        gaps = stored.accepted_gaps()
        log.removed, log.partitions = stored.repeats(), len(places)
        # The log first: only what it says tells which stored rows are to be there.
        begun = {place[:2]: place.next_offset for place in known.places} if known else {}
        advance = _advance(tell, sum(p.next_offset - begun.get(p[:2], p.first_offset) for p in places))
        spans = tuple(log.partition(place, _gaps_of(place, gaps), reader, stored, advance) for place in places)
        _find_strays(stored, gaps, log, findings)
        comparison = Comparison(log, laws, findings, stored)
        comparison.run(_counting(tell, "comparing series", len(log.series)))
    repeated = set(log.repeats.found())
    unproven = log.removed - repeated
    if log.horizon[TRADES_TOPIC]:
        # What was repeated, or the repeat, may be among the records that are gone.
        log.count_unchecked("records left out by repair", len(unproven))
        unproven = set()
    for place in sorted(unproven):
        findings.add("repeat", place_name(place), "a record that is the first of its id", "left out by repair")
    left = sorted(repeated - log.removed)
    return Report(
        spans=spans,
        counts=log.counts,
        bars_checked=comparison.rows_checked,
        longer_bars_checked=comparison.longer_rows_checked,
        provider_bars_checked=comparison.provider_rows_checked,
        checked_from={topic: _time(start) if start else None for topic, start in log.horizon.items()},
        findings=tuple(findings.kept),
        findings_by_kind=dict(findings.by_kind),
        repeated_ids=len(left),
        repeated_examples=tuple(map(place_name, left[:EXAMPLES])),
        repeats_removed=len(log.removed),
        unchecked=log.unchecked,
        notes=_notes(places, gaps),
    )


def _gaps_of(place: LedgerRow, gaps: list[GapRow]) -> list[GapRow]:
    return [gap for gap in gaps if gap[:2] == place[:2]]


def _advance(tell: Progress, total: int) -> Callable[[int], None]:
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        tell("reading the log", done, total)

    return advance


def _time(micros: int) -> str:
    return datetime.fromtimestamp(micros // SECOND, UTC).isoformat()


def _counting(tell: Progress, what: str, total: int) -> Callable[[], None]:
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        tell(what, done, total)

    return step


def _find_strays(stored: Snapshot, gaps: list[GapRow], log: LogAudit, findings: Findings) -> None:
    """Late trades and quarantined records of partitions that the ledger does not know."""
    former = {(gap.topic, gap.topic_id, gap.partition) for gap in gaps}
    for kind, topic, topic_id, partition, restored, count in stored.strays():
        if (topic, topic_id, partition) in former:
            log.count_unchecked("rows of former topics", count)
        elif restored:
            log.count_unchecked("restored rows", count)
        else:
            findings.add(kind, f"{topic}[{partition}] of {topic_id}", "a partition of the ledger", f"{count} rows")


def _notes(places: list[LedgerRow], gaps: list[GapRow]) -> tuple[str, ...]:
    if not places:
        return ("the ledger is empty: nothing was folded yet",)
    later = [place for place in places if place.first_offset]
    lost = [p for p in later if any(g[:2] == p[:2] and is_lost_end(g.topic_id, p.topic_id) for g in gaps)]
    words = {
        "records before where the ledger begins were never folded": [p for p in later if p not in lost],
        "records before where an end of the log was lost are not checked": lost,
    }
    return tuple(
        f"{what}: {', '.join(f'{p.topic}[{p.partition}] from {p.first_offset}' for p in of)}"
        for what, of in words.items()
        if of
    )
