"""What the API asks: pages of the views in `market`, put together from identifiers of the catalog, never from text.

A page goes by keyset: rows after the key of the last row of the page before, in the order of the listing's keys.
Numerics come as text (exact, without zeros at the end), JSON as text, everything else as Python values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import sql

from sparktrends.model import INTERVALS
from sparktrends.store.connect import Cursor

Catalog = Mapping[str, Mapping[str, str]]
"""View → column → type, as PostgreSQL names it, of everything in `market`."""

_JSON = ("json", "jsonb")


@dataclass(frozen=True, slots=True)
class Listing:
    """A view as pages of rows. ``keys`` order it and are unique together; ``time`` is what from and to bound.

    ``by_series``: the view has a column ``series`` whose rows are read in order of ``start``, one series at a time;
    so even a year of minutes is read no further than the page. ``starts`` are views of the keys of its parts, where
    the view is a union that cannot be read in the order of an index.
    """

    view: str
    keys: tuple[str, ...]
    time: str = ""
    by_series: bool = False
    starts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """One page: values each column may have, half-open span of time, the key it begins behind, how many, which way.

    ``metrics`` are columns of `market.metrics`, or keys of its column ``extra``, to put beside bars; ``sharing``: an
    array must hold one of these values.
    """

    columns: Sequence[str]
    equal: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    after: Sequence[Any] | None = None
    limit: int = 100
    descending: bool = True
    missing: Sequence[str] = ()
    metrics: Sequence[str] = ()
    sharing: Mapping[str, Sequence[str]] = field(default_factory=dict)


def catalog(cursor: Cursor) -> Catalog:
    """The views that this installation has."""
    found: dict[str, dict[str, str]] = {}
    cursor.execute(
        "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL) FROM pg_class c "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE c.relnamespace = to_regnamespace('market') AND c.relkind IN ('v', 'm', 'r', 'p') "
        "ORDER BY c.relname, a.attnum"
    )
    for view, column, kind in cursor:
        found.setdefault(view, {})[column] = kind
    return found


def extra_names(cursor: Cursor) -> list[str]:
    """The keys of `market.metrics.extra` in the newest row of each series and interval: metrics of the settings."""
    cursor.execute(_EXTRA_NAMES.encode(), {"intervals": list(INTERVALS)})
    return [str(name) for (name,) in cursor]


# Row by row along the index: a look at all metrics for their keys would read them all.
_EXTRA_NAMES = """
SELECT DISTINCT k.name FROM market.series s CROSS JOIN unnest(%(intervals)s::text[]) AS i(interval)
CROSS JOIN LATERAL (SELECT n.extra FROM market.metrics n WHERE n.series = s.series AND n.interval = i.interval
    ORDER BY n.start DESC LIMIT 1) m
CROSS JOIN LATERAL jsonb_object_keys(m.extra) AS k(name) ORDER BY k.name
"""


def page(cursor: Cursor, known: Catalog, listing: Listing, wanted: Wanted) -> list[dict[str, Any]]:
    """The rows of one page, as mappings from column to value; the keys of the listing are always among them."""
    names = list(dict.fromkeys((*wanted.columns, *listing.keys)))
    cursor.execute(_statement(known, listing, wanted, names), _values(wanted))
    columns = (*names, *wanted.metrics)
    return [dict(zip(columns, row, strict=True)) for row in cursor]


def is_json(kind: str) -> bool:
    """Whether a column of this type comes as JSON text."""
    return kind in _JSON


_built: dict[Any, bytes] = {}
_BUILT_MOST = 1000


def _statement(known: Catalog, listing: Listing, wanted: Wanted, names: Sequence[str]) -> bytes:
    """The text of a page's statement: put together once for each shape, as that takes longer than to run it."""
    kinds = tuple(tuple(known[view].items()) for view in (listing.view, *listing.starts))
    equal = tuple((name, len(choices) == 1) for name, choices in wanted.equal.items())
    bounds = (wanted.since is None, wanted.until is None, wanted.after is None, wanted.descending)
    more = (tuple(wanted.metrics), tuple(wanted.missing), tuple(wanted.sharing))
    shape = (listing, kinds, tuple(names), equal, bounds, more)
    if shape not in _built:
        if len(_built) >= _BUILT_MOST:
            _built.clear()
        build = _series_page if listing.by_series else _flat_page
        _built[shape] = build(known, listing, wanted, names).as_bytes(None)
    return _built[shape]


def _values(wanted: Wanted) -> dict[str, Any]:
    """What the placeholders of a page's statement stand for."""
    values: dict[str, Any] = {"limit": wanted.limit, "since": wanted.since, "until": wanted.until}
    values |= {f"is_{name}": _one_or_all(choices) for name, choices in wanted.equal.items()}
    values |= {f"in_{name}": list(choices) for name, choices in wanted.sharing.items()}
    return values | {f"after_{i}": value for i, value in enumerate(wanted.after or ())}


