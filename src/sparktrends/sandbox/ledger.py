"""What the twin did, as JSON lines on disk: the truth that tests hold everybody else to.

========== ==================================================================================================
kind       fields
========== ==================================================================================================
made       symbol, first (id of the first row), rows of [time µs, price, size]
delivered  at, provider, connection, items of [spelling, what identifies the trade there]
fault      at, provider, connection (0 = a call), fault, items
call       at, provider, path, status, weight
ready      at (from here on calls are answered; trades made before are history)
opened     at, provider, connection
closed     at, provider, connection, code
========== ==================================================================================================

A line is written when it has happened, and is on disk at most `SYNC_EVERY` seconds later.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from sparktrends.errors import BadFile
from sparktrends.sandbox.instruments import plain
from sparktrends.sandbox.tape import Row

SYNC_EVERY = 0.2
"""Seconds between two calls of fsync."""


class Writer:
    """Appends to a ledger; without a path it keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("a", encoding="utf-8") if path else None
        self._dirty = False

    def made(self, symbol: str, rows: Iterable[Row]) -> None:
        """Trades that happened, ids following each other."""
        if self._file is None:
            return
        listed = list(rows)
        if listed:
            told = [[ts, plain(price), plain(size)] for _, ts, price, size in listed]
            self.write("made", symbol=symbol, first=listed[0][0], rows=told)

    def write(self, kind: str, **record: Any) -> None:
        """One line."""
        if self._file is not None:
            self._file.write(json.dumps({"kind": kind, **record}, separators=(",", ":")) + "\n")
            self._dirty = True

    def flush(self) -> int | None:
        """Hand everything to the system; the file to call fsync on, or None when nothing was new."""
        if self._file is None or not self._dirty:
            return None
        self._file.flush()
        self._dirty = False
        return self._file.fileno()

    def close(self) -> None:
        """Put everything on disk and close."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None


class Made(NamedTuple):
    """One trade of the market: time in µs, price and size as they are on every provider."""

    ts: int
    price: Decimal
    size: Decimal


class Delivered(NamedTuple):
    """One trade that was handed to one socket."""

    at: int
    provider: str
    connection: int
    wire: str
    id: str


@dataclass(slots=True)
class Ledger:
    """A ledger as read: ``made`` by symbol and id; faults, calls and connections as they were written."""

    made: dict[str, dict[int, Made]] = field(default_factory=dict)
    delivered: list[Delivered] = field(default_factory=list)
    faults: list[Mapping[str, Any]] = field(default_factory=list)
    calls: list[Mapping[str, Any]] = field(default_factory=list)
    connections: list[Mapping[str, Any]] = field(default_factory=list)
    ready: int = 0

    def delivered_ids(self, provider: str, wire: str = "") -> set[tuple[str, str]]:
        """(spelling, id) of everything handed to sockets of a provider, repeats once."""
        return {(d.wire, d.id) for d in self.delivered if d.provider == provider and wire in ("", d.wire)}

    def withheld(self, provider: str) -> set[tuple[str, str]]:
        """(spelling, id) of what gaps, silences and cut frames kept from a socket."""
        lossy = ("gap", "silence", "half_frame", "disconnect")
        rows = [f for f in self.faults if f["provider"] == provider and f["fault"] in lossy]
        return {(wire, i) for row in rows for wire, i in row["items"]}


def read(path: Path) -> Ledger:
    """Read a ledger; a last line that was not finished is left out. BadFile for anything else that is no line of it."""
    ledger = Ledger()
    text = path.read_text("utf-8")
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            _take(ledger, json.loads(line))
        except (ValueError, KeyError, TypeError):
            if number > text.count("\n"):
                break  # the process was killed while it wrote this
            raise BadFile(f"{path}, line {number} is no line of a ledger") from None
    return ledger


def _take(ledger: Ledger, record: dict[str, Any]) -> None:
    kind = record["kind"]
    if kind == "made":
        into = ledger.made.setdefault(record["symbol"], {})
        for i, (ts, price, size) in enumerate(record["rows"], start=record["first"]):
            into[i] = Made(ts, Decimal(price), Decimal(size))
    elif kind == "delivered":
        where = (record["at"], record["provider"], record["connection"])
        ledger.delivered += [Delivered(*where, wire, i) for wire, i in record["items"]]
    elif kind == "ready":
        ledger.ready = record["at"]
    else:
        rows = {"fault": ledger.faults, "call": ledger.calls}.get(kind, ledger.connections)
        rows.append(record)
