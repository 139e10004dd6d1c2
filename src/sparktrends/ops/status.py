"""What runs, how far behind, how fresh: the figures of `status` and of the live view."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sparktrends.bus.admin import Admin
from sparktrends.bus.reader import Reader
from sparktrends.bus.topics import RAW_BARS, RAW_TRADES
from sparktrends.ops import troubles
from sparktrends.ops.endpoints import Endpoints
from sparktrends.ops.home import Home
from sparktrends.store import queries
from sparktrends.store.connect import connect
from sparktrends.telemetry import Clock, system_clock

Offsets = Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Status:
    """The whole numbers of the contract, and what explains them. ``behind`` counts records not committed yet.

    ``troubles`` are sentences about sources that do not take in what is wanted.
    """

    trades: int = 0
    bars: int = 0
    signals: int = 0
    alerts: int = 0
    quarantined: int = 0
    late: int = 0
    lag_s: int = 0
    processes: int = 0
    behind: int = 0
    published: int = 0
    disk_free_bytes: int = 0
    database_bytes: int = 0
    process_list: Sequence[Mapping[str, Any]] = ()
    newest: Sequence[queries.NewestBar] = field(default=())
    troubles: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """As `status --json` prints it."""
        values = asdict(self)
        values["newest"] = [
            {**asdict(bar), "start": bar.start.isoformat(), "close": str(bar.close), "volume": str(bar.volume)}
            for bar in self.newest
        ]
        return values


def collect(
    where: Endpoints, home: Home, processes: Sequence[Mapping[str, Any]], clock: Clock = system_clock
) -> Status:
    """Ask broker and database; raises Unavailable when one does not answer."""
    ends = log_ends(where)
    with connect(where.owner_dsn, timeout_s=5, application="status") as connection:
        totals = queries.totals(connection)
        offsets = queries.next_offsets(connection)
        newest = queries.newest_bars(connection)
        size = queries.database_bytes(connection)
    behind = {place: max(0, end - offsets.get(place, 0)) for place, end in ends.items()}
    return Status(
        **asdict(totals),
        lag_s=_lag_s(where, offsets, behind, clock),
        processes=sum(1 for process in processes if process.get("running")),
        behind=sum(behind.values()),
        published=sum(ends.values()),
        disk_free_bytes=shutil.disk_usage(home.path).free,
        database_bytes=size,
        process_list=processes,
        newest=newest,
        troubles=[trouble.words for trouble in troubles.told(home, clock())],
    )


def log_ends(where: Endpoints) -> dict[tuple[str, int], int]:
    """The next offset to be written of every partition that is folded."""
    admin = Admin(where.kafka, timeout_s=5)
    return {
        (topic, partition): high
        for topic in (RAW_BARS, RAW_TRADES)
        for partition, (_, high) in admin.watermarks(topic).items()
    }


def _lag_s(where: Endpoints, offsets: Offsets, behind: Mapping[tuple[str, int], int], clock: Clock) -> int:
    """Age, by append time, of the oldest record that is not committed; 0 when everything is."""
    waiting = [place for place, count in behind.items() if count]
    if not waiting:
        return 0
    oldest: list[int] = []
    with Reader(where.kafka, patience_s=3) as reader:
        for topic, partition in waiting:
            low, high = reader.watermarks(topic, partition)
            # Where the log was trimmed past the ledger, the stream says so; the oldest that is left still has an age.
            start = max(low, offsets.get((topic, partition), 0))
            if start < high and (record := next(reader.range(topic, partition, start, start + 1), None)):
                oldest.append(record.appended)
    return max(0, round((clock() - min(oldest)) / 1_000_000)) if oldest else 0