def _one_or_all(choices: Sequence[Any]) -> Any:
    return choices[0] if len(choices) == 1 else list(choices)


def _flat_page(known: Catalog, listing: Listing, wanted: Wanted, names: Sequence[str]) -> sql.Composed:
    return sql.SQL("SELECT {} FROM {} v WHERE {} ORDER BY {} LIMIT %(limit)s").format(
        _selected(known[listing.view], names, "v"),
        sql.Identifier("market", listing.view),
        sql.SQL(" AND ").join(_conditions(listing, wanted, wanted.equal, "v")),
        _order(listing.keys, wanted.descending, "v"),
    )


def _series_page(known: Catalog, listing: Listing, wanted: Wanted, names: Sequence[str]) -> sql.Composed:
    """The newest (oldest) rows of each series by its index, merged: the order of the index does the work."""
    naming = {name: wanted.equal[name] for name in ("source", "symbol") if name in wanted.equal}
    inside = {name: allowed for name, allowed in wanted.equal.items() if name not in naming}
    return sql.SQL(
        "SELECT {columns}{metrics} FROM market.series k {edge} CROSS JOIN LATERAL ("
        "SELECT v.* FROM {view} v WHERE v.series = k.series AND {conditions}{within} "
        "ORDER BY v.start {way} LIMIT %(limit)s) v {joined} WHERE {which} ORDER BY {order} LIMIT %(limit)s"
    ).format(
        columns=_selected(known[listing.view], names, "v"),
        metrics=sql.SQL("").join(_metric(name, known["metrics"]) for name in wanted.metrics),
        view=sql.Identifier("market", listing.view),
        conditions=sql.SQL(" AND ").join(_conditions(listing, wanted, inside, "v")),
        edge=_edge(known, listing, wanted, inside),
        within=sql.SQL(_WITHIN[wanted.descending] if listing.starts else ""),
        way=_way(wanted.descending),
        joined=sql.SQL(_METRICS if wanted.metrics else ""),
        which=sql.SQL(" AND ").join(_equal(naming, "k") or [sql.SQL("true")]),
        order=_order(listing.keys, wanted.descending, "v"),
    )


def _metric(name: str, columns: Mapping[str, str]) -> sql.Composed:
    if name in columns:
        return sql.SQL(", m.{}").format(sql.Identifier(name))
    return sql.SQL(", (m.extra ->> {})::float8").format(sql.Literal(name))


_METRICS = (
    "LEFT JOIN LATERAL (SELECT * FROM market.metrics n"
    " WHERE n.series = v.series AND n.interval = v.interval AND n.start = v.start) m ON true"
)


# The second bound says nothing, but a planner that knows two ends of a span expects few rows in it and goes by the
# index; knowing one it expects a third of the series, and reads all of it into a hash.
_WITHIN = {
    True: " AND v.start >= e.edge AND v.start <= (SELECT timestamptz 'infinity')",
    False: " AND v.start <= e.edge AND v.start >= (SELECT timestamptz '-infinity')",
}


def _edge(known: Catalog, listing: Listing, wanted: Wanted, equal: Mapping[str, Sequence[Any]]) -> sql.Composable:
    """Where the last row of the page can lie at the furthest: the view has a row at every key of each of its parts.

    So a page is full before it gets beyond the n-th key of any part; a part with fewer keys says nothing.
    """
    if not listing.starts:
        return sql.SQL("")
    furthest, nearest, open_end = (
        ("min", "greatest", "-infinity") if wanted.descending else ("max", "least", "infinity")
    )
    nth = [
        sql.SQL(
            "(SELECT {furthest}(x.start) FROM (SELECT v.start FROM {view} v WHERE v.series = k.series AND {conditions}"
            " ORDER BY v.start {way} LIMIT %(limit)s) x HAVING count(*) = %(limit)s)"
        ).format(
            furthest=sql.SQL(furthest),
            view=sql.Identifier("market", part),
            conditions=sql.SQL(" AND ").join(_bounds(known[part], wanted, equal)),
            way=_way(wanted.descending),
        )
        for part in listing.starts
    ]
    return sql.SQL("CROSS JOIN LATERAL (SELECT coalesce({}({}), {}::timestamptz) AS edge) e").format(
        sql.SQL(nearest), sql.SQL(", ").join(nth), sql.Literal(open_end)
    )


def _bounds(kinds: Mapping[str, str], wanted: Wanted, equal: Mapping[str, Sequence[Any]]) -> list[sql.Composable]:
    """What of a page's conditions can be said of keys alone; the key it begins behind is left out only in part."""
    found = _equal({name: allowed for name, allowed in equal.items() if name in kinds}, "v")
    if "adjustment" in kinds and "adjustment" not in equal:
        found.append(sql.SQL("v.adjustment = 'raw'"))
    if wanted.since is not None:
        found.append(sql.SQL("v.start >= %(since)s"))
    if wanted.until is not None:
        found.append(sql.SQL("v.start < %(until)s"))
    if wanted.after is not None:
        # Strictly behind: rows at the very start of the cursor may be on the page too, and come on top.
        found.append(sql.SQL("v.start {} %(after_0)s").format(sql.SQL("<" if wanted.descending else ">")))
    return found


