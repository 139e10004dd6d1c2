"""Rows of old months, out of their tables and back in again, exactly.

A row travels with the names of its series, not with our number for it, so an archive fits another database too. The
rows that belong to it in other tables travel with it, as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal, LiteralString, NamedTuple

from psycopg.sql import SQL, Composable, Composed, Identifier
from psycopg.sql import Literal as Value

from sparktrends.errors import Fenced
from sparktrends.store.connect import Cursor
from sparktrends.store.session import Session

_AS_THEY_ARE = (
    *("smallint", "integer", "bigint", "boolean", "double precision", "numeric", "text"),
    "timestamp with time zone",
)
EVERY_INTERVAL = ""
_LOCK = 0x53_54_41_52  # "STAR": one at a time archives or puts back


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose old rows are archived.

    ``limit`` is the setting that says for how long it is kept (`EVERY_INTERVAL`: the one of each row's interval),
    ``time`` the column whose month a row belongs to and ``kind`` its type, ``free`` a condition: rows that do not meet
    it stay. ``key`` is what its ``children`` are joined by: tables whose rows go with it. ``logged``: rows stay as long
    as the log has the records that they are compared with. ``portion``: so many rows are held in memory.
    """

    name: str
    limit: str = EVERY_INTERVAL
    schema: Literal["core", "raw"] = "core"
    time: LiteralString = "start"
    kind: Literal["timestamptz", "micros", "date"] = "timestamptz"
    series: Literal["", "always", "sometimes"] = "always"
    partitioned: bool = False
    free: LiteralString = "true"
    key: tuple[str, ...] = ()
    children: Mapping[str, LiteralString] = field(default_factory=dict)
    logged: bool = False
    portion: int = 20_000

    @property
    def place(self) -> Composed:
        """Its name in SQL."""
        return SQL("{}.{}").format(Identifier(self.schema), Identifier(self.name))

    @property
    def dated(self) -> bool:
        """Whether its rows are those of a symbol and a time of the market."""
        return self.series == "always" and self.time == "start"


_NOT_REPLAYED: LiteralString = "t.source NOT LIKE '%~replay'"
# What lasts or is being told is not over.
_TOLD: LiteralString = (
    "t.status NOT IN ('pending', 'firing') AND NOT EXISTS (SELECT FROM core.deliveries d "
    "WHERE d.alert = t.id AND d.state IN ('due', 'leased'))"
)
TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table("bars", partitioned=True),
        Table("provider_bars", partitioned=True),
        Table("metrics", partitioned=True),
        Table("signals"),
        Table("quality_minutes", "1m"),
        Table("peer_moves", "1m"),
        Table("market_moves", "1m", series="", free=_NOT_REPLAYED),
        Table(
            "payloads", "payloads", "raw", "fetched_at", series="", key=("id",), portion=16,
            free="EXISTS (SELECT FROM core.readings r WHERE r.payload = t.id)",
            children={"readings": "c.payload = t.id", "payload_rejects": "c.payload = t.id"},
        ),
        Table(
            "news", "news", time="published_at", series="", key=("source", "id"), portion=2_000,
            children={
                "mentions": "c.source = t.source AND c.story = t.id",
                "story_ids": "c.source = t.source AND c.story = t.id",
                "known_news": "c.source = t.source AND c.story = t.id",
            },
        ),
        Table(
            "alerts", "alerts", time="created_at", series="sometimes", key=("id",), free=_TOLD,
            children={"deliveries": "c.alert = t.id"},
        ),
        Table("daily_calls", "daily_calls", time="day", kind="date", series=""),
        # Last: these ask how far back the log goes, and a broker that is away keeps nothing else back.
        Table("late_trades", "late_trades", time="appended", kind="micros", logged=True),
        Table("repeats", "late_trades", time="removed_at", logged=True),
        Table("quarantine", "quarantine", time="appended", kind="micros", series="", logged=True, portion=200),
    )
}  # fmt: skip
"""Every table that grows with the market, the calls or the news, by name."""


