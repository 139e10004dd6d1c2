"""Rows as JSON or CSV, with an ETag, packed when the caller understands it."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import orjson
from flask import Request, Response

from sparktrends.serve.api.config import is_loopback
from sparktrends.store.serving import is_json

Rows = Sequence[dict[str, Any]]
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?\Z", re.ASCII)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
# Below it a packet goes out either way.
_PACK_FROM = 1024


def dump(document: object) -> bytes:
    """JSON with times in UTC; a float that is no number becomes null."""
    return orjson.dumps(document, option=orjson.OPT_UTC_Z)


def row_texts(rows: Rows, kinds: Mapping[str, str], columns: Sequence[str]) -> list[bytes]:
    """Each row as JSON: JSON columns are put in as they were stored."""
    raw = [name for name in columns if is_json(kinds.get(name, ""))]
    chosen = [{name: row[name] for name in columns} for row in rows]
    for row in chosen if raw else ():
        for name in raw:
            row[name] = None if row[name] is None else orjson.Fragment(row[name])
    return [dump(row) for row in chosen]


def page_text(rows: Sequence[bytes], following: str | None) -> bytes:
    """The body of a page of rows."""
    return b'{"data":[%s],"next":%s}' % (b",".join(rows), orjson.dumps(following))


def tag_of(body: bytes) -> str:
    """The ETag of a body: the same content packed and not packed has the same, hence weak."""
    return f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def as_csv(rows: Rows, columns: Sequence[str]) -> bytes:
    """A heading and one line a row, lists as JSON. Text that a spreadsheet would run as a formula gets a quote."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(row[name]) for name in columns] for row in rows)
    return out.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if value is None or isinstance(value, bool | int | float | date):
        return value
    if isinstance(value, list):
        return dump(value).decode()
    text = str(value).replace("\x00", "")
    # Negative prices begin with a sign too, and are to stay numbers.
    if text.startswith(_FORMULA) and not _NUMBER.match(text):
        return "'" + text
    return text


def respond(request: Request, body: bytes, kind: str = "application/json", tag: str = "") -> Response:
    """200 with an ETag, 304 when the caller has it already, gzip where it is understood and worth it."""
    response = Response(body, content_type=kind)
    response.headers["ETag"] = tag or tag_of(body)
    response.headers["Cache-Control"] = "no-cache"
    response.vary.add("Accept-Encoding")
    response.make_conditional(request)
    if response.status_code == 200 and _worth_packing(request, body):
        # Level 1: most of the gain for a fraction of the time. wbits 31 writes gzip's own header.
        packer = zlib.compressobj(1, wbits=31)
        response.set_data(packer.compress(body) + packer.flush())
        response.headers["Content-Encoding"] = "gzip"
    return response


def _worth_packing(request: Request, body: bytes) -> bool:
    """Within a machine packing takes ten times as long as sending."""
    asked = len(body) >= _PACK_FROM and request.accept_encodings["gzip"] > 0
    return asked and not is_loopback(request.remote_addr or "")
