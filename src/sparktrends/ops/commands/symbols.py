"""``--symbols``: the names that a person gave, as they are looked for."""

from __future__ import annotations


def as_written(text: str) -> list[str]:
    """The names of the option, none twice.

    >>> as_written("AAPL, aapl,,AAPL")
    ['AAPL', 'aapl']
    """
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def to_ask(text: str) -> list[str] | None:
    """In capitals, as providers are asked; None for all.

    >>> to_ask("aapl,AAPL,btc/usdt"), to_ask("")
    (['AAPL', 'BTC/USDT'], None)
    """
    return as_written(text.upper()) or None


def stored(text: str) -> list[str]:
    """As written and in capitals: whoever writes to `raw.trades` may use small letters, providers do not.

    >>> stored("aapl,MSFT")
    ['aapl', 'MSFT', 'AAPL']
    """
    return as_written(f"{text},{text.upper()}")
