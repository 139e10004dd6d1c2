"""Sale conditions: which trades count for volume and turnover but must not move open, high, low, close.

An average-price or derivatively priced trade carries a price that was not the market's at that moment; taking it
gives false wicks. Codes mean different things on different feeds, so the table goes by source (before ``~sim`` or
``~replay``); a source that is not in it has no such codes. Codes that are not in it are kept and change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from sparktrends.model import provider_of

TAPE = frozenset({"B", "W", "4", "C", "N", "R", "H", "V", "7", "P", "Z", "U"})
"""The United States tapes' letters (CTA and UTP): average price (B, W), derivatively priced (4), cash, next day and
seller's settlement (C, N, R), price variation (H), contingent (V, 7), prior reference price (P), sold out of sequence
(Z, U). Odd lots (I) and extended hours (T) do move prices here: thin feeds have little else."""

VOLUME_ONLY: tuple[tuple[str, frozenset[str]], ...] = (("tape", TAPE),)
"""(source, the codes that take a trade out of open, high, low and close); `Limits.volume_only` has a source's own."""


def moves_prices(
    source: str, conditions: Sequence[str], table: Sequence[tuple[str, frozenset[str]]] = VOLUME_ONLY
) -> bool:
    """Whether a trade with these conditions may move open, high, low and close.

    >>> moves_prices("tape", ["W"]), moves_prices("tape~replay", ["F"]), moves_prices("binance", ["W"])
    (False, True, True)
    """
    # Sandbox and recordings speak the codes of the provider that they imitate.
    base = provider_of(source)
    return not conditions or all(codes.isdisjoint(conditions) for name, codes in table if name == base)
