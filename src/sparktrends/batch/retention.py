"""Retention: months older than wanted go from their tables into Parquet files, and back.

A month leaves its table in the transaction that has counted it, after its file was written, synced and read back: a
kill in between leaves the rows in both places, and a restore passes over what is there.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from sparktrends.batch.disk import unwritable
from sparktrends.batch.plan import day_of
from sparktrends.bus.reader import Reader
from sparktrends.bus.topics import RAW_BARS, RAW_TRADES
from sparktrends.errors import IntegrityError
from sparktrends.model import INTERVALS
from sparktrends.store import archive
from sparktrends.store.archive import EVERY_INTERVAL, TABLES, Column, Table
from sparktrends.store.connect import Cursor
from sparktrends.store.session import Session

_WHOLE = "all"
"""The folder of a table whose rows have no interval."""
_NAME = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(\d{3,})\.parquet")
"""A month and the number of its file; what has another name is a copy, or somebody else's."""
_TYPES: Mapping[str, pa.DataType] = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "double precision": pa.float64(),
    "numeric": pa.decimal128(38, 18),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
}
"""Everything else is text."""
_TURNOVER = pa.decimal256(76, 36)
"""Price times size has as many digits as both."""
Portion = list[tuple[object, ...]]
_PORTIONS = 5
"""So many portions of what was written are put back at once."""


@dataclass(frozen=True, slots=True)
class Month:
    """Rows of one table, interval (empty: it has none) and month that were archived or restored."""

    table: str
    interval: str
    month: date
    rows: int
    file: Path


def retain(
    session: Session, folder: Path, limits: Mapping[str, int], today: date, logged_since: Callable[[], date]
) -> Iterator[Month]:
    """Archive every month that is over its limit; yields each when it is done.

    ``logged_since`` is asked for the first day of which the log still has records: what the audit compares with them
    stays. Raises Unavailable when the files cannot be written: such a month stays where it is; Fenced while another
    retention or restore runs.
    """
    with archive.alone(session):
        for table in TABLES.values():
            for interval, days in _limits(table, limits):
                with session.transaction() as cursor:
                    months = archive.old_months(cursor, table, interval, today - timedelta(days=days))
                if months and table.logged:
                    kept = logged_since().replace(day=1)
                    months = [month for month in months if month < kept]
                for month in months:
                    yield _archive(session, folder, table, interval, month)


