"""A listing as a response: query to page, page to body, with the cursor of what follows."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from flask import Request, Response

from sparktrends.serve.api import paging, render
from sparktrends.serve.api.problems import Problem
from sparktrends.serve.api.query import BarsQuery, PageQuery, SignalsQuery, SpanQuery
from sparktrends.serve.api.resources import Resource
from sparktrends.serve.api.tails import Body, Line, Question, Tails
from sparktrends.store.serving import Catalog, Wanted, catalog, extra_names, page
from sparktrends.store.sessions import Sessions

_NOT_METRICS = frozenset(
    {"source", "symbol", "interval", "start", "revision", "updated_at", "series", "extra", "final", "warm"}
)
_MAX_DAYS = 366 * 30
# Who asks for nonsense again and again shall not make the database look for it each time.
_LOOK_AGAIN_S = 5.0
_NAMING = ("symbol", "source", "interval")


class Reader:
    """Answers listings. The catalog of views is read once, and again when one is asked for that was not there."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._tails = Tails(sessions)
        self._catalog: Catalog = {}
        self._extras: Sequence[str] = ()
        self._looked_at = -_LOOK_AGAIN_S
        self._lock = threading.Lock()

    def respond(
        self, request: Request, resource: Resource, query: PageQuery, fixed: Mapping[str, Sequence[str]] | None = None
    ) -> Response:
        """One page; raises Problem, and Retryable while the database is away."""
        known = self._known(resource)
        kinds = dict(known[resource.listing.view])
        columns = _columns(resource, query, kinds)
        metrics = self._metrics(query, known)
        equal = {**_equal(resource, query, kinds), **(fixed or {})}
        span, missing, sharing = _span(query), _missing(query), _sharing(query, kinds)
        # What decides which rows there are: columns, limit and format may change from page to page.
        chosen = {"equal": equal, "span": span, "missing": missing, "sharing": sharing, "order": query.order}
        belongs = paging.print_of(resource.path, chosen)
        wanted = Wanted(
            columns,
            equal,
            *span,
            self._after(resource, query, belongs, kinds),
            # One more than asked: whether there is a next page, without counting.
            query.limit + 1,
            query.order == "desc",
            missing,
            metrics,
            sharing,
        )
        if _newest(resource, query):
            return self._tail_page(request, resource, query, known, wanted, belongs)
        found = self._sessions.read(lambda cursor: page(cursor, known, resource.listing, wanted))
        following = None
        if len(found) > query.limit:
            found.pop()
            following = paging.encode(belongs, found[-1], resource.listing.keys)
        return _body(request, query, found, kinds, (*columns, *metrics), following)

    def _tail_page(
        self, request: Request, resource: Resource, query: PageQuery, known: Catalog, wanted: Wanted, belongs: str
    ) -> Response:
        """The newest rows, from what is at hand: the question that charts and scripts ask again and again."""
        kinds, columns, keys = known[resource.listing.view], (*wanted.columns, *wanted.metrics), resource.listing.keys

        def load(since: datetime | None, count: int) -> list[Line]:
            of_this = replace(wanted, since=since, limit=count)
            found = self._sessions.read(lambda cursor: page(cursor, known, resource.listing, of_this))
            texts = render.row_texts(found, kinds, columns)
            return [Line(tuple(row[k] for k in keys), text) for row, text in zip(found, texts, strict=True)]

        def make(lines: Sequence[Line], more: bool) -> Body:
            following = paging.encode(belongs, dict(zip(keys, lines[-1].key, strict=True)), keys) if more else None
            body = render.page_text([line.text for line in lines], following)
            return body, render.tag_of(body)

        symbols, sources, (interval,) = (tuple(wanted.equal.get(name, ())) for name in _NAMING)
        question = Question(resource.listing.view, columns, symbols, sources, str(interval))
        body, tag = self._tails.body(question, query.limit, load, make)
        return render.respond(request, body, tag=tag)

    def _known(self, resource: Resource) -> Catalog:
        view, needed = resource.listing.view, set(resource.listing.keys)
        if not needed <= self._catalog.get(view, {}).keys():
            with self._lock:
                self._catalog = self._sessions.read(catalog)
        if not needed <= self._catalog.get(view, {}).keys():
            raise Problem(404, f"{resource.path} is not part of this installation yet")
        return self._catalog

    def _metrics(self, query: PageQuery, known: Catalog) -> tuple[str, ...]:
        """The metrics that are asked for: columns, and what the settings of this installation make besides."""
        if not isinstance(query, BarsQuery) or query.metrics is None:
            return ()
        if query.adjustment != "raw":
            raise Problem(422, "metrics are made of raw prices: ask for them without adjustment=split")
        columns = [name for name in known.get("metrics", {}) if name not in _NOT_METRICS]
        more = [name for name in query.metrics if name not in columns]
        there = [*columns, *self._known_extras(more)]
        if unknown := [name for name in more if name not in there]:
            raise Problem(422, f"no metric {unknown[0]}: there are {', '.join(there)}")
        return tuple(dict.fromkeys(query.metrics))

    def _known_extras(self, asked: Sequence[str]) -> Sequence[str]:
        """The keys of ``extra``, read again when one is asked for that was not there."""
        if not set(asked) <= set(self._extras):
            with self._lock:
                if time.monotonic() - self._looked_at >= _LOOK_AGAIN_S:
                    self._extras = self._sessions.read(extra_names)
                    self._looked_at = time.monotonic()
        return self._extras

    @staticmethod
    def _after(resource: Resource, query: PageQuery, belongs: str, kinds: Mapping[str, str]) -> list[Any] | None:
        if query.cursor is None:
            return None
        return paging.decode(query.cursor, belongs, [kinds[key] for key in resource.listing.keys])


