"""Full records of the contract from a simulated market, made by the hundred thousand: no object for any trade."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa

from sparktrends.model import MINUTE
from sparktrends.simulator import SOURCE, Block, Market

ID_BYTES = 20
"""Random bytes of an id, which is twice as long in hexadecimal: as long as that of a trade from a recording."""


def market(start: int, symbols: int, rate: float) -> Market:
    """A market that begins at the minute of ``start`` (µs)."""
    return Market(start - start % MINUTE, count=symbols, rate=rate)


def backlog(source: Market, trades: int) -> Iterator[pl.DataFrame]:
    """Exactly so many records (`encoded`), in the order in which they happened."""
    rng = np.random.default_rng(source.seed)
    left = trades
    while left > 0:
        frame = encoded(source, source.next_block(), rng).head(left)
        left -= len(frame)
        yield frame


def encoded(source: Market, block: Block, rng: np.random.Generator) -> pl.DataFrame:
    """The trades of a block as ``key`` and ``value`` (text), with their ``ts`` (µs); received 6.5 ms after it."""
    symbols = pl.Series(list(source.symbols))
    frame = pl.DataFrame(
        {
            "ts": block.ts,
            "key": symbols.gather(block.symbol),
            "price": block.price,
            "price_digits": source.price_digits[block.symbol],
            "size": block.size,
            "size_digits": source.size_digits[block.symbol],
            "id": _ids(rng, len(block)),
        }
    )
    ts = pl.col("ts")
    value = pl.concat_str(
        pl.lit(f'{{"source":"{SOURCE}","symbol":"'),
        "key",
        pl.lit('","ts":'),
        ts,
        pl.lit(',"price":"'),
        _decimal("price"),
        pl.lit('","size":"'),
        _decimal("size"),
        pl.lit('","id":"'),
        "id",
        pl.lit('","received":'),
        ts + 6_544,
        pl.lit("}"),
    )
    return frame.select("ts", "key", value=value)


def _decimal(name: str) -> pl.Expr:
    """A whole number of the symbol's grid as plain digits with a point."""
    digits = pl.col(f"{name}_digits")
    whole, part = pl.col(name) // 10**digits, pl.col(name) % 10**digits
    return pl.concat_str(whole, pl.lit("."), part.cast(pl.String).str.zfill(digits))


def _ids(rng: np.random.Generator, count: int) -> pl.Series:
    raw = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(ID_BYTES), count, [None, pa.py_buffer(rng.bytes(ID_BYTES * count))]
    )
    return pl.Series(raw.cast(pa.binary())).bin.encode("hex")