class Column(NamedTuple):
    """A column and its type as PostgreSQL spells it: the table's own, of its series, or the rows of a child as JSON."""

    name: str
    type: str
    of: Literal["own", "series", "child"] = "own"

    @property
    def as_text(self) -> bool:
        """Whether it travels as the text that PostgreSQL reads: JSON, lists, bytes, days."""
        return self.type not in _AS_THEY_ARE


@contextmanager
def alone(session: Session) -> Iterator[None]:
    """Nobody else archives or puts back inside the block. Of two that archive, each would write the other's files and
    delete what it has not written; between two files of a month that are put back, the newer one's rows would go.

    Raises Fenced when somebody does already; whoever dies gives the lock back with its connection.
    """
    with session.transaction() as cursor:
        won = cursor.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
    if won != (True,):
        raise Fenced("old months are being archived or put back already", hint="try again when that is done")
    try:
        yield
    finally:
        with session.transaction() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def columns(cursor: Cursor, table: Table) -> list[Column]:
    """The columns of an archived table: those that name the series, then its own, then what goes with it."""
    cursor.execute(
        "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a "
        "WHERE a.attrelid = (%s || '.' || %s)::regclass AND a.attnum > 0 AND NOT a.attisdropped "
        "AND a.attname <> 'series' ORDER BY a.attnum",
        (table.schema, table.name),
    )
    own = [Column(name, kind) for name, kind in cursor]
    named = {"source", "symbol"} - {column.name for column in own} if table.series else set()
    return [
        *(Column(name, "text", "series") for name in sorted(named)),
        *own,
        *(Column(child, "jsonb", "child") for child in table.children),
    ]


def old_months(cursor: Cursor, table: Table, interval: str, before: date) -> list[date]:
    """The months, oldest first, that end before ``before`` and have rows of this interval that may go."""
    first = before.replace(day=1)
    if table.partitioned:
        cursor.execute(_PARTITIONED.format(
            place=table.place, parent=Value(f"{table.schema}.{table.name}"), interval=Value(interval),
            before=Value(first)))  # fmt: skip
    else:
        month = {"timestamptz": SQL("{} AT TIME ZONE 'UTC'"), "micros": SQL("core.at({}) AT TIME ZONE 'UTC'"),
                 "date": SQL("{}")}[table.kind].format(_time(table))  # fmt: skip
        cursor.execute(
            SQL("SELECT DISTINCT date_trunc('month', {})::date ").format(month)
            + _from(table)
            + SQL(" WHERE ")
            + _chosen(table, interval)
            + SQL(" AND {} < {} ORDER BY 1").format(_time(table), _moment(table, first))
        )
    return [row[0] for row in cursor]


# A look into each month for each series, down the primary key: the rows themselves may be many millions.
_PARTITIONED = SQL("""
SELECT m FROM (SELECT to_date(right(inhrelid::regclass::text, 6), 'YYYYMM') AS m FROM pg_inherits
    WHERE inhparent = {parent}::regclass) months
WHERE m < {before} AND EXISTS (SELECT FROM core.series s, LATERAL (
    SELECT FROM {place} t WHERE t.series = s.id AND t.interval = {interval}
    AND t.start >= m::timestamp AT TIME ZONE 'UTC' AND t.start < (m + interval '1 month') AT TIME ZONE 'UTC' LIMIT 1) x
    WHERE s.source NOT LIKE '%~replay') ORDER BY 1
""")


