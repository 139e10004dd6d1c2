"""The audit from beginning to end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from sparktrends.audit.compare import Comparison
from sparktrends.audit.log import LogAudit
from sparktrends.audit.records import BARS_TOPIC, TRADES_TOPIC, Laws
from sparktrends.audit.report import EXAMPLES, CheckedSpan, Findings, Report, place_name
from sparktrends.bus.log import LogReader
from sparktrends.errors import LogGap
from sparktrends.model import SECOND
from sparktrends.store.audit_queries import AuditDatabase, GapRow, LedgerRow, Snapshot
from sparktrends.store.ledger import is_lost_end

Progress = Callable[[str, int, int], None]
"""Told what is being done, how far it is, and how far it goes."""

LAWS = Laws()
TRIES = 3
"""So often the log is read from its beginning before the audit gives up: the broker may trim what is being read."""


def run(reader: LogReader, database: AuditDatabase, progress: Progress | None = None, laws: Laws = LAWS) -> Report:
    """Prove laws 1, 2, 5 and 6 of what is stored, or list what does not hold.

    What is stored is read in one snapshot taken at the beginning, and the log up to the offsets of that snapshot: a
    stream may go on meanwhile. Raises Unavailable when Kafka or PostgreSQL is away and LogGap when the log is
    trimmed each time that it is read.
    """
    began = time.monotonic()
    tell = progress or (lambda _what, _done, _total: None)
    for left in reversed(range(TRIES)):
        try:
            report = _once(reader, database, tell, laws)
            break
        except LogGap:
            if not left:
                raise
    return replace(report, seconds=time.monotonic() - began)


def _once(reader: LogReader, database: AuditDatabase, tell: Progress, laws: Laws) -> Report:
    findings = Findings()
    log = LogAudit(laws, findings)
    # One snapshot for everything: the ledger it shows says how far the log is to be read.
    with database.snapshot() as stored:
        places = [row for row in stored.ledger() if row.topic in (TRADES_TOPIC, BARS_TOPIC)]
        gaps = stored.accepted_gaps()
        log.removed = stored.repeats()
        # The log first: only what it says tells which stored rows are to be there.
        spans = _read_log(log, reader, stored, places, gaps, tell)
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


def _read_log(
    log: LogAudit,
    reader: LogReader,
    stored: Snapshot,
    places: list[LedgerRow],
    gaps: list[GapRow],
    tell: Progress,
) -> tuple[CheckedSpan, ...]:
    log.partitions = len(places)
    total = sum(place.next_offset - place.first_offset for place in places)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        tell("reading the log", done, total)

    return tuple(
        log.partition(
            place,
            [gap for gap in gaps if (gap.topic, gap.partition) == (place.topic, place.partition)],
            reader,
            stored,
            advance,
        )
        for place in places
    )


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
    for kind, topic, topic_id, partition, count in stored.strays():
        if (topic, topic_id, partition) in former:
            log.count_unchecked("rows of former topics", count)
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
