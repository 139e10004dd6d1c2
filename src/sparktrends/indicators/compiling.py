"""From a layout to a function: compiled by Numba and kept on disk, or interpreted for examples and checks."""

from __future__ import annotations

import logging
import math
import os
import pickle
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numba import njit, types

from sparktrends.indicators.base import Floats, Past, push
from sparktrends.indicators.layout import Layout, derive, usable

Drive = Callable[[Floats, Floats, Floats, Floats, bool], None]
"""``drive(states[n, size], bars[n, m, columns], outs[n, m, outputs], scratch[size], keep)``."""

DEFAULT_CACHE = Path(__file__).parent / "__pycache__"
"""Where compiled code is kept unless somebody names a folder: beside Python's own."""

_ROWS, _BATCH, _SCRATCH = (types.Array(types.float64, dimensions, "C") for dimensions in (2, 3, 1))
_BARS = types.Array(types.float64, 3, "C", readonly=True)  # bars out of Arrow memory may not be written
# One signature, given beforehand: compiled once, and no other kind of array can slip in.
_SIGNATURE = types.void(_ROWS, _BARS, _BATCH, _SCRATCH, types.boolean)
# What reading, unpickling or linking a damaged file, or writing to a full or foreign folder, has been seen to raise.
_BROKEN_CACHE = (
    OSError,
    EOFError,
    pickle.UnpicklingError,
    ValueError,
    TypeError,
    AttributeError,
    ImportError,
    KeyError,
)

log = logging.getLogger(__name__)


def interpret(layout: Layout) -> Drive:
    """The same loop run by Python itself: slow, every index checked, nothing to compile but the shared helpers."""
    namespace = _namespace(layout, lambda function: function.py_func)
    namespace["njit"] = lambda *_, **__: lambda function: function
    drive = _execute(layout.source, "<kernel>", namespace)

    def quiet(states: Floats, bars: Floats, outs: Floats, scratch: Floats, keep: bool) -> None:
        # Compiled code divides by zero without a word, and so must this.
        with np.errstate(all="ignore"):
            drive(states, bars, outs, scratch, keep)

    return quiet


@lru_cache(maxsize=64)
def compile_loop(layout: Layout, folder: Path | None) -> Drive:
    """The compiled loop of a layout, from ``folder`` when it is there, else compiled now and kept there.

    A folder that cannot be written, or holds something unreadable, costs the time to compile and a warning; what
    was unreadable is removed. The layout's version stands in the file name, so code that has changed is never taken
    from there.
    """
    if folder is not None:
        name = f"kernel_{layout.version}.txt"
        try:
            return _compile(layout, str(_write_source(folder, name, layout.source)), cache=True)
        except _BROKEN_CACHE as error:
            log.warning("kernel cache %s is not usable (%s: %s): compiling anew", folder, type(error).__name__, error)
            _discard(folder, layout.version)
    return _compile(layout, "<kernel>", cache=False)


def _compile(layout: Layout, filename: str, *, cache: bool) -> Drive:
    namespace = _namespace(layout, lambda function: function)
    namespace |= {"njit": njit, "signature": _SIGNATURE, "kept": cache}
    return _execute(layout.source, filename, namespace)


def _namespace(layout: Layout, prepare: Callable[[Any], Any]) -> dict[str, Any]:
    updates = {f"update_{n}": prepare(i.update) for n, i in enumerate(layout.indicators)}
    shared = {"push": push, "usable": usable, "derive": derive}
    names = {name: prepare(function) for name, function in shared.items()}
    constants = {"__name__": __name__, "Past": Past, "nan": math.nan, "signature": None, "kept": False}
    return constants | names | updates


def _execute(source: str, filename: str, namespace: dict[str, Any]) -> Drive:
    # The text is made above from numbers and fixed words only; nothing a person wrote reaches it.
    exec(compile(source, filename, "exec"), namespace)
    return cast(Drive, namespace["drive"])


def _discard(folder: Path, version: str) -> None:
    # Numba files what it compiled in a folder of its own below the source's.
    for place in (folder, folder / "__pycache__"):
        for path in place.glob(f"kernel_{version}*"):
            with suppress(OSError):
                path.unlink()


def _write_source(folder: Path, name: str, source: str) -> Path:
    """Put the loop's text where Numba can find it: it files compiled code by its source's name, size and time.

    No Python suffix: nobody is to import it, or to take it for a part of the product.
    """
    path = folder / name
    if path.is_file() and path.read_text() == source:
        return path
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what lies here is run: nobody else may write it
    handle, temporary = tempfile.mkstemp(dir=folder)
    with os.fdopen(handle, "w") as file:
        file.write(source)
    os.utime(temporary, (0, 0))  # the same time whoever writes it, so processes starting together agree
    os.replace(temporary, path)
    return path
