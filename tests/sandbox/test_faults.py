"""The schedule of what goes wrong, and what each fault does to frames and answers."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from sparktrends.errors import BadFile
from sparktrends.sandbox.distortion import changed, distort, instead
from sparktrends.sandbox.exchange import Answer, Call, Frame
from sparktrends.sandbox.faults import INSTANT, KINDS, MILD, Fault, Plan, load
from sparktrends.sandbox.providers import PROVIDERS
from twin import still_world

BINANCE = PROVIDERS["binance"]
FRAMES = [Frame(f'{{"e":"aggTrade","a":{i},"p":"1.5"}}', (("BTCUSDT", str(i)),)) for i in range(100)]


def test_a_fault_holds_in_its_windows() -> None:
    fault = Fault("gap", at=10, every=30, lasts=2)
    assert [t for t in range(80) if fault.active(t)] == [10, 11, 40, 41, 70, 71]


def test_a_moment_fires_once_however_the_time_is_cut() -> None:
    fault = Fault("disconnect", at=10, every=30)
    steps = [0.0, 9.9, 10.0, 10.1, 39.0, 41.0, 99.0, 100.0]
    fired = [t1 for t0, t1 in pairwise(steps) if fault.fires(t0, t1)]
    assert fired == [10.0, 41.0, 99.0, 100.0]
    assert not Fault("disconnect", at=10).fires(10.0, 50.0)


def test_the_same_seed_draws_the_same_faults() -> None:
    def drawn(seed: int) -> list[list[Fault]]:
        plan = Plan(seed=seed, providers=("binance", "yahoo"))
        return [plan.active("binance", t / 2) + plan.fired("binance", t / 2, t / 2 + 0.5) for t in range(1200)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert {f.kind for faults in drawn(3) for f in faults} >= {"gap", "disconnect", "status"}


def test_every_kind_is_drawn_in_time() -> None:
    plan = Plan(seed=1, providers=("binance",))
    kinds = {f.kind for p in range(300) for f in plan._at(p * 10.0)}
    assert kinds == set(KINDS)
    assert set(KINDS) >= INSTANT


def test_bans_are_drawn_only_after_the_mild_minutes() -> None:
    plan = Plan(seed=4, providers=("binance",))
    drawn = [(f.at, f.status, f.retry_after) for p in range(400) for f in plan._at(p * 10.0) if f.kind == "status"]
    early = [row for row in drawn if row[0] < MILD]
    assert all(status in (429, 500, 503) and wait for _, status, wait in early)
    assert {status for _, status, _ in drawn} == {401, 403, 418, 429, 451, 500, 503}


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_a_schedule_is_read_from_a_file(tmp_path: Path, suffix: str) -> None:
    row = {"kind": "status", "provider": "yahoo", "at": 5, "status": 503, "retry_after": 2.5}
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in row.items())
    path = tmp_path / f"faults{suffix}"
    path.write_text(json.dumps({"fault": [row]}) if suffix == ".json" else f"[[fault]]\n{lines}\n")
    assert load(path) == (Fault("status", "yahoo", 5, status=503, retry_after=2.5),)


@pytest.mark.parametrize(
    "text",
    ["", "[", "fault = 1", "[[fault]]\nkind='no'", "[[fault]]\nkind='gap'\nat='x'", "[[fault]]\nkind='gap'\nat=true",
     "[[fault]]\nkind='gap'\nat=-1", "[[fault]]\nkind='gap'\nnope=1"],
)  # fmt: skip
def test_a_bad_schedule_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(BadFile):
        load(path)


def sent(kind: str, share: float = 0.5) -> tuple[list[Frame], list[tuple[str, str]]]:
    outcome = distort(list(FRAMES), [Fault(kind, share=share)], BINANCE, Random(3))
    return outcome.frames, [item for _, items in outcome.notes for item in items]


@pytest.mark.parametrize("kind", ["gap", "half_frame", "silence"])
def test_what_is_withheld_is_noted_and_what_is_not_is_delivered(kind: str) -> None:
    frames, withheld = sent(kind)
    delivered = [item for frame in frames for item in frame.items]
    assert sorted(delivered + withheld) == sorted(item for frame in FRAMES for item in frame.items)
    assert withheld


@pytest.mark.parametrize("kind", ["duplicate", "wrong_types"])
def test_what_is_sent_besides_delivers_nothing(kind: str) -> None:
    frames, noted = sent(kind)
    assert len(frames) == 100 + len(noted) > 120
    assert [f for f in frames if f.items] == FRAMES


@pytest.mark.parametrize("kind", ["newest_first", "out_of_order"])
def test_order_changes_and_nothing_else(kind: str) -> None:
    frames, _ = sent(kind)
    assert frames != FRAMES
    assert sorted(f.text for f in frames) == sorted(f.text for f in FRAMES)


def test_newest_first_turns_the_rows_of_a_message() -> None:
    frame = Frame('{"type":"trade","data":[{"s":"A","c":["1"]},{"s":"B","c":null},{"s":"C","c":["1","12"]}]}')
    turned = json.loads(PROVIDERS["finnhub"].reverse(frame).text)
    assert turned["data"] == json.loads(frame.text)["data"][::-1]


@pytest.mark.parametrize("name", ["binance", "finnhub", "twelve_data", "yahoo"])
def test_a_spoiled_frame_is_json_with_a_wrong_type(name: str) -> None:
    text = '{"p":1.5,"price":2.5,"message":"x"}'
    assert json.loads(PROVIDERS[name].spoil(text)) != json.loads(text)


def test_answers_are_replaced_cut_or_spoiled() -> None:
    world, call = still_world("BTC", seconds=1), Call("/api/v3/time")
    refused = instead(Fault("status", status=429, retry_after=1.5), BINANCE, call, world)
    silent = instead(Fault("status", status=429), BINANCE, call, world)
    moved = instead(Fault("redirect"), BINANCE, call, world)
    assert refused
    assert silent
    assert moved
    assert (refused.status, refused.headers["retry-after"]) == (429, "1.5")
    assert "retry-after" not in silent.headers
    assert moved.headers["location"].startswith("http://169.254.169.254/")
    answer = Answer(200, b'{"a":1.5,"b":[2,"3.25"]}')
    assert changed(answer, [Fault("half_answer")]).body == answer.body[:12]
    assert json.loads(changed(answer, [Fault("wrong_answer")]).body) == {"a": "wrong", "b": ["wrong", "wrong"]}
    assert changed(answer, []) is answer
