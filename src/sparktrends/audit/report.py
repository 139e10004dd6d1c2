"""What an audit found: frozen, as JSON for machines and as text for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sparktrends.audit.records import BARS_TOPIC, TRADES_TOPIC

KEPT = 200
"""So many findings are kept with their values; all are counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be: which table, which row, what the log says and what is stored."""

    kind: str
    key: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.kind} {self.key}: the log says {self.expected}; stored is {self.found}"


class Findings:
    """Collects findings: the first ones whole, all of them by number."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.by_kind: Counter[str] = Counter()

    def add(self, kind: str, key: str, expected: object, found: object) -> None:
        """One more."""
        self.by_kind[kind] += 1
        if len(self.kept) < KEPT:
            self.kept.append(Finding(kind, key, str(expected), str(found)))


@dataclass(frozen=True, slots=True)
class CheckedSpan:
    """Offsets [first, end) of one partition: how many records were read, and what of it could not be.

    ``trimmed`` offsets were folded once and are no longer in the log, ``accepted`` are gaps that a person accepted,
    ``waiting`` lie after ``end``: the stream has not folded them yet.
    """

    topic: str
    partition: int
    topic_id: str
    first: int
    end: int
    records: int
    trimmed: int = 0
    accepted: int = 0
    waiting: int = 0


EXAMPLES = 20
"""So many repeated records are named."""


def place_name(place: tuple[str, int, int]) -> str:
    """``topic[partition]@offset``."""
    topic, partition, offset = place
    return f"{topic}[{partition}]@{offset}"


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of an audit. ``unchecked`` counts stored rows that the log no longer holds the records of,
    ``repeats_removed`` the repeated records that repair has left out of their bars.

    ``checked_from``, by topic: bars of its records that begin before this time (ISO, UTC) were not compared, whether
    stored or not; None where all of them were. The offsets of ``spans`` do not tell it.
    """

    spans: tuple[CheckedSpan, ...]
    counts: Mapping[str, int]
    bars_checked: int
    longer_bars_checked: int
    provider_bars_checked: int
    findings: tuple[Finding, ...]
    findings_by_kind: Mapping[str, int]
    repeated_ids: int
    repeated_examples: tuple[str, ...]
    repeats_removed: int = 0
    unchecked: Mapping[str, int] = field(default_factory=dict)
    checked_from: Mapping[str, str | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def findings_total(self) -> int:
        """All findings, also those that were not kept."""
        return sum(self.findings_by_kind.values())

    @property
    def ok(self) -> bool:
        """Nothing found, and no id twice in the log."""
        return not self.findings_total and not self.repeated_ids

    def to_json(self) -> dict[str, Any]:
        """A document of plain values, for ``json.dumps``."""
        return {**asdict(self), "ok": self.ok, "findings_total": self.findings_total}

    def text(self) -> str:
        """The report for people, a paragraph and then one line a finding."""
        lines = [_headline(self), *map(_span_line, self.spans), _places_line(self.counts), *_horizon_lines(self)]
        if any(self.unchecked.values()):
            words = ", ".join(f"{count:,} {name}" for name, count in sorted(self.unchecked.items()) if count)
            lines.append(f"not checked, because the log no longer holds their records: {words}")
        lines.extend(self.notes)
        if self.repeated_ids:
            places = ", ".join(self.repeated_examples)
            lines.append(f"{self.repeated_ids:,} records repeat an id that was in the log before: {places}")
        if self.repeats_removed:
            lines.append(f"{self.repeats_removed:,} repeated records are in no bar: repair left them out")
        lines.extend(map(str, self.findings))
        if self.findings_total > len(self.findings):
            lines.append(f"… and {self.findings_total - len(self.findings):,} more")
        return "\n".join(lines)


def _headline(report: Report) -> str:
    records = sum(span.records for span in report.spans)
    return (
        f"audit: {_verdict(report)}. {records:,} records, {report.bars_checked:,} minutes, "
        f"{report.longer_bars_checked:,} longer bars and {report.provider_bars_checked:,} provider bars compared in "
        f"{report.seconds:.1f} s, "
        f"{report.findings_total:,} findings"
    )


def _verdict(report: Report) -> str:
    """No more than was compared: where much of the log is gone, a bar that nobody looked at is not called right."""
    if not report.ok:
        return "something is wrong"
    missed = ["no minute"] if report.counts["trades"] and not report.bars_checked else []
    missed += ["no provider bar"] if report.counts["bars"] and not report.provider_bars_checked else []
    if missed:
        return f"every record is in one place, but {' and '.join(missed)} could be compared"
    partly = any(report.unchecked.values()) or any(report.checked_from.values())
    return f"every record is in one place and every bar {'that was compared ' if partly else ''}is right"


_MADE_OF = {TRADES_TOPIC: "minutes and longer bars", BARS_TOPIC: "provider bars"}


def _horizon_lines(report: Report) -> list[str]:
    return [
        f"  {_MADE_OF[topic]} were compared from {start} on: of what begins before, the log has perhaps lost records"
        for topic, start in report.checked_from.items()
        if start is not None
    ]


def _span_line(span: CheckedSpan) -> str:
    parts = [f"  {span.topic}[{span.partition}] offsets {span.first} to {span.end}: {span.records:,} records"]
    parts += [f"{span.trimmed:,} trimmed"] if span.trimmed else []
    parts += [f"{span.accepted:,} in accepted gaps"] if span.accepted else []
    parts += [f"{span.waiting:,} after it not folded yet"] if span.waiting else []
    return ", ".join(parts)


def _places_line(counts: Mapping[str, int]) -> str:
    return "  of these: " + ", ".join(f"{count:,} {place}" for place, count in counts.items())
