"""Retention: months older than wanted go from their tables into Parquet files, and back.

A month leaves its table in the transaction that has counted it, after its file was written, synced and read back: a
kill in between leaves the rows in both places, and a restore passes over what is there.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from sparktrends.batch.disk import unwritable
from sparktrends.errors import BadSetting, IntegrityError
from sparktrends.model import INTERVALS
from sparktrends.store import archive
from sparktrends.store.archive import Column
from sparktrends.store.session import Session

DEFAULTS: Mapping[str, int] = {"1m": 400, "5m": 800, "15m": 800}
"""Days that bars and metrics of an interval are kept; those that are not named stay for ever."""
_TYPES: Mapping[str, pa.DataType] = {
    "text": pa.string(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "double precision": pa.float64(),
    "numeric": pa.decimal128(38, 18),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
    "jsonb": pa.string(),
}
_TURNOVER = pa.decimal256(76, 36)
"""Price times size has as many digits as both."""
_PORTION = 100_000
"""Rows that are put back at once."""


@dataclass(frozen=True, slots=True)
class Month:
    """Rows of one table, interval and month that were archived or restored."""

    table: str
    interval: str
    month: date
    rows: int
    file: Path


def limits_of(table: Mapping[str, object]) -> dict[str, int]:
    """``[retention]`` of the settings: days by interval; 0 keeps for ever. Raises BadSetting."""
    for interval, days in table.items():
        if interval not in INTERVALS or not isinstance(days, int) or isinstance(days, bool) or days < 0:
            raise BadSetting(f"[retention] {interval} = {days!r}", hint=f"days for one of {', '.join(INTERVALS)}")
    chosen = {**DEFAULTS, **{interval: int(str(days)) for interval, days in table.items()}}
    return {interval: days for interval, days in chosen.items() if days}


def retain(session: Session, folder: Path, limits: Mapping[str, int], today: date) -> Iterator[Month]:
    """Archive every month that is over its limit; yields each when it is done. Raises Unavailable when the files
    cannot be written: such a month stays where it is."""
    for table in archive.TABLES:
        for interval, days in limits.items():
            with session.transaction() as cursor:
                months = archive.old_months(cursor, table, interval, today - timedelta(days=days))
            for month in months:
                yield _archive(session, folder, table, interval, month)


def _archive(session: Session, folder: Path, table: str, interval: str, month: date) -> Month:
    try:
        return _archive_month(session, folder / table / interval, table, interval, month)
    except OSError as error:
        raise unwritable("the archive", error) from error


def _archive_month(session: Session, place: Path, table: str, interval: str, month: date) -> Month:
    place.mkdir(parents=True, exist_ok=True)
    # One more than the last: a file that somebody took away must not let another be overwritten.
    number = max((int(file.stem[-3:]) for file in place.glob(f"{month:%Y-%m}-*.parquet")), default=-1) + 1
    file = place / f"{month:%Y-%m}-{number:03d}.parquet"
    with session.transaction() as cursor:
        # What is deleted must be what was read: rows that come meanwhile are not seen by either.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        wanted = archive.columns(cursor, table)
        rows = _write(file, wanted, archive.read_month(cursor, table, interval, month, wanted))
        deleted = archive.delete_month(cursor, table, interval, month)
        if deleted != rows:
            raise IntegrityError(f"{table} {interval} {month:%Y-%m}: {rows} rows were archived, {deleted} deleted")
    return Month(table, interval, month, rows, file)


def _write(file: Path, wanted: Sequence[Column], portions: Iterator[list[tuple[object, ...]]]) -> int:
    schema = pa.schema([(c.name, _TURNOVER if c.name == "turnover" else _TYPES[c.type]) for c in wanted])
    fresh = file.with_suffix(".new")
    rows = 0
    with pq.ParquetWriter(fresh, schema, compression="zstd") as writer:
        for portion in portions:
            arrays = [
                pa.array(values, field.type) for values, field in zip(zip(*portion, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            rows += len(portion)
    with fresh.open("rb") as written:
        os.fsync(written.fileno())
    if pq.read_metadata(fresh).num_rows != rows:
        raise IntegrityError(f"{fresh} does not hold the {rows} rows that were written")
    os.replace(fresh, file)
    return rows


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the archive: these symbols (all when empty) and days, both included; ``interval`` empty for all."""

    first: date
    last: date
    symbols: Sequence[str] = ()
    interval: str = ""

    def touches(self, _table: str, interval: str, month: str) -> bool:
        """Whether a month's file may hold some of it."""
        return self.interval in ("", interval) and f"{self.first:%Y-%m}" <= month <= f"{self.last:%Y-%m}"

    def of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that belong to it."""
        since, until = (datetime(d.year, d.month, d.day, tzinfo=UTC) for d in (self.first, self.last + timedelta(1)))
        within = pc.and_(pc.greater_equal(batch["start"], since), pc.less(batch["start"], until))
        if self.symbols:
            within = pc.and_(within, pc.is_in(batch["symbol"], pa.array(self.symbols)))
        return batch.filter(within)


Chosen = Callable[[str, str, str], bool]


def archived(folder: Path, chosen: Chosen = lambda *_: True) -> list[Path]:
    """The archive's files of the tables, intervals and months (``2024-01``) that are ``chosen``, in their order; of one
    month the newest first: a row that was restored, corrected and archived again is as the last file has it."""
    newest_first = sorted(folder.glob("*/*/*.parquet"), reverse=True)
    return [
        file
        for file in sorted(newest_first, key=lambda file: (*file.parts[-3:-1], file.name[:7]))
        if file.parts[-3] in archive.TABLES and chosen(file.parts[-3], file.parts[-2], file.name[:7])
    ]


def restore(
    session: Session,
    folder: Path,
    chosen: Chosen = lambda *_: True,
    part: Callable[[pa.RecordBatch], pa.RecordBatch] = lambda batch: batch,
) -> Iterator[Month]:
    """Put archived months back; ``chosen`` is asked for table, interval and month (``2024-01``), and of each of these
    ``part`` says which rows. Yields how many of them were not there, for each file as it is done."""
    for file in archived(folder, chosen):
        table, interval, month = file.parts[-3], file.parts[-2], file.name[:7]
        with session.transaction() as cursor:
            known = {column.name: column for column in archive.columns(cursor, table)}
            content = pq.ParquetFile(file)
            wanted = [known[name] for name in content.schema_arrow.names if name in known]
            rows = 0
            for batch in content.iter_batches(_PORTION, columns=[column.name for column in wanted]):
                kept = part(batch)
                rows += archive.write_rows(cursor, table, wanted, _csv(kept)) if len(kept) else 0
        yield Month(table, interval, date.fromisoformat(f"{month}-01"), rows, file)


def _csv(rows: pa.RecordBatch) -> bytes:
    """As PostgreSQL reads it, every digit kept: no row becomes an object of Python on its way."""
    content = io.BytesIO()
    csv.write_csv(rows, content, csv.WriteOptions(include_header=False))
    return content.getvalue()
