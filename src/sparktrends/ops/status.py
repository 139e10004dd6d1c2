"""What runs, how far behind, how fresh: the figures of `status` and of the live view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
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
    disk_used_bytes: int = 0
    database_bytes: int = 0
    process_list: Sequence[Mapping[str, Any]] = ()
    newest: Sequence[queries.NewestBar] = field(default=())
    troubles: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """As `status --json` prints it."""
        values = asdict(self)
        values["newest"] = [
            {
                **asdict(bar),
                "start": bar.start.isoformat(),
                "close": None if bar.close is None else str(bar.close),
                "volume": str(bar.volume),
            }
            for bar in self.newest
        ]
        return values


def price(value: Decimal | None) -> str:
    """A price as a person reads it; – where a bar has none yet.

    >>> price(Decimal("1E+2")), price(None)
    ('100', '–')
    """
    return "–" if value is None else f"{value:f}"


class Collector:
    """Asks broker and database again and again, by the same clients; a context manager.

    Raises Unavailable when one does not answer; then it is of no more use, and another has to be made.
    """

    def __init__(self, where: Endpoints, home: Home, clock: Clock = system_clock) -> None:
        self._home = home
        self._clock = clock
        self._database = connect(where.owner_dsn, autocommit=True, timeout_s=5, application="status")
        self._tally = queries.Tally(self._database)
        self._kafka = where.kafka
        self._admin = Admin(where.kafka, timeout_s=5)
        self._reader: Reader | None = None

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the clients."""
        if self._reader is not None:
            self._reader.close()
        self._database.close()

    def figures(self, processes: Sequence[Mapping[str, Any]], *, anew: bool = False) -> Status:
        """The figures of this moment; ``processes`` are what the caller knows of them. Rows that take long to count
        were counted a while ago, unless they are to be counted ``anew``."""
        ends = self._log_ends()
        totals = self._tally.totals(anew=anew)
        offsets = queries.next_offsets(self._database)
        behind = {place: max(0, end - offsets.get(place, 0)) for place, end in ends.items()}
        database_bytes = queries.database_bytes(self._database)
        return Status(
            **asdict(totals),
            lag_s=self._lag_s(offsets, behind),
            processes=sum(1 for process in processes if process.get("running")),
            behind=sum(behind.values()),
            published=sum(ends.values()),
            disk_free_bytes=self._home.free_bytes,
            disk_used_bytes=database_bytes + _taken(self._home.kafka),
            database_bytes=database_bytes,
            process_list=processes,
            newest=queries.newest_bars(self._database),
            troubles=[trouble.words for trouble in troubles.told(self._home, self._clock())],
        )

    def _log_ends(self) -> dict[tuple[str, int], int]:
        """The next offset to be written of every partition that is folded."""
        return {
            (topic, partition): high
            for topic in (RAW_BARS, RAW_TRADES)
            for partition, (_, high) in self._admin.watermarks(topic).items()
        }

    def _lag_s(self, offsets: Offsets, behind: Mapping[tuple[str, int], int]) -> int:
        """Age, by append time, of the oldest record that is not committed; 0 when everything is."""
        waiting = [place for place, count in behind.items() if count]
        if not waiting:
            return 0
        reader = self._reader = self._reader or Reader(self._kafka, patience_s=3)
        oldest: list[int] = []
        for topic, partition in waiting:
            low, high = reader.watermarks(topic, partition)
            # Where the log was trimmed past the ledger, the stream says so; the oldest that is left still has an age.
            start = max(low, offsets.get((topic, partition), 0))
            if start < high and (record := next(reader.range(topic, partition, start, start + 1), None)):
                oldest.append(record.appended)
        return max(0, round((self._clock() - min(oldest)) / 1_000_000)) if oldest else 0


def _taken(folder: Path) -> int:
    """Bytes that the files of a folder take on the disk; Kafka makes its indexes larger than they are."""
    taken = 0
    for file in folder.rglob("*"):
        with suppress(OSError):  # the broker deletes segments meanwhile
            taken += file.lstat().st_blocks * 512
    return taken


def collect(
    where: Endpoints, home: Home, processes: Sequence[Mapping[str, Any]], clock: Clock = system_clock
) -> Status:
    """Ask once; raises Unavailable when broker or database does not answer."""
    with Collector(where, home, clock) as collector:
        return collector.figures(processes)
