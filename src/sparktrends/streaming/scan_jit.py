"""Compiling by Numba, kept on disk where a place can be written, so that a worker loads in place of compiling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """``function`` as machine code without the interpreter lock. Integers only: no fastmath, 64 bits wrap.

    The code lies beside this file, or in the user's cache when that cannot be written; where neither can, it is
    compiled once per process.
    """
    try:
        return cast(F, _compile(function, cache=True))
    except RuntimeError:  # Numba finds no place for its cache
        return cast(F, _compile(function, cache=False))


def _compile(function: F, **options: Any) -> object:
    jit: Callable[..., object] = numba.njit
    # These functions make no arrays, so nothing needs counting references; counting takes 2/3 of the time.
    try:
        return jit(function, nogil=True, _nrt=False, **options)
    except (KeyError, TypeError, AttributeError):  # a Numba that does not know the option
        return jit(function, nogil=True, **options)
