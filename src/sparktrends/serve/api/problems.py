"""Errors as `application/problem+json` (RFC 9457): a title, a status, a sentence, never a trace."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from flask import Flask, Response
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from sparktrends.errors import AccessDenied, BadSetting, NotFound, Retryable

_LOG = logging.getLogger(__name__)
TYPE = "application/problem+json"
_TITLES = {422: "Contradictory request", 429: "Too many requests", 413: "Body too large"}
_RETRY_S = 2


class Problem(Exception):
    """A request that cannot be answered: the status and why; ``errors`` point at what is wrong."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers: dict[str, str] = more.pop("headers", {})
        self.more = more


def document(status: int, title: str, detail: str, **more: Any) -> bytes:
    """The body of a problem."""
    return orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail, **more})


def respond(status: int, title: str, detail: str, **more: Any) -> Response:
    """A problem as a response."""
    response = Response(document(status, title, detail, **more), status, content_type=TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response


def install(app: Flask) -> None:
    """Answer every error of this app with a problem."""
    app.register_error_handler(Problem, _problem)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Retryable, _away)
    # PostgreSQL's refusal, no matter of the caller's: who lacks a right here gets a Problem.
    app.register_error_handler(AccessDenied, _away)
    app.register_error_handler(NotFound, lambda error: respond(404, "Not found", str(error)))
    app.register_error_handler(BadSetting, lambda error: respond(422, _TITLES[422], str(error)))
    app.register_error_handler(Exception, _unexpected)


def _problem(error: Problem) -> Response:
    title = _TITLES.get(error.status) or _name(error.status)
    response = respond(error.status, title, error.detail, **error.more)
    response.headers.update(error.headers)
    return response


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    response = respond(status, _TITLES.get(status) or error.name, error.description or error.name)
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _away(error: Retryable | AccessDenied) -> Response:
    """The database is away, or took too long: the same request may be answered in a moment."""
    _LOG.debug("503: %s", error)  # `store.sessions` says once that the database is away
    response = respond(503, "Not available now", "the database does not answer in time; it is tried again by itself")
    response.headers["Retry-After"] = str(max(1, round(getattr(error, "delay", None) or _RETRY_S)))
    return response


def _unexpected(error: Exception) -> Response:
    _LOG.error("500", exc_info=error)
    return respond(500, "Internal error", "something went wrong here; the log of the API has it")


def _name(status: int) -> str:
    return HTTP_STATUS_CODES.get(status, "Error")
