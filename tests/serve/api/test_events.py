"""Positions and frames: whatever was seen, what is told next is exactly the rest."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from sparktrends.serve.api.events import BARS_A_PART, Choice, Part, Told, batches, part_of, read_id, write_id
from sparktrends.store.changes import Change

places = st.dictionaries(
    st.from_regex(r"[0-9]{1,2}/[0-9]{1,2}", fullmatch=True),
    st.tuples(st.integers(1, 10**15), st.integers(0, 99)),
)
row = st.tuples(st.sampled_from(["binance", "demo~sim"]), st.sampled_from(["BTC/USD", "ETH/USD"]), st.just(b"{}"))
parts = st.lists(
    st.builds(Part, st.sampled_from(["bars", "signals"]), st.lists(row, max_size=3).map(tuple)), max_size=5
)


@given(places)
def test_an_id_says_where_one_stands(stood: dict[str, tuple[int, int]]) -> None:
    assert read_id(write_id(stood)) == stood


@given(st.text(max_size=30))
def test_other_ids_are_none_of_ours(text: str) -> None:
    found = read_id(text)
    assert found is None or read_id(write_id(found)) == found


@given(parts)
def test_going_on_behind_any_event_gives_the_rest(given_parts: list[Part]) -> None:
    told = Told("1/1", 7, 0, tuple(given_parts))
    whole = list(told.frames(Choice(), {"1/1": (7, 0)}))
    for number, seen in enumerate(whole, 1):
        stands = read_id(seen.split(b"id: ")[1].split(b"\n")[0].decode())
        assert stands is not None
        commit, sent = stands["1/1"]
        rest = list(told.frames(Choice(), stands, sent)) if commit == 7 else []
        if commit == 7:
            assert rest == whole[number:]
        else:
            assert number == len(whole)


@given(parts, st.sampled_from(["BTC/USD", "ETH/USD"]), st.sampled_from(["bars", "signals"]))
def test_a_choice_takes_what_it_names(given_parts: list[Part], symbol: str, kind: str) -> None:
    choice = Choice.of([symbol], None, [kind])
    wanted = sum(row[1] == symbol for part in given_parts if part.kind == kind for row in part.rows)
    frames = Told("1/1", 7, 0, tuple(given_parts)).frames(choice, {})
    heard = [json.loads(frame.split(b"data: ")[1]) for frame in frames]
    assert sum(len(data[kind]) for data in heard) == wanted
    assert all(frame.count(b"\n") == 4 for frame in Told("1/1", 7, 0, tuple(given_parts)).frames(choice, {}))


@given(st.integers(0, 3 * BARS_A_PART))
def test_a_commit_is_cut_without_loss(number: int) -> None:
    keys = tuple((1, "1m", n) for n in range(number))
    cut = batches(Change("1/1", 1, 0, keys, ()))
    assert tuple(key for part in cut for key in part) == keys
    assert all(len(part) <= BARS_A_PART for part in cut)


def test_detail_stays_json() -> None:
    part = part_of("signals", [{"source": "a", "symbol": "b", "detail": '{"z": 6.5}'}])
    assert json.loads(part.rows[0][2])["detail"] == {"z": 6.5}
