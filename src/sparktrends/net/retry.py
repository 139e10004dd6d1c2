"""When to try again: by the class of the error, with full jitter, and never before the other side allows."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sparktrends.errors import Retryable, UnknownOutcome

T = TypeVar("T")


@dataclass(frozen=True)
class Backoff:
    """Waits in seconds: uniform between 0 and ``base``·2ⁿ, at most ``cap`` (full jitter), or what was asked for.

    ``rng`` and ``sleep`` come from outside, so a test sees every wait and none takes place.
    """

    rng: random.Random
    sleep: Callable[[float], object]
    base: float = 0.5
    cap: float = 30.0
    attempts: int = 4
    patience: float = 60.0

    def wait(self, attempt: int, asked: float | None = None) -> float:
        """The wait after failure number ``attempt`` (from 0): never shorter than ``asked``.

        >>> Backoff(random.Random(1), print).wait(0, asked=7.0) >= 7.0
        True
        """
        # 2**attempt is bounded so that a reconnect loop that runs for weeks does not build a huge number.
        jitter = self.rng.uniform(0.0, min(self.cap, self.base * 2 ** min(attempt, 30)))
        # A little more than asked: all clients are told the same moment, and would come back together.
        return jitter if asked is None else asked + min(jitter, 1.0)

    def call(self, action: Callable[[], T]) -> T:
        """Run the action until it succeeds, fails for good, or ``attempts`` are used up; then raise its error.

        An `UnknownOutcome` is not tried again (it may do it twice); neither is a wait longer than ``patience``:
        whoever plans the calls decides about those.
        """
        for attempt in range(self.attempts - 1):
            try:
                return action()
            except UnknownOutcome:
                raise
            except Retryable as error:
                wait = self.wait(attempt, error.delay)
                # The jitter's second is not counted.
                if wait > self.patience + 1.0:
                    raise
                self.sleep(wait)
        return action()
