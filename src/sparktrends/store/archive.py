"""Rows of old months, out of their tables and back in again, exactly.

A row travels with the names of its series, not with our number for it, so an archive fits another database too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from psycopg.sql import SQL, Identifier, Literal

from sparktrends.store.connect import Cursor

TABLES = ("bars", "provider_bars", "metrics")
"""The tables that grow with every minute, partitioned by month."""
_CHUNK = 20_000
# The months of a recording are always old: what somebody plays back stays.
_OF_MONTH = SQL(
    "FROM core.{table} t JOIN core.series s ON s.id = t.series WHERE t.interval = {interval} "
    "AND t.start >= {first} AND t.start < {end} AND s.source NOT LIKE '%~replay'"
)


class Column(NamedTuple):
    """A column and its type as PostgreSQL spells it."""

    name: str
    type: str


def columns(cursor: Cursor, table: str) -> list[Column]:
    """The columns of an archived table: those that name the series, then its own."""
    cursor.execute(
        "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a "
        "WHERE a.attrelid = ('core.' || %s)::regclass AND a.attnum > 0 AND NOT a.attisdropped "
        "AND a.attname <> 'series' ORDER BY a.attnum",
        (table,),
    )
    return [Column("source", "text"), Column("symbol", "text"), *(Column(*row) for row in cursor)]


def old_months(cursor: Cursor, table: str, interval: str, before: date) -> list[date]:
    """The months, oldest first, that end before ``before`` and have rows of this interval."""
    # A look into each month for each series, down the primary key: the rows themselves may be many millions.
    cursor.execute(
        SQL(
            "SELECT m FROM (SELECT to_date(right(inhrelid::regclass::text, 6), 'YYYYMM') AS m FROM pg_inherits "
            "WHERE inhparent = {parent}::regclass) months WHERE m < {before} AND EXISTS (SELECT FROM core.series s, "
            "LATERAL (SELECT FROM core.{table} t WHERE t.series = s.id AND t.interval = {interval} "
            "AND t.start >= m::timestamp AT TIME ZONE 'UTC' "
            "AND t.start < (m + interval '1 month') AT TIME ZONE 'UTC' LIMIT 1) x "
            "WHERE s.source NOT LIKE '%~replay') ORDER BY 1"
        ).format(
            table=Identifier(table),
            parent=Literal(f"core.{table}"),
            interval=Literal(interval),
            before=Literal(before.replace(day=1)),
        )
    )
    return [row[0] for row in cursor]


def read_month(
    cursor: Cursor, table: str, interval: str, month: date, wanted: Sequence[Column]
) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a month in portions, JSON as text."""
    names = SQL(", ").join(_column(column) for column in wanted)
    cursor.execute(SQL("DECLARE archive CURSOR FOR SELECT {} ").format(names) + _of(table, interval, month))
    while rows := cursor.execute(SQL("FETCH {} FROM archive").format(Literal(_CHUNK))).fetchall():
        yield rows
    cursor.execute("CLOSE archive")


def delete_month(cursor: Cursor, table: str, interval: str, month: date) -> int:
    """Delete what `read_month` reads; how many rows that was."""
    # The series' keys as they are: joined with the rows to delete, a month that nobody has counted yet is taken to be
    # nearly empty, and each of its rows would be looked for in all the others.
    cursor.execute(
        SQL("DELETE FROM core.{table} t WHERE t.interval = {interval} AND t.start >= {first} AND t.start < {end} "
            "AND t.series = ANY(ARRAY(SELECT s.id FROM core.series s WHERE s.source NOT LIKE '%~replay'))").format(
            table=Identifier(table), interval=Literal(interval),
            first=Literal(_start(month)), end=Literal(_start(_next(month))),
        )
    )  # fmt: skip
    return cursor.rowcount


def write_rows(cursor: Cursor, table: str, wanted: Sequence[Column], rows: bytes) -> int:
    """Put rows, as CSV without a header, back where there is none of their key; how many that were. Makes the series
    they need."""
    names = SQL(", ").join(Identifier(column.name) for column in wanted)
    typed = SQL(", ").join(SQL("{} {}").format(Identifier(c.name), SQL(c.type)) for c in wanted)
    cursor.execute(SQL("CREATE TEMPORARY TABLE archived ({}) ON COMMIT DROP").format(typed))
    with cursor.copy(SQL("COPY archived ({}) FROM STDIN (FORMAT CSV)").format(names)) as copy:
        copy.write(rows)
    cursor.execute("INSERT INTO core.series (source, symbol) SELECT DISTINCT source, symbol FROM archived "
                   "ON CONFLICT DO NOTHING")  # fmt: skip
    cursor.execute(
        "SELECT core.ensure_month(%s, m) FROM "
        "(SELECT DISTINCT date_trunc('month', start AT TIME ZONE 'UTC')::date AS m FROM archived) x",
        (table,),
    )
    own = SQL(", ").join(Identifier(column.name) for column in wanted[2:])
    cursor.execute(
        SQL("INSERT INTO core.{table} (series, {own}) SELECT s.id, {given} FROM archived a JOIN core.series s "
            "ON s.source = a.source AND s.symbol = a.symbol ON CONFLICT DO NOTHING").format(
            table=Identifier(table), own=own,
            given=SQL(", ").join(map(_given, wanted[2:])),
        )
    )  # fmt: skip
    found = cursor.rowcount
    cursor.execute("DROP TABLE archived")
    return found


def _column(column: Column) -> Any:
    place = SQL("s.") if column.name in ("source", "symbol") else SQL("t.")
    cast = SQL("::text") if column.type == "jsonb" else SQL("")
    return place + Identifier(column.name) + cast


def _given(column: Column) -> Any:
    # The file holds every number with all its places.
    return SQL("trim_scale(a.{})" if column.type == "numeric" else "a.{}").format(Identifier(column.name))


def _of(table: str, interval: str, month: date) -> Any:
    return _OF_MONTH.format(
        table=Identifier(table),
        interval=Literal(interval),
        first=Literal(_start(month)),
        end=Literal(_start(_next(month))),
    )


def _start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _next(month: date) -> date:
    return (month.replace(day=28) + (date(2000, 1, 5) - date(2000, 1, 1))).replace(day=1)
