"""Waits by the class of the error."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.errors import AccessDenied, RateLimited, Retryable, SparkTrendsError, Unavailable, UnknownOutcome
from sparktrends.net.retry import Backoff


class Flaky:
    """Raises the given errors one after the other, then returns 7."""

    def __init__(self, *errors: SparkTrendsError) -> None:
        self.errors, self.calls = list(errors), 0

    def __call__(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return 7


def backoff(waits: list[float], **kwargs: float) -> Backoff:
    return Backoff(random.Random(3), waits.append, **kwargs)  # type: ignore[arg-type]


def test_it_goes_on_after_errors_that_may_pass() -> None:
    waits: list[float] = []
    assert backoff(waits).call(Flaky(Unavailable("a"), Unavailable("b"))) == 7
    assert len(waits) == 2


def test_the_last_error_comes_out_after_four_attempts() -> None:
    action = Flaky(*[Unavailable(str(n)) for n in range(9)])
    with pytest.raises(Unavailable, match="3"):
        backoff([]).call(action)
    assert action.calls == 4


@pytest.mark.parametrize("error", [AccessDenied("no"), UnknownOutcome("sent?")])
def test_what_cannot_or_must_not_be_repeated_is_called_once(error: SparkTrendsError) -> None:
    action = Flaky(error)
    with pytest.raises(type(error)):
        backoff([]).call(action)
    assert action.calls == 1


def test_what_the_other_side_asked_for_is_waited_and_too_long_a_wait_is_left_to_the_planner() -> None:
    waits: list[float] = []
    backoff(waits).call(Flaky(RateLimited("slow down", delay=17.0)))
    assert 17.0 <= waits[0] <= 18.0
    with pytest.raises(RateLimited):
        backoff(waits).call(Flaky(RateLimited("tomorrow", delay=30_000.0)))
    assert len(waits) == 1


@given(st.integers(0, 100_000), st.integers())
def test_a_wait_is_never_longer_than_the_cap(attempt: int, seed: int) -> None:
    wait = Backoff(random.Random(seed), lambda _: None, base=0.5, cap=30.0).wait(attempt)
    assert 0.0 <= wait <= min(30.0, 0.5 * 2 ** min(attempt, 30))


def test_the_waits_of_many_clients_are_spread_over_the_whole_range() -> None:
    waits = [Backoff(random.Random(seed), lambda _: None).wait(4) for seed in range(400)]
    assert min(waits) < 0.4
    assert max(waits) > 7.6


def test_retryable_is_the_class_that_decides() -> None:
    assert backoff([]).call(Flaky(Retryable("anything"))) == 7
