"""The seam: whatever is lost, doubled or shuffled on the way, each id comes out once and in order."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.errors import BadRecord
from sparktrends.ingest.seam import FARTHEST, Seam
from sparktrends.model import Trade


def trade(id_: int, received: int = 0, symbol: str = "A") -> Trade:
    return Trade("x", symbol, 0, Decimal(1), Decimal(1), str(id_), received)


def ids(trades: list[Trade]) -> list[int]:
    return [int(t.id) for t in trades]


def feed(seam: Seam, order: list[int], now: int = 0) -> list[int]:
    return [id_ for one in order for id_ in ids(seam.take(trade(one, now), now))]


def test_without_a_gap_everything_passes_at_once() -> None:
    assert feed(Seam(), [5, 6, 7]) == [5, 6, 7]


def test_what_comes_behind_a_gap_waits_until_it_is_filled() -> None:
    seam = Seam()
    assert feed(seam, [5, 8, 9]) == [5]
    assert seam.gap("A") == (6, 9)
    assert feed(seam, [6]) == [6]
    assert feed(seam, [7]) == [7, 8, 9]
    assert seam.gap("A") is None


def test_a_symbol_does_not_wait_for_another() -> None:
    seam = Seam()
    feed(seam, [1, 3])
    assert ids(seam.take(trade(7, symbol="B"), 0)) == [7]
    assert ids(seam.take(trade(8, symbol="B"), 0)) == [8]


def test_it_goes_on_where_an_earlier_run_stopped() -> None:
    seam = Seam()
    seam.begin("A", [40, 41])
    assert (seam.begun("A"), seam.next_id("A")) == (True, "")
    assert feed(seam, [44]) == []
    assert (seam.begun("A"), seam.next_id("A")) == (False, "42")
    assert feed(seam, [42, 43]) == [42, 43, 44]


@pytest.mark.parametrize(
    ("first", "next_"), [(1_005, 1_001), (1_000, 1_000), (9_000_000, 8_001_001), (900, 8), (10**12, 10**12)]
)
def test_the_first_live_trade_says_which_of_the_known_ids_was_the_last(first: int, next_: int) -> None:
    seam = Seam()
    seam.begin("A", [7, 999, 1_000, 8_001_000, 2**62])
    assert seam.place("A", first) == (first < 10**12)
    assert seam.next_id("A") == str(next_)


def test_what_an_earlier_run_owed_begins_no_line() -> None:
    seam = Seam()
    seam.begin("A", [41])
    owed = Trade("x", "A", 0, Decimal(1), Decimal(1), "7", 0, fill=True)
    assert seam.take(owed, 0) == [owed]
    assert feed(seam, [42]) == [42]


def test_a_gap_given_up_lets_the_rest_go_and_takes_what_comes_later() -> None:
    seam = Seam()
    feed(seam, [1, 4, 5, 8])
    assert ids(seam.give_up("A", 0)) == [4, 5]
    assert feed(seam, [2]) == [2]
    assert seam.gap("A") == (6, 8)


def test_how_long_a_gap_waits_is_told_by_the_trade_behind_it() -> None:
    seam = Seam()
    feed(seam, [1], now=10)
    feed(seam, [3], now=20)
    feed(seam, [5], now=30)
    assert (seam.waiting(19), seam.waiting(20)) == ([], ["A"])
    feed(seam, [2], now=40)
    assert (seam.waiting(29), seam.waiting(30)) == ([], ["A"])
    assert (seam.stuck(39), seam.stuck(40)) == ([], ["A"])


def test_too_much_waiting_is_stuck_at_once() -> None:
    seam = Seam(most_held=3)
    feed(seam, [1, 3, 4], now=100)
    assert seam.stuck(0) == []
    feed(seam, [5], now=100)
    assert seam.stuck(0) == ["A"]


@given(st.data())
def test_any_disorder_that_is_complete_comes_out_once_and_in_order(data: st.DataObject) -> None:
    wanted = list(range(100, 100 + data.draw(st.integers(1, 40))))
    rest = data.draw(st.lists(st.sampled_from(wanted), max_size=20)) + wanted
    order = [wanted[0], *data.draw(st.permutations(rest))]
    seam, seen, came = Seam(), set[int](), []
    for id_ in order:
        for out in feed(seam, [id_]):
            if out not in seen:  # the door's part: a repeat passes the seam and is stopped there
                seen.add(out)
                came.append(out)
    assert came == wanted


def test_an_id_that_no_market_reaches_is_no_trade_and_leaves_the_line_as_it_was() -> None:
    seam = Seam()
    assert feed(seam, [1]) == [1]
    with pytest.raises(BadRecord) as caught:
        seam.take(trade(FARTHEST + 3), 0)
    assert caught.value.reason == "bad_id"
    assert seam.gap("A") is None
    assert feed(seam, [2]) == [2]