def read_month(
    cursor: Cursor, table: Table, interval: str, month: date, wanted: Sequence[Column]
) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a month in portions; what travels as text, as text."""
    names = SQL(", ").join(_told(table, column) for column in wanted)
    where = _chosen(table, interval) + _within(table, month)
    # An earlier reading may have been left half way.
    cursor.execute("CLOSE ALL")
    cursor.execute(SQL("DECLARE archive CURSOR FOR SELECT {} ").format(names) + _from(table) + SQL(" WHERE ") + where)
    while rows := cursor.execute(SQL("FETCH {} FROM archive").format(Value(table.portion))).fetchall():
        yield rows
    cursor.execute("CLOSE archive")


def delete_month(cursor: Cursor, table: Table, interval: str, month: date) -> int:
    """Delete what `read_month` reads, with what belongs to it; how many rows of the table that was."""
    # The series' keys as they are: joined with the rows to delete, a month that nobody has counted yet is taken to be
    # nearly empty, and each of its rows would be looked for in all the others.
    of_series: Mapping[str, Composable] = {
        "": SQL("true"),
        "always": _OF_OUR_SERIES,
        "sometimes": SQL("(t.series IS NULL OR {})").format(_OF_OUR_SERIES),
    }
    rows = SQL("DELETE FROM {} t WHERE {} AND ").format(table.place, of_series[table.series])
    rows += _rows(table, interval) + _within(table, month)
    if not table.children:
        return cursor.execute(rows).rowcount
    # In one statement: rows that refer to others go at the same moment.
    children = [
        SQL(", {} AS (DELETE FROM core.{} c USING gone t WHERE {})").format(
            Identifier(f"gone_{child}"), Identifier(child), SQL(joined)
        )
        for child, joined in table.children.items()
    ]
    gone = SQL("WITH gone AS ({} RETURNING {})").format(rows, SQL(", ").join(map(Identifier, table.key)))
    return _count(cursor.execute(gone + SQL("").join(children) + SQL(" SELECT count(*) FROM gone")))


def write_rows(cursor: Cursor, table: Table, wanted: Sequence[Column], rows: bytes) -> int:
    """Put rows, as CSV without a header, back where there is none of their key; how many that were. Makes the series
    they need."""
    names = SQL(", ").join(Identifier(column.name) for column in wanted)
    typed = SQL(", ").join(SQL("{} {}").format(Identifier(c.name), SQL(c.type)) for c in wanted)
    cursor.execute(SQL("CREATE TEMPORARY TABLE archived ({}) ON COMMIT DROP").format(typed))
    with cursor.copy(SQL("COPY archived ({}) FROM STDIN (FORMAT CSV)").format(names)) as copy:
        copy.write(rows)
    if table.series:
        cursor.execute("INSERT INTO core.series (source, symbol) SELECT DISTINCT source, symbol FROM archived "
                       "WHERE source IS NOT NULL ON CONFLICT DO NOTHING")  # fmt: skip
    if table.partitioned:
        cursor.execute(
            "SELECT core.ensure_month(%s, m) FROM "
            "(SELECT DISTINCT date_trunc('month', start AT TIME ZONE 'UTC')::date AS m FROM archived) x",
            (table.name,),
        )
    cursor.execute(_insert(table, wanted))
    found = _count(cursor) if table.children else cursor.rowcount
    cursor.execute("DROP TABLE archived")
    return found


def _insert(table: Table, wanted: Sequence[Column]) -> Composed:
    own = [column for column in wanted if column.of == "own"]
    series = SQL("series, ") if table.series else SQL("")
    parent = SQL("INSERT INTO {place} ({series}{own}) OVERRIDING SYSTEM VALUE SELECT {key}{given} "
                 "FROM archived a {named} ON CONFLICT DO NOTHING").format(
        place=table.place, series=series, key=SQL("s.id, ") if table.series else SQL(""),
        own=SQL(", ").join(Identifier(c.name) for c in own), given=SQL(", ").join(map(_given, own)),
        named=SQL("LEFT JOIN core.series s ON s.source = a.source AND s.symbol = a.symbol" if table.series else ""),
    )  # fmt: skip
    if not table.children:
        return parent
    # Only with the rows that came back by this: of those that are there already, what belongs to them is there too.
    key = SQL(", ").join(map(Identifier, table.key))
    given = {column.name for column in wanted if column.of == "child"}
    children = [
        SQL(", {put} AS (INSERT INTO core.{child} SELECT r.* FROM put JOIN archived a USING ({key}) CROSS JOIN LATERAL "
            "jsonb_populate_recordset(NULL::core.{child}, a.{child}) r ON CONFLICT DO NOTHING)").format(
            put=Identifier(f"put_{child}"), child=Identifier(child), key=key)
        for child in table.children if child in given
    ]  # fmt: skip
    put = SQL("WITH put AS ({} RETURNING {})").format(parent, key)
    return put + SQL("").join(children) + SQL(" SELECT count(*) FROM put")


def note_archived(cursor: Cursor, table: Table, interval: str, month: date) -> None:
    """Remember that a month is in the archive and no longer in its table."""
    cursor.execute(
        "INSERT INTO core.archived (table_name, interval, month, archived_at) VALUES (%s, %s, %s, now()) "
        "ON CONFLICT (table_name, interval, month) DO UPDATE SET archived_at = excluded.archived_at",
        (table.name, interval, month),
    )
    cursor.execute(
        "DELETE FROM core.restored WHERE table_name = %s AND interval = %s AND month = %s",
        (table.name, interval, month),
    )


def note_put_back(cursor: Cursor, table: Table, interval: str, month: date) -> None:
    """Remember that rows of a month came out of an archive."""
    cursor.execute(
        "INSERT INTO core.restored (table_name, interval, month, restored_at) VALUES (%s, %s, %s, now()) "
        "ON CONFLICT (table_name, interval, month) DO UPDATE SET restored_at = excluded.restored_at",
        (table.name, interval, month),
    )


def note_restored(cursor: Cursor, table: Table, interval: str, month: date) -> None:
    """Forget that a month was taken out: all of it is back."""
    cursor.execute(
        "DELETE FROM core.archived WHERE table_name = %s AND interval = %s AND month = %s",
        (table.name, interval, month),
    )


def archived_months(cursor: Cursor, table: str, interval: str, since: date, until: date) -> list[date]:
    """The months that touch the days from ``since`` to ``until`` (both included) and were taken out of a table."""
    cursor.execute(
        "SELECT month FROM core.archived WHERE table_name = %s AND interval = %s AND month >= %s AND month <= %s "
        "ORDER BY 1",
        (table, interval, since.replace(day=1), until),
    )
    return [month for (month,) in cursor]


def _count(cursor: Cursor) -> int:
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def _from(table: Table) -> Composed:
    named = SQL(" LEFT JOIN core.series s ON s.id = t.series" if table.series else "")
    return SQL("FROM {} t").format(table.place) + named


# The months of a recording are always old: what somebody plays back stays.
_OF_OUR_SERIES = SQL("t.series = ANY(ARRAY(SELECT s.id FROM core.series s WHERE s.source NOT LIKE '%~replay'))")


def _chosen(table: Table, interval: str) -> Composed:
    """Which rows of an interval may go, beside `_from`."""
    own = SQL("(s.source IS NULL OR s.source NOT LIKE '%~replay') AND " if table.series else "")
    return own + _rows(table, interval)


def _rows(table: Table, interval: str) -> Composed:
    by_row = SQL("t.interval = {} AND ").format(Value(interval)) if table.limit == EVERY_INTERVAL else SQL("")
    return by_row + SQL("({})").format(SQL(table.free))


def _within(table: Table, month: date) -> Composed:
    following = (month.replace(day=28) + (date(2000, 1, 5) - date(2000, 1, 1))).replace(day=1)
    at = _time(table)
    return SQL(" AND {} >= {} AND {} < {}").format(at, _moment(table, month), at, _moment(table, following))


def _time(table: Table) -> Composed:
    return SQL("t.{}").format(Identifier(table.time))


def _moment(table: Table, day: date) -> Value:
    """The beginning of a day (UTC) as the table writes times."""
    if table.kind == "date":
        return Value(day)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Value(start) if table.kind == "timestamptz" else Value(int(start.timestamp()) * 1_000_000)


def _told(table: Table, column: Column) -> Composable:
    if column.of == "child":
        return SQL("(SELECT coalesce(jsonb_agg(c), '[]') FROM core.{} c WHERE {})::text").format(
            Identifier(column.name), SQL(table.children[column.name])
        )
    cast = SQL("::text" if column.as_text else "")
    return SQL("s.{}" if column.of == "series" else "t.{}").format(Identifier(column.name)) + cast


def _given(column: Column) -> Composed:
    # The file holds every number with all its places.
    return SQL("trim_scale(a.{})" if column.type == "numeric" else "a.{}").format(Identifier(column.name))
