"""Whom a refusal is about: the symbols that were asked for, or everybody who asks the endpoint.

A refused key is everybody's. What a plan leaves out, and what is refused where no key is involved, is the symbols' own:
plans leave out exchanges as they leave out endpoints, and have answers for all others. Only where nobody was ever
answered do two different symbols tell of the endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable

from sparktrends.errors import AccessDenied, NotInPlan
from sparktrends.sources.base import Event, Notice, Request, Source

EVERYBODY = ""
"""The name that stands for all symbols of an endpoint."""


class Refusals:
    """What one source has answered and refused so far, by endpoint. Pure.

    >>> from sparktrends.sources import make_source
    >>> from sparktrends.sources.base import Ask
    >>> source = make_source("finnhub")
    >>> baba, msft = (source.requests(Ask("quote", (symbol,)))[0] for symbol in ("BABA", "MSFT"))
    >>> refusals, lacks = Refusals(source), NotInPlan("not in your plan")
    >>> [refusals.whose(request, lacks) for request in (baba, baba, msft)]
    [('BABA',), ('BABA',), ('',)]
    """

    def __init__(self, source: Source) -> None:
        self._keyed = source.auth is not None
        self._answering: set[str] = set()
        self._refused: dict[str, set[str]] = {}

    def answered(self, request: Request, events: Iterable[Event]) -> tuple[str, ...]:
        """Take an answer; whom it answers: not those of a batch that the plan leaves out."""
        notices = [e for e in events if isinstance(e, Notice) and e.kind == "refused" and e.plan]
        refused = {symbol for notice in notices for symbol in notice.symbols}
        answered = tuple(symbol for symbol in request.ask.symbols or (EVERYBODY,) if symbol not in refused)
        if answered:
            self._answering.add(request.endpoint)
        return answered

    def whose(self, request: Request, error: AccessDenied) -> tuple[str, ...]:
        """Take a refusal; the symbols it is about, or `EVERYBODY` alone."""
        symbols = request.ask.symbols
        if not symbols or (self._keyed and not isinstance(error, NotInPlan)):
            return (EVERYBODY,)
        refused = self._refused.setdefault(request.endpoint, set())
        refused.update(symbols)
        return symbols if len(refused) == 1 or request.endpoint in self._answering else (EVERYBODY,)
