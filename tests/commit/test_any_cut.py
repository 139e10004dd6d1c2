"""Law 4 on a real database: however the log is cut, whatever dies in between, the same rows, to the bit."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from commit.stored import everything, expect_as_recomputed
from commit.world import BOTH, Log, Road, random_log, rows

pytestmark = pytest.mark.e2e


def travel(road: Road, rng: random.Random) -> None:
    """Random batches, with restarts, failures at the last moment, and other writers of the same series in between."""
    while road.left:
        # A process may have seen more series than it keeps at hand.
        road.cache.limit = rng.choice((1, 2, 100))
        ranges = road.ranges({place: rng.choice((0, 1, 2, 5, 12)) for place in road.log})
        if rng.random() < 0.1:
            with pytest.raises(ConnectionError):
                road.commit(ranges, fail=True)
        if rng.random() < 0.1:
            road.restart()
        if rng.random() < 0.1:
            rows(road.dsn, "UPDATE core.series_state SET version = version + 1")
        road.commit(ranges)
    road.close()


def differences(one: dict[str, list[object]], two: dict[str, list[object]]) -> list[object]:
    return [(name, a, b) for name in one for a, b in zip(one[name], two[name], strict=False) if a != b][:3]


def check(migrated_database: Callable[[], str], log: Log, seed: int, cuts: int) -> None:
    whole = Road(migrated_database(), log, laws=BOTH)
    whole.all()
    whole.close()
    expected = everything(whole.dsn)
    assert expected["metrics"]
    for number in range(cuts):
        dsn = migrated_database()
        travel(Road(dsn, log, laws=BOTH), random.Random(f"{seed} {number}"))
        found = everything(dsn)
        assert found == expected, (seed, number, differences(expected, found))
        for analysis in BOTH.analyses:
            expect_as_recomputed(dsn, analysis._chain)


@pytest.mark.parametrize("seed", range(1))
def test_any_cut_gives_the_same_bits(migrated_database: Callable[[], str], seed: int) -> None:
    check(migrated_database, random_log(seed), seed, cuts=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 17))
def test_any_cut_of_more_logs_gives_the_same_bits(migrated_database: Callable[[], str], seed: int) -> None:
    check(migrated_database, random_log(seed, 200), seed, cuts=3)
