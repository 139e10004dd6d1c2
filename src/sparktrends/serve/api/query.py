"""Query parameters: pydantic models that the document is made from and every request is checked by.

A model is the truth for both: what the document allows is accepted, anything else is a 400 that names the parameter.
Text is checked in the form in which it came (``1_000`` and ``5.0`` are no integers here), so that both agree.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from werkzeug.datastructures import MultiDict

from sparktrends.serve.api.problems import Problem

MAX_LIMIT = 1000
MAX_SYMBOLS = 50
INTERVAL = Literal["1m", "5m", "15m", "1h", "1d"]
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})\Z", re.ASCII)
_INTEGER = re.compile(r"[1-9][0-9]{0,3}\Z", re.ASCII)


def _time(value: object) -> datetime:
    # A + that nobody encoded arrives as a blank.
    text = str(value).replace(" ", "+")
    if _DATE.match(text):
        text += "T00:00:00Z"
    if not _TIME.match(text):
        raise ValueError("a date (2024-05-01) or a time with its zone (2024-05-01T14:30:00Z)")
    return datetime.fromisoformat(text.upper())


def _limit(value: object) -> int:
    if isinstance(value, str) and not _INTEGER.match(value):
        raise ValueError(f"a whole number from 1 to {MAX_LIMIT}")
    return int(str(value))


def _list(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


NAMED = r"^[^\x00-\x1f\x7f,]+$"
"""What the name of a symbol or source looks like."""
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=NAMED)]
Time = Annotated[
    datetime,
    BeforeValidator(_time),
    WithJsonSchema({"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}),
]
Names = Annotated[list[Name], BeforeValidator(_list), Field(min_length=1, max_length=MAX_SYMBOLS)]


class Query(BaseModel):
    """No parameters but those that are named."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)


class PageQuery(Query):
    """What every listing takes."""

    limit: Annotated[int, BeforeValidator(_limit)] = Field(100, ge=1, le=MAX_LIMIT, description="Most rows of a page.")
    cursor: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{1,600}$",
        description="`next` of the page before; what chooses and orders rows stays the same.",
    )
    order: Literal["desc", "asc"] = Field("desc", description="`desc`: the newest first.")
    format: Literal["json", "csv"] = Field("json", description="CSV has the cursor in its Link header.")
    fields: Annotated[list[Name], BeforeValidator(_list), Field(min_length=1, max_length=80)] | None = Field(
        None, description="Columns to return, all by default."
    )


class SpanQuery(PageQuery):
    """A listing along time."""

    from_: Time | None = Field(None, alias="from", description="Beginning, inclusive.")
    to: Time | None = Field(None, description="End, exclusive.")


class SeriesQuery(SpanQuery):
    """A listing along time of named symbols."""

    symbol: Names | None = Field(None, description="Symbols, separated by commas.")
    source: Names | None = Field(None, description="Sources, separated by commas; all by default.")


class BarsQuery(SeriesQuery):
    """Bars: always of named symbols."""

    symbol: Names = Field(description="Symbols, separated by commas.")
    interval: INTERVAL = Field("1m", description="Length of the bars.")
    adjustment: Literal["raw", "split"] = Field("raw", description="`split`: providers' bars adjusted for splits.")
    metrics: Annotated[list[Name], BeforeValidator(_list), Field(min_length=1, max_length=40)] | None = Field(
        None, description="Columns of metrics, or keys of their `extra`, to put beside each raw bar."
    )


class MetricsQuery(SeriesQuery):
    """Metrics: always of named symbols."""

    symbol: Names = Field(description="Symbols, separated by commas.")
    interval: INTERVAL = Field("1m", description="Length of the bars they were computed from.")


class SignalsQuery(SeriesQuery):
    """Signals; those taken back only when asked for."""

    interval: INTERVAL | None = Field(None, description="Length of the bars.")
    kind: Literal["anomaly", "pattern", "trend", "sequence", "feed"] | None = Field(None, description="What it is.")
    name: Name | None = Field(None, description="Its name.")
    severity: Literal["info", "warning", "critical"] | None = Field(None, description="How grave.")
    retracted: Literal["exclude", "include"] = Field("exclude", description="Signals that a later revision took back.")


class AlertsQuery(SeriesQuery):
    """Alerts."""

    rule: Name | None = Field(None, description="The rule that fired.")
    severity: Literal["info", "warning", "critical"] | None = Field(None, description="How grave.")
    status: Literal["pending", "firing", "resolved", "retracted"] | None = Field(None, description="Where it stands.")


class NewsQuery(SeriesQuery):
    """Stories about some symbols."""

    label: Literal["positive", "neutral", "negative"] | None = Field(None, description="Our sentiment in a word.")


class SymbolsQuery(PageQuery):
    """Every series that is known."""

    order: Literal["asc", "desc"] = Field("asc", description="By source, then symbol.")
    symbol: Names | None = Field(None, description="Symbols, separated by commas.")
    source: Names | None = Field(None, description="Sources, separated by commas.")


class StreamQuery(Query):
    """What a listener wants to hear of; everything by default."""

    symbol: Names | None = Field(None, description="Symbols, separated by commas.")
    source: Names | None = Field(None, description="Sources, separated by commas.")
    kind: Annotated[list[Literal["bars", "signals"]], BeforeValidator(_list), Field(min_length=1)] | None = Field(
        None, description="Kinds of events."
    )


Q = TypeVar("Q", bound=Query)


def parse_query(model: type[Q], given: MultiDict[str, str]) -> Q:
    """The parameters of a request; raises Problem 400 that says which is wrong and why."""
    # Of two values nobody can say which was meant.
    doubled = [name for name, values in given.lists() if len(values) > 1]
    if doubled:
        raise _wrong([{"parameter": name, "why": "given more than once"} for name in doubled])
    try:
        return model.model_validate(given.to_dict())
    except ValidationError as error:
        raise _wrong([_finding(item) for item in error.errors(include_url=False, include_context=False)]) from None


def _finding(item: Any) -> dict[str, str]:
    why = "there is no such parameter" if item["type"] == "extra_forbidden" else str(item["msg"])
    return {"parameter": ".".join(map(str, item["loc"])), "why": why.removeprefix("Value error, ")}


def _wrong(findings: list[dict[str, str]]) -> Problem:
    first = findings[0]
    return Problem(400, f"{first['parameter'][:80]}: {first['why']}", errors=findings[:20])
