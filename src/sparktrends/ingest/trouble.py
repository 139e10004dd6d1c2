"""What keeps a source from taking in what is wanted, in sentences for people. Pure.

A closed exchange, a spent quota and a plan that lacks something are told; a feed that is dead while its market trades
raises an alert as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from sparktrends.ingest.heartbeats import Feed
from sparktrends.model import MINUTE, SECOND
from sparktrends.net.quota import in_words
from sparktrends.sessions import Session

Kind = Literal["down", "silent", "quiet", "closed", "quota", "refused"]
ALARMING: frozenset[Kind] = frozenset({"down", "silent"})
"""Kinds that mean that data is missed."""
# The first connection takes seconds: a start should not begin with a complaint.
_PATIENCE = 10 * SECOND
_QUIET = 5
"""So many times longer than a whole feed one symbol may be silent before anybody hears of it."""
_SHOWN = 5
_PACE_S = 120.0
"""A call held for less is the everyday pace: the window of a minute is spent and begins anew."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One sentence about one source; ``since`` is when it began (µs UTC), ``symbols`` whose data is missed."""

    source: str
    kind: Kind
    words: str
    since: int
    symbols: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As it is kept in a file."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Trouble:
        """The reverse of `to_json`."""
        return cls(**{**row, "symbols": tuple(row["symbols"])})


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of one source at ``now``.

    ``market`` says what a symbol's exchange does, ``failure`` why the last connection or call failed (empty: it did
    not), ``quota_s`` how long the quota holds back a call that waits, ``refused`` what the provider will not give. A
    symbol may be silent for ``patience`` (µs). ``barless`` are symbols whose bars are polled beside a socket and do not
    come, and since when (µs); what polling failed with is ``bars_failure``, and it may go on for ``bars_patience``.
    Without a ``socket`` calls are all there is.
    """

    source: str
    now: int
    feeds: Mapping[str, Feed]
    market: Callable[[str], Session]
    failure: str = ""
    quota_s: float = 0.0
    refused: Sequence[str] = ()
    patience: int = MINUTE
    barless: Mapping[str, int] = field(default_factory=dict)
    bars_failure: str = ""
    bars_patience: int = MINUTE
    socket: bool = False


def troubles(look: Look) -> list[Trouble]:
    """Everything that a person should know of the source now; nothing when all of it comes."""
    # A symbol whose past is being fetched is silent on purpose.
    markets = {symbol: look.market(symbol) for symbol, feed in look.feeds.items() if not feed.arriving}
    trading = {symbol: session for symbol, session in markets.items() if session.trading}
    down = [s for s in trading if not look.feeds[s].up and look.now - look.feeds[s].down_since > _PATIENCE]
    silent = {s: _silence(look.feeds[s], session) for s, session in trading.items() if look.feeds[s].up}
    feed = [*_down(look, down), *_silent(look, silent)]
    missed = [*feed, *_barless(look, {s: session for s, session in trading.items() if look.feeds[s].up})]
    if trading and (look.quota_s > _PACE_S or (look.quota_s and down and not look.socket)):
        # It explains why nothing comes of calls; calling that a dead feed would send people looking.
        missed = [_spent(look), *(feed if look.socket else [])]
    return [
        *_closed(look, {s: session.opens or 0 for s, session in markets.items() if not session.trading}),
        *missed,
        *(Trouble(look.source, "refused", f"{look.source}: {plain(words)}", look.now) for words in look.refused),
    ]


def _silence(feed: Feed, session: Session) -> int:
    """Since when nothing has come of a market that trades."""
    # From the opening at the earliest: the night was no silence.
    return max(feed.last_data or feed.down_since, session.opens or 0)


def _closed(look: Look, opens: Mapping[str, int]) -> Iterator[Trouble]:
    for at in sorted(set(opens.values())):
        symbols = named(symbol for symbol in opens if opens[symbol] == at)
        words = f"the market of {symbols} is closed until {clock(at)}; prices come then"
        yield Trouble(look.source, "closed", f"{look.source}: {words}", look.now)


def _spent(look: Look) -> Trouble:
    words = f"its quota is spent; the next call goes in {in_words(look.quota_s)}"
    meanwhile = ", and until then only its socket brings data" if look.socket else ""
    return Trouble(look.source, "quota", f"{look.source}: {words}{meanwhile}", look.now)


def _down(look: Look, symbols: Sequence[str]) -> Iterator[Trouble]:
    if not symbols:
        return
    since = min(look.feeds[symbol].down_since for symbol in symbols)
    why = plain(look.failure) or "it has not answered yet"
    words = f"nothing of {named(symbols)} since {clock(since)}: {why}"
    yield Trouble(look.source, "down", f"{look.source}: {words}", since, tuple(symbols))


def _silent(look: Look, silences: Mapping[str, int]) -> Iterator[Trouble]:
    silent = {symbol: since for symbol, since in silences.items() if look.now - since > look.patience}
    kind: Kind = "silent"
    if len(silent) < len(silences):
        # One symbol may just not be traded; all of them at once are a feed that is dead.
        kind = "quiet"
        silent = {symbol: since for symbol, since in silent.items() if look.now - since > _QUIET * look.patience}
    if silent:
        since = min(silent.values())
        words = f"nothing of {named(silent)} since {clock(since)}, though the connection lives"
        yield Trouble(look.source, kind, f"{look.source}: {words}", since, tuple(silent))


def _barless(look: Look, trading: Mapping[str, Session]) -> Iterator[Trouble]:
    """A socket of prices makes no bar: while the polls beside it bring none, no bar comes at all."""
    since = {s: max(at, trading[s].opens or 0) for s, at in look.barless.items() if s in trading}
    late = {symbol: at for symbol, at in since.items() if look.now - at > look.bars_patience}
    if late:
        why = plain(look.bars_failure) or "its answers hold none"
        words = f"no bars of {named(late)} since {clock(min(late.values()))}, though prices come: {why}"
        yield Trouble(look.source, "down", f"{look.source}: {words}", min(late.values()), tuple(late))


def plain(words: str) -> str:
    """An error's words without the provider's name before them.

    >>> plain("twelve_data: not in your plan"), plain("finnhub refuses the key")
    ('not in your plan', 'finnhub refuses the key')
    """
    name, found, rest = words.partition(": ")
    return rest if found and " " not in name else words


def named(symbols: Iterable[str]) -> str:
    """Some symbols by name and the rest by number.

    >>> named(["A", "B"]), named("ABCDEFG")
    ('A, B', 'A, B, C, D, E and 2 more')
    """
    listed = list(symbols)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more


def clock(at: int) -> str:
    """A time as people read it.

    >>> clock(1_732_147_200_000_000)
    'Thu 2024-11-21 00:00 UTC'
    """
    return f"{datetime.fromtimestamp(at // SECOND, UTC):%a %Y-%m-%d %H:%M} UTC"