def _conditions(
    listing: Listing, wanted: Wanted, equal: Mapping[str, Sequence[Any]], alias: str
) -> list[sql.Composable]:
    conditions = _equal(equal, alias)
    name = sql.Identifier(alias, listing.time)
    for bound, text in ((wanted.since, "{} >= %(since)s"), (wanted.until, "{} < %(until)s")):
        if bound is not None and listing.time:
            conditions.append(sql.SQL(text).format(name))
    for column in wanted.sharing:
        conditions.append(sql.SQL("{} && {}").format(sql.Identifier(alias, column), sql.Placeholder(f"in_{column}")))
    conditions += [sql.SQL("{} IS NULL").format(sql.Identifier(alias, column)) for column in wanted.missing]
    if wanted.after is not None:
        keys = sql.SQL(", ").join(sql.Identifier(alias, key) for key in listing.keys)
        than = sql.SQL("<" if wanted.descending else ">")
        spots = sql.SQL(", ").join(sql.Placeholder(f"after_{i}") for i in range(len(listing.keys)))
        conditions.append(sql.SQL("({}) {} ({})").format(keys, than, spots))
        # The same for the first key alone: what an index can be entered by.
        first = sql.SQL("{} {}= {}").format(sql.Identifier(alias, listing.keys[0]), than, sql.Placeholder("after_0"))
        conditions.append(first)
    return conditions or [sql.SQL("true")]


def _equal(allowed: Mapping[str, Sequence[Any]], alias: str) -> list[sql.Composable]:
    """One value as an equality: only so does the planner see that an index gives the order asked for."""
    return [
        sql.SQL("{} = {}" if len(choices) == 1 else "{} = ANY({})").format(
            sql.Identifier(alias, name), sql.Placeholder(f"is_{name}")
        )
        for name, choices in allowed.items()
    ]


def _selected(kinds: Mapping[str, str], names: Sequence[str], alias: str) -> sql.Composable:
    return sql.SQL(", ").join(
        sql.SQL(_AS_TEXT.get(kinds[name], "{}")).format(sql.Identifier(alias, name)) for name in names
    )


_AS_TEXT = {
    "numeric": "trim_scale({})::text",
    "json": "{}::text",
    "jsonb": "{}::text",
    "bytea": "encode({}, 'hex')",
    "interval": "extract(epoch FROM {})::float8",
}


def _order(keys: Sequence[str], descending: bool, alias: str) -> sql.Composable:
    way = _way(descending)
    return sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(alias, key), way) for key in keys)


def _way(descending: bool) -> sql.SQL:
    return sql.SQL("DESC" if descending else "ASC")


QUIET_S = 30.0
"""A source that runs speaks of each of its symbols every few seconds: a longer silence of the stream is a fault."""
_TROUBLES = ("ops.away", "ops.lag", "ops.stale_feed")
"""Alerts of the operation that say why nothing new is stored."""
_TITLES = 20


@dataclass(frozen=True, slots=True)
class Readiness:
    """How fresh the store is. Ages in seconds; None before the first commit or series.

    ``flowing``: the stream stored something in the last `QUIET_S`; ``troubles``: titles of alerts that say why not.
    """

    commits: int
    commit_age_s: float | None
    append_age_s: float | None
    series: int
    freshest_age_s: float | None
    stored_age_s: float | None
    flowing: bool
    troubles: list[str]


def readiness(cursor: Cursor) -> Readiness:
    """Ages of the newest commit (repair commits too), of the newest stored record's append, of the freshest series'
    clock and of the stream's last progress, and what is known to be wrong with it."""
    cursor.execute(
        "SELECT (SELECT coalesce(sum(commit), 0)::bigint FROM market.shards),"
        " (SELECT extract(epoch FROM now() - max(updated_at))::float8 FROM market.shards),"
        " (SELECT extract(epoch FROM now() - max(appended_at))::float8 FROM market.progress),"
        " (SELECT count(*) FROM market.series),"
        " (SELECT extract(epoch FROM min(age))::float8 FROM market.freshness),"
        " p.stored_age_s, coalesce(p.stored_age_s < %(quiet)s, false),"
        " ARRAY(SELECT a.title FROM market.alerts a WHERE a.rule = ANY(%(troubles)s) AND a.status = 'firing'"
        " ORDER BY a.created_at, a.id LIMIT %(most)s)"
        " FROM (SELECT extract(epoch FROM now() - max(updated_at))::float8 AS stored_age_s FROM market.progress"
        " WHERE records > 0) p",
        {"quiet": QUIET_S, "troubles": list(_TROUBLES), "most": _TITLES},
    )
    row = cursor.fetchone()
    assert row is not None
    return Readiness(*row)
