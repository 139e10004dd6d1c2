"""Cursors: the key of the last row and a print of the request it belongs to, opaque and safe to hand back."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import orjson

from sparktrends.serve.api.problems import Problem

_STAMP = "timestamp with time zone"
_NUMERIC = re.compile(r"-?[0-9]{1,60}(\.[0-9]{1,60})?\Z", re.ASCII)


def print_of(path: str, parameters: Mapping[str, Any]) -> str:
    """A short hash of everything that decides the order and the choice of rows, in whatever order it is named."""
    text = orjson.dumps([path, parameters], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:12]


def encode(belongs: str, row: Mapping[str, Any], keys: Sequence[str]) -> str:
    """The cursor of the page that begins behind ``row``."""
    text = orjson.dumps([belongs, *(row[key] for key in keys)])
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decode(cursor: str, belongs: str, kinds: Sequence[str]) -> list[Any]:
    """The key in a cursor, one value per type of ``kinds``; raises Problem 422 for one that we did not make."""
    try:
        said, *values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if said != belongs:
            raise ValueError("of another request")
        return [_value(value, kind) for value, kind in zip(values, kinds, strict=True)]
    except (ValueError, TypeError, OverflowError):
        raise Problem(422, "this cursor does not belong to this request: begin again without it") from None


def _value(value: Any, kind: str) -> Any:
    if kind == _STAMP:
        return datetime.fromisoformat(value)
    if kind == "date":
        return date.fromisoformat(value)
    # PostgreSQL takes no NUL in text: it would be an error of ours, for a cursor of somebody else's.
    if not isinstance(value, str) or "\x00" in value or len(value) > 200:
        raise ValueError(kind)
    if kind == "numeric" and not _NUMERIC.match(value):
        raise ValueError(kind)
    return value