def _limits(table: Table, limits: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """The intervals of a table (empty: it has none) and for how many days they are kept."""
    for key, days in limits.items():
        if key == table.limit or (table.limit == EVERY_INTERVAL and key in INTERVALS):
            yield (key if key in INTERVALS else ""), days


def log_begin(log: Reader, today: date) -> date:
    """The day (UTC) of the oldest record of the log that bars are made of; ``today`` while there is none."""
    days = [today]
    for topic in (RAW_TRADES, RAW_BARS):
        for partition in log.partitions(topic):
            low, high = log.watermarks(topic, partition)
            days += [day_of(record.appended) for record in log.range(topic, partition, low, min(low + 1, high))]
    return min(days)


def _archive(session: Session, folder: Path, table: Table, interval: str, month: date) -> Month:
    try:
        return _archive_month(session, folder / table.name / (interval or _WHOLE), table, interval, month)
    except OSError as error:
        raise unwritable("the archive", error) from error


def _archive_month(session: Session, place: Path, table: Table, interval: str, month: date) -> Month:
    place.mkdir(parents=True, exist_ok=True)
    # One more than the last: a file that somebody took away must not let another be overwritten.
    number = max(map(_number, place.glob(f"{month:%Y-%m}-*.parquet")), default=-1) + 1
    file = place / f"{month:%Y-%m}-{number:03d}.parquet"
    with session.transaction() as cursor:
        # What is deleted must be what was read: rows that come meanwhile are not seen by either.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        wanted = archive.columns(cursor, table)
        rows = _write(file, wanted, lambda: archive.read_month(cursor, table, interval, month, wanted))
        # A power cut must not undo the renaming when the deleting is not undone.
        for changed in (place, *place.parents[:2]):
            _sync(changed)
        deleted = archive.delete_month(cursor, table, interval, month)
        if deleted != rows:
            what = " ".join(filter(None, (table.name, interval, f"{month:%Y-%m}")))
            raise IntegrityError(f"{what}: {rows} rows were archived, {deleted} deleted")
        archive.note_archived(cursor, table, interval, month)
    return Month(table.name, interval, month, rows, file)


def _number(file: Path) -> int:
    """Which of its month's files it is, from 0; -1 when it is none of ours."""
    found = _NAME.fullmatch(file.name)
    return int(found[1]) if found else -1


def _write(file: Path, wanted: Sequence[Column], read: Callable[[], Iterator[Portion]]) -> int:
    fresh = file.with_suffix(".new")
    usual = pa.schema([(c.name, _TURNOVER if c.name == "turnover" else _type(c)) for c in wanted])
    try:
        try:
            rows = _write_as(usual, fresh, read())
        except pa.ArrowInvalid:
            # Sums have no bound, and anyone may write the largest prices and sizes there are: their digits as text.
            digits = [field.with_type(pa.string()) if pa.types.is_decimal(field.type) else field for field in usual]
            rows = _write_as(pa.schema(digits), fresh, read())
        _sync(fresh)
        if pq.read_metadata(fresh).num_rows != rows:
            raise IntegrityError(f"{fresh} does not hold the {rows} rows that were written")
        os.replace(fresh, file)
    finally:
        # A month that did not fit would keep the disk full, for the database and the broker too.
        fresh.unlink(missing_ok=True)
    return rows


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _write_as(schema: pa.Schema, fresh: Path, portions: Iterator[Portion]) -> int:
    rows = 0
    with pq.ParquetWriter(fresh, schema, compression="zstd") as writer:
        for portion in portions:
            columns = zip(zip(*portion, strict=True), schema, strict=True)
            arrays = [_array(values, field.type) for values, field in columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            rows += len(portion)
    return rows


def _array(values: Sequence[object], type_: pa.DataType) -> pa.Array:
    if pa.types.is_string(type_):
        values = [format(value, "f") if isinstance(value, Decimal) else value for value in values]
    return pa.array(values, type_)


def _type(column: Column) -> pa.DataType:
    return pa.string() if column.as_text else _TYPES.get(column.type, pa.string())


@dataclass(frozen=True, slots=True)
class Part:
    """A part of what the archive has of the market: these symbols (all when empty) and days, both included;
    ``interval`` empty for all."""

    first: date
    last: date
    symbols: Sequence[str] = ()
    interval: str = ""

    def touches(self, table: str, interval: str, month: str) -> bool:
        """Whether a month's file may hold some of it."""
        within = f"{self.first:%Y-%m}" <= month <= f"{self.last:%Y-%m}"
        return TABLES[table].dated and self.interval in ("", interval) and within

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
    found = [file for file in folder.glob("*/*/*.parquet") if file.parts[-3] in TABLES and _number(file) >= 0]
    return sorted((file for file in found if chosen(*_told(file))), key=lambda file: (*_told(file), -_number(file)))


def _told(file: Path) -> tuple[str, str, str]:
    """Table, interval (empty: it has none) and month of a file."""
    return file.parts[-3], "" if file.parts[-2] == _WHOLE else file.parts[-2], file.name[:7]


def restore(
    session: Session,
    folder: Path,
    chosen: Chosen = lambda *_: True,
    part: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None,
) -> Iterator[Month]:
    """Put archived months back; ``chosen`` is asked for table, interval and month (``2024-01``), and of each of these
    ``part`` says which rows (all by default). Yields how many of them were not there, for each file as it is done.
    Raises Fenced while another retention or restore runs."""
    if not archived(folder, chosen):
        return
    with archive.alone(session):
        # Listed in here: a retention that ended just now has left newer ones.
        files = archived(folder, chosen)
        for file, following in zip_longest(files, files[1:]):
            name, interval, month = _told(file)
            table, first = TABLES[name], date.fromisoformat(f"{month}-01")
            with session.transaction() as cursor:
                rows = _put_back(cursor, table, file, part or (lambda batch: batch))
                if rows:
                    archive.note_put_back(cursor, table, interval, first)
                if part is None and (following is None or _told(following) != _told(file)):
                    archive.note_restored(cursor, table, interval, first)
            yield Month(name, interval, first, rows, file)


def _put_back(cursor: Cursor, table: Table, file: Path, part: Callable[[pa.RecordBatch], pa.RecordBatch]) -> int:
    known = {column.name: column for column in archive.columns(cursor, table)}
    content = pq.ParquetFile(file)
    wanted = [known[name] for name in content.schema_arrow.names if name in known]
    rows = 0
    for batch in content.iter_batches(_PORTIONS * table.portion, columns=[column.name for column in wanted]):
        kept = part(batch)
        rows += archive.write_rows(cursor, table, wanted, _csv(kept)) if len(kept) else 0
    return rows


def _csv(rows: pa.RecordBatch) -> bytes:
    """As PostgreSQL reads it, every digit kept: no row becomes an object of Python on its way."""
    content = io.BytesIO()
    csv.write_csv(rows, content, csv.WriteOptions(include_header=False))
    return content.getvalue()
