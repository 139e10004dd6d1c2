"""A batch whose silences would make too many rows is folded in in parts, and comes to the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from commit.stored import everything
from commit.test_any_cut import differences
from commit.world import BOTH, Pen, Road, T, random_log, rows
from sparktrends.bars import FoldResult
from sparktrends.commit import parts
from sparktrends.commit.parts import cut
from sparktrends.model import DAY, MINUTE, PartialBar, SeriesMark, SeriesState, Span

KEY = ("demo", "A")


def silent(count: int, apart: int = DAY) -> Pen:
    """So many trades of one symbol, each that long after the one before."""
    pen = Pen()
    for number in range(count):
        pen.trade("A", T + number * apart, 100 + number % 7, id=str(number))
    return pen


def batch(*starts: int, closed: tuple[tuple[int, int], ...] = ()) -> FoldResult:
    bars = tuple(PartialBar(*KEY, start) for start in sorted(starts))
    return FoldResult(bars=bars, marks=(SeriesMark(*KEY, T + 99 * DAY, closed),))


def starts_of(
    result: FoldResult, first: int | None = None, last: int | None = None, spans: tuple[Span, ...] = ()
) -> list[list[int]]:
    """The minutes of each part, in minutes after T."""
    state = SeriesState(1, 0, 0, first, last)
    return [[(bar.start - T) // MINUTE for bar in part.bars] for part in cut(result, {KEY: state}, {1: spans})]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ROWS", 100)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("minutes", "first", "last", "spans", "expected"),
    [
        ([0, 1, 2], None, None, (), [[0, 1, 2]]),
        ([0, 50, 120, 121], None, None, (), [[0, 50], [120, 121]]),
        ([0, 90, 1000, 1010], None, None, (), [[0, 90], [1000], [1010]]),
        ([0, 1442, 5000], None, None, (), [[0, 1442, 5000]]),  # holes longer than a day are spans
        ([60, 130], 0, 0, (), [[60], [130]]),  # behind what is stored
        ([0, 30], 0, 200, (), [[0, 30]]),  # all of it is stored
        ([-130, -60], 0, 0, (), [[-130], [-60]]),  # before it
        ([60, 2000], 0, 9000, (Span(T, T + 9000 * MINUTE, "hole"),), [[60, 2000]]),
        ([60, 120], 0, 9000, (Span(T, T + 9000 * MINUTE, "hole"),), [[60], [120]]),
    ],
)
def test_a_part_holds_what_makes_so_many_rows(
    minutes: list[int], first: int | None, last: int | None, spans: tuple[Span, ...], expected: list[list[int]]
) -> None:
    ends = [None if minute is None else T + minute * MINUTE for minute in (first, last)]
    assert starts_of(batch(*(T + minute * MINUTE for minute in minutes)), *ends, spans) == expected


@pytest.mark.usefixtures("small")
def test_closed_sessions_are_cut_too_and_the_clock_goes_along() -> None:
    result = batch(T + 300 * MINUTE, closed=((T, T + MINUTE), (T + 90 * MINUTE, T + 91 * MINUTE)))
    made = list(cut(result, {KEY: SeriesState(1, 0, 0, None, None)}, {}))
    assert [part.marks[0].clock for part in made] == [T + 91 * MINUTE, T + 99 * DAY]
    assert [len(part.marks[0].closed) for part in made] == [2, 0]


def test_what_is_small_stays_as_it_is() -> None:
    result = batch(T, T + MINUTE)
    (only,) = cut(result, {KEY: SeriesState(1, 0, 0, None, None)}, {})
    assert only is result


@pytest.mark.e2e
@pytest.mark.parametrize("seed", [3, 4])
def test_parts_come_to_the_same_bits(
    migrated_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    stored = []
    for most in (parts.ROWS, 40):
        monkeypatch.setattr(parts, "ROWS", most)
        road = Road(migrated_database(), random_log(seed), laws=BOTH)
        while road.left:
            road.commit(road.ranges(dict.fromkeys(road.log, 60)))
        road.close()
        stored.append(everything(road.dsn))
    assert stored[0] == stored[1], differences(*stored)


@pytest.mark.e2e
def test_trades_a_day_apart_are_written_piece_by_piece(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them ends a silence of 1,439 minutes, which are rows (law 6)."""
    monkeypatch.setattr(parts, "ROWS", 2_000)
    road = Road(database, silent(8).log)
    road.all()
    road.close()
    assert rows(database, "SELECT count(*) FROM core.bars WHERE interval = '1m'") == [(7 * 1440 + 1,)]
    assert rows(database, "SELECT max(cardinality(starts)) < 3000, count(*) > 5 FROM core.changes") == [(True, True)]


@pytest.mark.e2e
@pytest.mark.slow
def test_hundreds_of_trades_a_day_apart_stall_nothing(database: str) -> None:
    """One batch of few records and 418,000 rows: no statement may last as long as the writer's may."""
    road = Road(database, silent(290).log)
    road.all()
    road.close()
    assert rows(database, "SELECT count(*) FROM core.bars WHERE interval = '1m'") == [(289 * 1440 + 1,)]
