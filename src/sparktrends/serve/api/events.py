"""Commits as server-sent events: positions, parts, frames. Pure; `hub` does the sending.

An id is where a listener stands: ``SHARD:COMMIT`` for every shard, separated by commas. A commit that needs several
events numbers them: ``1/1:42.2`` means that two parts of commit 42 were sent; the last part has the plain id. So
a listener that comes back with the id it saw last gets exactly what it has not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from sparktrends.store.changes import Change

# Bounds what one event holds; the same for ever, because ids count parts.
BARS_A_PART = 500
NOWHERE = "-"
# A shard is of printable ASCII without comma and colon, which part the ids.
_ID = re.compile(r"[!-+\--9;-~]{1,20}:[0-9]{1,18}(\.[0-9]{1,9})?\Z", re.ASCII)

Place = tuple[int, int]
"""(commit, parts of it that were sent); a commit that was sent whole is (commit + 1, 0)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a listener wants; None means everything."""

    symbols: frozenset[str] | None = None
    sources: frozenset[str] | None = None
    kinds: frozenset[str] | None = None

    @classmethod
    def of(cls, symbols: Sequence[str] | None, sources: Sequence[str] | None, kinds: Sequence[str] | None) -> Choice:
        """From the lists of a query."""
        return cls(*(None if names is None else frozenset(names) for names in (symbols, sources, kinds)))

    def takes(self, source: str, symbol: str) -> bool:
        """Whether a row of this series is wanted."""
        return (self.symbols is None or symbol in self.symbols) and (self.sources is None or source in self.sources)


@dataclass(frozen=True, slots=True)
class Part:
    """One event of a commit before it is cut to what a listener chose: rows as JSON with their series."""

    kind: str
    rows: tuple[tuple[str, str, bytes], ...]

    def chosen(self, choice: Choice) -> list[bytes]:
        """The rows that a listener wants."""
        if choice.kinds is not None and self.kind not in choice.kinds:
            return []
        return [row for source, symbol, row in self.rows if choice.takes(source, symbol)]


@dataclass(frozen=True, slots=True)
class Told:
    """A commit, ready to be told."""

    shard: str
    commit: int
    at: int
    parts: tuple[Part, ...]

    def frames(self, choice: Choice, places: Mapping[str, Place], sent: int = 0) -> Iterator[bytes]:
        """The events of this commit for one choice, behind the first ``sent`` parts; ``places`` stand before it."""
        for index, part in enumerate(self.parts[sent:], sent + 1):
            if found := part.chosen(choice):
                place = (self.commit + 1, 0) if index == len(self.parts) else (self.commit, index)
                head = orjson.dumps({"shard": self.shard, "commit": self.commit, "at": self.at})[:-1]
                data = b'%s,"%s":[%s]}' % (head, part.kind.encode(), b",".join(found))
                yield frame(part.kind, data, {**places, self.shard: place})


def batches(change: Change) -> list[tuple[tuple[int, str, int], ...]]:
    """The bars of a commit, cut into parts; always the same cut for the same commit."""
    return [change.bars[i : i + BARS_A_PART] for i in range(0, len(change.bars), BARS_A_PART)]


def part_of(kind: str, rows: Sequence[dict[str, Any]]) -> Part:
    """Rows of the store as a part."""
    encoded = []
    for row in rows:
        if "detail" in row and row["detail"] is not None:
            # It is JSON already, and goes in as it was stored.
            row["detail"] = orjson.Fragment(row["detail"])
        encoded.append((row["source"], row["symbol"], orjson.dumps(row, option=orjson.OPT_UTC_Z)))
    return Part(kind, tuple(encoded))


def frame(event: str, data: bytes, places: Mapping[str, Place]) -> bytes:
    """One event. ``data`` is one line."""
    return b"event: %s\nid: %s\ndata: %s\n\n" % (event.encode(), write_id(places).encode(), data)


def heartbeat(places: Mapping[str, Place]) -> bytes:
    """A comment that keeps the connection open, and an id that moves a listener on past what it did not choose."""
    return b": heartbeat\nid: %s\n\n" % write_id(places).encode()


def notice(event: str, hint: str, places: Mapping[str, Place]) -> bytes:
    """``reset`` (something may be missing: load pages) or ``slow`` (closed: come back and choose less)."""
    return frame(event, orjson.dumps({"hint": hint}), places)


def write_id(places: Mapping[str, Place]) -> str:
    """The id of a position; ``-`` stands before the first commit of all.

    >>> write_id({"1/2": (43, 0), "2/2": (17, 3)})
    '1/2:42,2/2:17.3'
    """
    if not places:
        return NOWHERE
    return ",".join(
        f"{shard}:{commit - 1}" if not sent else f"{shard}:{commit}.{sent}"
        for shard, (commit, sent) in sorted(places.items())
    )


def read_id(text: str) -> dict[str, Place] | None:
    """The position of an id; None when it is none of ours.

    >>> read_id("1/2:42,2/2:17.3")
    {'1/2': (43, 0), '2/2': (17, 3)}
    >>> read_id("nonsense") is None
    True
    """
    places: dict[str, Place] = {}
    if text == NOWHERE:
        return places
    for word in text.split(","):
        if not _ID.match(word):
            return None
        shard, _, number = word.partition(":")
        commit, _, sent = number.partition(".")
        places[shard] = (int(commit), int(sent)) if sent and int(sent) else (int(commit) + 1, 0)
    return places
