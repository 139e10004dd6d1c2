"""The Flask application: one route for each resource, and the few that are not listings."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from functools import partial
from importlib import resources
from time import perf_counter
from typing import Any, TypeVar

import orjson
from flask import Flask, Response, g, redirect, request
from pydantic import BaseModel, ValidationError

from sparktrends import __version__
from sparktrends.model import HOUR, MAX_NAME
from sparktrends.serve.api import problems, render, rows
from sparktrends.serve.api.config import PREFIX, ApiConfig
from sparktrends.serve.api.document import build_document
from sparktrends.serve.api.events import Choice
from sparktrends.serve.api.guard import Caller, Guard, Keys, require
from sparktrends.serve.api.hub import ENVIRON_KEY, Hub
from sparktrends.serve.api.listing import Reader
from sparktrends.serve.api.problems import Problem
from sparktrends.serve.api.query import NAMED, Query, StreamQuery, parse_query
from sparktrends.serve.api.resources import BARS, COMPANIES, RESOURCES, SPLIT_BARS, Resource
from sparktrends.store.conditions import Conditions
from sparktrends.store.serving import QUIET_S, readiness
from sparktrends.store.sessions import Sessions
from sparktrends.telemetry import Clock, histogram, system_clock

_SECONDS = histogram("api_seconds", "Time to answer a request of the API", ("route", "status"))
# Law 11: pages load nothing from other hosts, and nobody frames them.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)
_STATIC = {"docs": ("docs.html", "text/html; charset=utf-8"), "docs.js": ("docs.js", "text/javascript; charset=utf-8"),
           "docs.css": ("docs.css", "text/css; charset=utf-8")}  # fmt: skip
_ALERT = re.compile(r"[0-9a-f]{32}\Z", re.ASCII)
M = TypeVar("M", bound=BaseModel)


class Api:
    """One API: its connections, its stream, its app. ``close`` gives the connections back."""

    def __init__(self, config: ApiConfig, clock: Clock = system_clock) -> None:
        self.config = config
        self.clock = clock
        self.reader = Sessions(config.reader, "api", size=config.threads)
        self.owner = Sessions(config.owner, "api keys", size=2)
        self.guard = Guard(config, Keys(self.owner, clock), clock)
        self.pages = Reader(self.reader)
        self.hub = Hub(config.reader, self.reader, clock, config.listeners)
        self.app = Flask(__name__, static_folder=None)
        _wire(self)

    def close(self) -> None:
        """Stop the stream and close every connection."""
        self.hub.close()
        self.reader.close()
        self.owner.close()


def create_app(config: ApiConfig, clock: Clock = system_clock) -> Flask:
    """The application, for any WSGI server; only ours (`server.serve`) can follow the stream."""
    api = Api(config, clock)
    api.app.extensions["sparktrends"] = api
    return api.app


def _wire(api: Api) -> None:
    app = api.app
    app.config["MAX_CONTENT_LENGTH"] = api.config.body_bytes
    # Else `//` in the path answers with a redirect, and a symbol may hold a stroke.
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
    problems.install(app)
    app.before_request(partial(_before, api))
    app.after_request(partial(_after, api))
    for resource in RESOURCES:
        _route(app, resource.path, partial(_listing, api, resource))
    _route(app, "companies/<path:symbol>", partial(_company, api))
    _route(app, "health", _health)
    _route(app, "ready", partial(_ready, api))
    _route(app, "stream", partial(_stream, api))
    _route(app, "openapi.json", partial(_openapi, render.dump(build_document())))
    # Whoever types the address that `up` shows wants to know what there is.
    app.add_url_rule("/", "home", lambda: redirect(f"{PREFIX}/docs"))
    for name, (file, kind) in _STATIC.items():
        _route(app, name, partial(_file, file, kind))
    _route(app, "alerts/<alert>/ack", partial(_acknowledge, api), "POST")
    _route(app, "silences", partial(_silence, api), "POST")


def _route(app: Flask, path: str, view: Any, method: str = "GET") -> None:
    app.add_url_rule(f"{PREFIX}/{path}", path, view, methods=[method])


def _before(api: Api) -> None:
    g.began = perf_counter()
    g.caller = api.guard.admit(request)
    # Whoever watches this process need not be able to read its data.
    if request.endpoint != "health":
        require(g.caller, "admin" if request.method == "POST" else "read")


def _after(api: Api, response: Response) -> Response:
    headers = response.headers
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Content-Security-Policy"] = _POLICY
    origin = request.headers.get("Origin", "")
    if origin and api.config.may_read(origin):
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = "ETag, Link, Retry-After"
    # Else a cache may hand the answer for one page's origin to another's.
    if origin:
        response.vary.add("Origin")
    if "began" in g:
        _SECONDS.labels(request.endpoint or "unknown", response.status_code).observe(perf_counter() - g.began)
    return response


def _listing(api: Api, resource: Resource) -> Response:
    query = parse_query(resource.query, request.args)
    if resource is BARS and getattr(query, "adjustment", "raw") == "split":
        resource = SPLIT_BARS
    return api.pages.respond(request, resource, query)


def _company(api: Api, symbol: str) -> Response:
    query = parse_query(COMPANIES.query, request.args)
    if len(symbol) > MAX_NAME or not re.fullmatch(NAMED, symbol):
        raise Problem(404, "no symbol has this name")
    return api.pages.respond(request, COMPANIES, query, {"symbol": [symbol]})


def _health() -> Response:
    parse_query(Query, request.args)
    return render.respond(request, render.dump({"status": "alive", "version": __version__}))


def _ready(api: Api) -> Response:
    """Raises Retryable, hence 503, while the database does not answer. Not so while nothing new comes: what is stored
    can be read then, and an orchestrator that restarts the API would mend nothing."""
    parse_query(Query, request.args)
    known = asdict(api.reader.read(readiness))
    told = {"status": "ready", **known, "expected_s": QUIET_S, "listeners": api.hub.listening}
    return render.respond(request, render.dump(told))


def _openapi(document: bytes) -> Response:
    parse_query(Query, request.args)
    return render.respond(request, document)


def _file(name: str, kind: str) -> Response:
    body = (resources.files("sparktrends.serve.api") / "static" / name).read_bytes()
    return render.respond(request, body, kind)


def _stream(api: Api) -> Response:
    query = parse_query(StreamQuery, request.args)
    choice = Choice.of(query.symbol, query.source, query.kind)
    if not request.environ.get(ENVIRON_KEY + ".able"):
        raise Problem(501, "this server cannot follow: start the API with `sparktrends api`")
    listener = api.hub.listen(choice, request.headers.get("Last-Event-ID", ""))
    request.environ[ENVIRON_KEY] = listener
    # No length, no end: the server takes the connection over when these first bytes are out.
    response = Response(iter([listener.greeting]), content_type="text/event-stream", direct_passthrough=True)
    response.headers["Cache-Control"] = "no-store"
    # A proxy like nginx would collect events until its buffer is full.
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _acknowledge(api: Api, alert: str) -> Response:
    parse_query(Query, request.args)
    caller: Caller = g.caller
    if not _ALERT.match(alert):
        raise Problem(404, "no alert has this id")
    _checked_body(Query, optional=True)
    conditions = Conditions(api.config.owner, "api")
    try:
        conditions.acknowledge(alert, caller.name, api.clock())
    finally:
        conditions.close()
    return render.respond(request, render.dump({"id": alert, "acknowledged_by": caller.name}))


def _silence(api: Api) -> Response:
    parse_query(Query, request.args)
    caller: Caller = g.caller
    wish = _checked_body(rows.Silence)
    match = {name: value for name in ("rule", "source", "symbol") if (value := getattr(wish, name)) is not None}
    now = api.clock()
    conditions = Conditions(api.config.owner, "api")
    try:
        number = conditions.silence(match, now + int(wish.hours * HOUR), now, caller.name, "by the API")
    finally:
        conditions.close()
    return render.respond(request, render.dump({"id": number}))


def _checked_body(model: type[M], *, optional: bool = False) -> M:
    """The JSON body as a model. JSON only: a form on a foreign page can post no such type."""
    body = request.get_data(cache=False)
    if not body and optional:
        return model()
    if request.mimetype != "application/json":
        raise Problem(415, "send application/json")
    try:
        return model.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"not JSON: {error.msg}") from None
    except ValidationError as error:
        found = json.loads(error.json(include_url=False, include_context=False, include_input=False))
        first = found[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise Problem(400, f"{where[:80]}: {first['msg']}", errors=found[:20]) from None
