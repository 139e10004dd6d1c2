"""The OpenAPI 3.1 document, made from the resources and their pydantic models."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sparktrends import __version__
from sparktrends.model import MAX_NAME
from sparktrends.serve.api import query, rows
from sparktrends.serve.api.config import PREFIX
from sparktrends.serve.api.problems import TYPE
from sparktrends.serve.api.resources import COMPANIES, RESOURCES, Resource

Json = dict[str, Any]
_REF = "#/components/schemas/{model}"
_MODELS: tuple[type[BaseModel], ...] = (
    *(rows.Health, rows.Ready, rows.ProblemDocument, rows.Silence, rows.Silenced, rows.Acknowledged),
    *dict.fromkeys(resource.row for resource in (*RESOURCES, COMPANIES)),
)
_WHY = {
    "400": "A parameter or the body is not as described here",
    "401": "A key is needed, or this one is not known",
    "403": "The key lacks the scope",
    "404": "There is no such thing, or not yet in this installation",
    "413": "The body is larger than 64 KiB",
    "415": "The body is not application/json",
    "422": "Well formed, but contradictory: an unknown column, from after to, a cursor of another request, "
    "metrics beside adjusted bars",
    "429": "Too many requests; Retry-After says when",
    "500": "A fault of ours",
    "501": "This server cannot follow",
    "503": "The database does not answer; Retry-After says when to try again",
}


def build_document() -> Json:
    """The whole document; the same for every installation of this release."""
    paths: Json = {f"/{r.path}": {"get": _listing(r)} for r in RESOURCES}
    paths["/companies/{symbol}"] = {"get": _listing(COMPANIES, [_symbol()])}
    paths["/health"] = {"get": _get("The process lives", "operations", _json(_ref(rows.Health)))}
    paths["/ready"] = {
        "get": _get("Whether the database answers and data flows", "operations", _json(_ref(rows.Ready)))
    }
    paths["/stream"] = {"get": _stream()}
    paths["/openapi.json"] = {"get": _get("This document", "operations", _json({"type": "object"}))}
    paths["/alerts/{alert}/ack"] = {"post": _acknowledge()}
    paths["/silences"] = {"post": _silence()}
    schemas = models_json_schema([(model, "serialization") for model in _MODELS], ref_template=_REF)[1]["$defs"]
    return {
        "openapi": "3.1.0",
        "info": {"title": "SparkTrends", "version": __version__, "description": _INTRODUCTION},
        "servers": [{"url": PREFIX}],
        # Without a key as well: on loopback none is asked for.
        "security": [{}, {"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


_INTRODUCTION = (
    "Bars, indicators, signals and alerts as they are stored. Times are UTC. Prices, sizes and sums are exact "
    "decimals in text. Columns are added, never taken away. A `source` that ends in `~sim` was made up by the "
    "simulator, one that ends in `~replay` is a recording."
)


def _listing(resource: Resource, more: list[Json] | None = None) -> Json:
    page = {
        "type": "object",
        "required": ["data", "next"],
        "properties": {
            "data": {"type": "array", "items": _ref(resource.row)},
            "next": {"type": ["string", "null"], "description": "The cursor of the next page; null: this was the last"},
        },
    }
    content = {"application/json": {"schema": page}, "text/csv": {"schema": {"type": "string"}}}
    return _get(resource.summary, "data", content, [*(more or []), *_parameters(resource.query)])


def _stream() -> Json:
    last = {
        "name": "Last-Event-ID",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "maxLength": 400},
        "description": "The id seen last: nothing behind it is left out or told twice.",
    }
    events = {"text/event-stream": {"schema": {"type": "string"}}}
    found = _get("Every change as it is committed", "data", events, [*_parameters(query.StreamQuery), last])
    found["description"] = (
        "Events `bars` and `signals` hold the rows that a commit changed, as they are now: each takes the place of "
        "what you have of its key. `reset`: what happened since the id is kept no longer, load pages. `slow`: closed, "
        "come back. A heartbeat comes every 10 seconds."
    )
    return found


def _acknowledge() -> Json:
    path = {"name": "alert", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"}}
    found = _get("Mark an alert as seen (scope admin)", "alerts", _json(_ref(rows.Acknowledged)), [path])
    found["responses"] |= _problems("413", "415")
    return found


def _silence() -> Json:
    found = _get("Keep alerts quiet for a while (scope admin)", "alerts", _json(_ref(rows.Silenced)))
    found["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(rows.Silence)}}}
    found["responses"] |= _problems("413", "415")
    return found


def _get(summary: str, tag: str, content: Json, parameters: list[Json] | None = None) -> Json:
    headers = {"ETag": {"schema": {"type": "string"}}, "Link": {"schema": {"type": "string"}}}
    return {
        "summary": summary,
        "tags": [tag],
        "parameters": parameters or [],
        "responses": {
            "200": {"description": summary, "content": content, "headers": headers},
            "304": {"description": "As If-None-Match says, the caller has it"},
            **_problems("400", "401", "403", "404", "422", "429", "500", "503"),
            **(_problems("501") if "text/event-stream" in content else {}),
        },
    }


def _problems(*statuses: str) -> Json:
    content = {TYPE: {"schema": _ref(rows.ProblemDocument)}}
    return {status: {"description": _WHY[status], "content": content} for status in statuses}


def _parameters(model: type[query.Query]) -> list[Json]:
    schema = model.model_json_schema()
    required = schema.get("required", [])
    return [_parameter(name, dict(found), name in required) for name, found in schema["properties"].items()]


def _parameter(name: str, found: Json, required: bool) -> Json:
    description = found.pop("description", "")
    found.pop("title", None)
    if found.get("default", "") is None:
        del found["default"]
    if any(choice.get("type") == "null" for choice in found.get("anyOf", [])):
        # None means "not given": nobody can send it in a query.
        choices = [choice for choice in found.pop("anyOf") if choice.get("type") != "null"]
        found |= choices[0] if len(choices) == 1 else {"anyOf": choices}
    made = {"name": name, "in": "query", "required": required, "description": description, "schema": found}
    return made | ({"style": "form", "explode": False} if found.get("type") == "array" else {})


def _symbol() -> Json:
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_NAME, "pattern": query.NAMED}
    return {"name": "symbol", "in": "path", "required": True, "schema": schema, "description": "Such as AAPL."}


def _ref(model: type[BaseModel]) -> Json:
    return {"$ref": _REF.format(model=model.__name__)}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}
