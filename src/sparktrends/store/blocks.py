"""Many rows as one piece of what COPY takes: written column by column or line by line, not value by value.

A micro-batch writes thousands of values; handing each to the client costs more than all that PostgreSQL does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""What binary data begins with: no flags, no extension."""
TRAILER = b"\xff\xff"
NULL = "\\N"
"""What no value is in text."""
_KINDS = {"int4": ">i4", "int8": ">i8", "float8": ">f8", "bool": "?"}


def binary_rows(columns: Sequence[tuple[str, NDArray[np.generic]]], tails: Sequence[bytes]) -> bytes:
    """A whole binary COPY: columns (type, n values) in order, and behind them one field of any bytes in each row.

    >>> block = binary_rows([("int4", np.array([7]))], [b"x"])
    >>> block.removeprefix(HEADER).removesuffix(TRAILER).hex(" ", 2)
    '00 0200 0000 0400 0000 0700 0000 0178'
    """
    fields = [("fields", ">i2")]
    for j, (kind, _) in enumerate(columns):
        fields += [(f"size{j}", ">i4"), (f"value{j}", _KINDS[kind])]
    table = np.zeros(len(tails), dtype=[*fields, ("tail", ">i4")])
    table["fields"] = len(columns) + 1
    for j, (kind, values) in enumerate(columns):
        table[f"size{j}"] = np.dtype(_KINDS[kind]).itemsize
        table[f"value{j}"] = values
    table["tail"] = [len(tail) for tail in tails]
    data, width = table.tobytes(), table.itemsize
    rows = (data[j * width : (j + 1) * width] + tail for j, tail in enumerate(tails))
    return b"".join((HEADER, *rows, TRAILER))


def decimal(value: int | None, places: int = 18) -> str:
    """Exactly ``value`` · 10**-places as text COPY takes it, without zeros at the end: people read it with psql.

    >>> decimal(1_500_000_000_000_000_000), decimal(-25, 1), decimal(0), decimal(None)
    ('1.5', '-2.5', '0', '\\\\N')
    """
    if value is None:
        return NULL
    if value < 0:
        return f"-{decimal(-value, places)}"
    digits = str(value)
    if len(digits) <= places:
        digits = digits.zfill(places + 1)
    part = digits[-places:].rstrip("0")
    return f"{digits[:-places]}.{part}" if part else digits[:-places]
