"""Threads that nobody waits for: what may hang for as long as a network is away must not hold up an end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class Unawaited(Executor):
    """Runs each call in a daemon thread of its own; how many there are is bounded by who calls.

    Threads of a `ThreadPoolExecutor` are joined when Python ends, and those of the loop when the loop does.

    >>> Unawaited().submit(divmod, 7, 2).result()
    (3, 1)
    """

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Begin the call; the future has its end."""
        future: Future[Any] = Future()
        threading.Thread(target=_run, args=(future, call, args, kwargs), name="unawaited", daemon=True).start()
        return future


def _run(future: Future[Any], call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call(*args, **kwargs)
    # Whatever it is: who waits for the future is told.
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
