"""Compiling by Numba, kept on disk where a place can be written, so that a worker loads in place of compiling."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """``function`` as machine code without the interpreter lock. Integers only: no fastmath, 64 bits wrap.

    It becomes part of what calls it and is not kept by itself: see `kept`.
    """
    return cast(F, _compile(function))


def kept(function: F) -> F:
    """Like `compiled`, kept beside the function's file, or in the user's cache when that cannot be written.

    Numba looks at the one file that holds ``function`` to see whether what it kept is of today's code, and at what
    the function's closure holds: whatever calls code of other files must hold their `version`. Where nothing can be
    kept it is compiled once per process.
    """
    try:
        return cast(F, _compile(function, cache=True))
    # A read-only root with no home, as in a container: slower at the start, and still right.
    except RuntimeError:  # Numba finds no place for its cache
        return compiled(function)


def version(*files: str | None) -> str:
    """A hash of source files, and of this one."""
    code = hashlib.sha256()
    for file in (__file__, *files):
        code.update(Path(str(file)).read_bytes())
    return code.hexdigest()


def _compile(function: F, **options: Any) -> object:
    jit: Callable[..., object] = numba.njit
    # These functions make no arrays, so nothing needs counting references; counting takes 2/3 of the time.
    try:
        return jit(function, nogil=True, _nrt=False, **options)
    except (KeyError, TypeError, AttributeError):  # a Numba that does not know the option
        return jit(function, nogil=True, **options)
