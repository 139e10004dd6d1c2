"""Compiling once and keeping the result on disk, where there is a disk to keep it on."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from typing import Any

from numba import njit, types

log = logging.getLogger(__name__)

VECTOR = types.Array(types.float64, 1, "C")
TABLE = types.Array(types.float64, 2, "C")
CUBE = types.Array(types.float64, 3, "C")
# What comes out of Arrow or a database may not be written to.
READ_VECTOR, READ_TABLE, READ_TIMES = (
    types.Array(kind, dimensions, "C", readonly=True)
    for kind, dimensions in ((types.float64, 1), (types.float64, 2), (types.int64, 1))
)
MASK = types.Array(types.boolean, 1, "C")

# No writable folder anywhere (RuntimeError), or a damaged file: what Numba has been seen to raise.
_NO_CACHE = (
    RuntimeError,
    OSError,
    EOFError,
    pickle.UnpicklingError,
    ValueError,
    TypeError,
    AttributeError,
    ImportError,
    KeyError,
)


def compile_kept(function: Callable[..., Any], *arguments: Any) -> Callable[..., Any]:
    """``function`` compiled for arguments of these Numba types, from Numba's cache when it is there.

    No fast-math: the bits are those of the operations as written. Where nothing can be kept it is compiled now.
    """
    options: dict[str, Any] = {"fastmath": False, "error_model": "numpy", "nogil": True}
    signature = types.void(*arguments)
    try:
        kept: Callable[..., Any] = njit(signature, cache=True, **options)(function)
    except _NO_CACHE as error:
        log.warning("compiled code cannot be kept (%s: %s): compiling anew", type(error).__name__, error)
        kept = njit(signature, **options)(function)
    return kept