def _newest(resource: Resource, query: PageQuery) -> bool:
    """Whether the newest rows of named series are asked for, in the form that is kept."""
    plain = query.format == "json" and query.order == "desc" and query.cursor is None
    return resource.kept and plain and _span(query) == (None, None)


def _columns(resource: Resource, query: PageQuery, kinds: Mapping[str, str]) -> tuple[str, ...]:
    shown = tuple(name for name in kinds if name not in resource.hidden)
    if query.fields is None:
        return shown
    if unknown := [name for name in query.fields if name not in shown]:
        raise Problem(422, f"no column {unknown[0]}: there are {', '.join(shown)}")
    return tuple(dict.fromkeys(query.fields))


def _equal(resource: Resource, query: PageQuery, kinds: Mapping[str, str]) -> dict[str, Sequence[Any]]:
    equal: dict[str, Sequence[Any]] = {name: [value] for name, value in resource.fixed.items()}
    for name in resource.filters:
        value = getattr(query, name, None)
        if value is None:
            continue
        if name not in kinds:
            raise Problem(422, f"{resource.path} cannot be chosen by {name}")
        equal[name] = list(dict.fromkeys(value)) if isinstance(value, list) else [value]
    return equal


def _missing(query: PageQuery) -> tuple[str, ...]:
    """Columns that must be null."""
    return ("retracted_at",) if isinstance(query, SignalsQuery) and query.retracted == "exclude" else ()


def _sharing(query: PageQuery, kinds: Mapping[str, str]) -> dict[str, Sequence[str]]:
    """Stories are about several symbols: one of those asked for is enough."""
    symbols = getattr(query, "symbol", None) if "symbols" in kinds else None
    return {"symbols": symbols} if symbols else {}


def _span(query: PageQuery) -> tuple[Any, Any]:
    if not isinstance(query, SpanQuery):
        return None, None
    since, until = query.from_, query.to
    if since is not None and until is not None:
        if since >= until:
            raise Problem(422, "from must be before to")
        if (until - since).days > _MAX_DAYS:
            raise Problem(422, f"from and to are more than {_MAX_DAYS} days apart")
    return since, until


def _body(
    request: Request,
    query: PageQuery,
    found: render.Rows,
    kinds: Mapping[str, str],
    columns: Sequence[str],
    following: str | None,
) -> Response:
    if query.format == "json":
        return render.respond(request, render.page_text(render.row_texts(found, kinds, columns), following))
    response = render.respond(request, render.as_csv(found, columns), "text/csv; charset=utf-8; header=present")
    # As it stands in an address: a symbol may hold what no header can, or what ends one of its parts.
    name = quote(request.path.rpartition("/")[2][:40])
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    if following is not None:
        there = urlencode({**request.args.to_dict(), "cursor": following})
        response.headers["Link"] = f'<{quote(request.path)}?{there}>; rel="next"'
    return response
