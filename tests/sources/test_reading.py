"""Recorded payloads as JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparktrends.errors import SparkTrendsError
from sparktrends.sources import PROVIDERS, make_source
from sparktrends.sources.reading import json_line, read_recorded

PAYLOADS = Path(__file__).resolve().parent.parent / "payloads"
RECEIVED = 1_732_200_000_000_000


def lines(provider: str, data: bytes) -> list[dict[str, object]]:
    symbol = "BTC/USDT" if provider == "binance" else "AAPL"
    return [json.loads(json_line(item)) for item in read_recorded(make_source(provider), data, symbol, RECEIVED)]


def body_of(path: Path) -> bytes:
    told = json.loads(path.read_text("utf-8"))
    return (told["text"] if "text" in told else json.dumps(told["body"], indent=1)).encode()


def test_a_recorded_chart_of_days_gives_its_splits_and_dividends_after_its_bars() -> None:
    told = lines("yahoo", body_of(PAYLOADS / "yahoo" / "rest" / "actions.json"))
    bars = [line for line in told if line["event"] == "ProviderBar"]
    actions = [line for line in told if line["event"] == "CorporateAction"]
    assert told == bars + actions
    assert (len(bars), len(actions)) == (4, 3)
    assert all(isinstance(line["value"], str) and isinstance(line["day"], str) for line in actions)


@pytest.mark.parametrize("provider", [p for p in PROVIDERS if make_source(p).stream])
def test_every_recorded_frame_gives_a_line_and_errors_have_their_class(provider: str) -> None:
    told = lines(provider, (PAYLOADS / provider / "frames.jsonl").read_bytes())
    assert {"Trade"} <= {line.get("event") for line in told}
    assert {"BadRecord"} <= {line.get("error") for line in told}
    assert all(isinstance(line["price"], str) for line in told if line.get("event") == "Trade")


@pytest.mark.parametrize(
    "path", sorted(PAYLOADS.glob("*/rest/*.json")), ids=lambda path: f"{path.parts[-3]}-{path.stem}"
)
def test_every_recorded_answer_is_recognised(path: Path) -> None:
    expected = json.loads((path.parent.parent / "expected.json").read_text())[f"rest/{path.name}"]
    told = {str(line.get("event") or line.get("error")) for line in lines(path.parts[-3], body_of(path))}
    if path.stem.startswith(("error", "profile_none", "empty")) or not expected:
        assert not told & {"Trade", "ProviderBar", "NewsItem", "Company", "CorporateAction"}
    elif path.stem not in ("actions", "quote", "intraday", "no_rows", "dividends"):
        assert told & {kind.partition(":")[0] for kind in expected}


def kinds(provider: str, path: Path) -> list[str]:
    return [str(line.get("event") or line.get("error")) for line in lines(provider, body_of(path))]


# Pages that only their status told apart, which a recording of a body does not hold.
_BY_STATUS = ("error_firewall", "error_location", "error_gateway")
REFUSALS = [path for path in sorted(PAYLOADS.glob("*/rest/error_*.json")) if path.stem not in _BY_STATUS]


@pytest.mark.parametrize("path", REFUSALS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_a_recorded_refusal_has_the_class_that_it_had_live(path: Path) -> None:
    expected = json.loads((path.parent.parent / "expected.json").read_text())[f"rest/{path.name}"]
    assert kinds(path.parts[-3], path) == [kind.partition(":")[0] for kind in expected]


def test_an_unknown_symbol_of_binance_is_not_found() -> None:
    body = b'{"code": -1121, "msg": "Invalid symbol."}'
    assert [line.get("error") for line in lines("binance", body)] == ["NotFound"]


def test_of_a_batch_all_symbols_are_told_and_what_stands_beside_them_is_passed_over() -> None:
    row = {"datetime": "2024-11-21 14:30:00", "open": "5", "high": "6", "low": "4", "close": "5", "volume": "1"}
    body = {f"S{n}": {"meta": {"interval": "1min"}, "values": [row], "status": "ok"} for n in range(10)}
    told = lines("twelve_data", json.dumps({"code": 200, **body, "status": "ok"}).encode())
    assert [(line["event"], line["symbol"]) for line in told] == [("ProviderBar", symbol) for symbol in body]


def test_a_batch_in_which_every_symbol_was_refused_names_them() -> None:
    part = {"code": 404, "message": "**symbol** not found", "status": "error"}
    told = lines("twelve_data", json.dumps({"NOPE": part, "NADA": part}).encode())
    assert [(line["event"], line["kind"], line["symbols"]) for line in told] == [
        ("Notice", "refused", ["NOPE"]), ("Notice", "refused", ["NADA"]),
    ]  # fmt: skip
    spent = part | {"code": 429, "message": "You have run out of API credits for the current minute."}
    assert [line.get("error") for line in lines("twelve_data", json.dumps({"AAPL": spent}).encode())] == ["RateLimited"]


def test_frames_are_read_whatever_the_symbol_is_called() -> None:
    frames = (PAYLOADS / "yahoo" / "frames.jsonl").read_bytes()
    told = [json_line(item) for item in read_recorded(make_source("yahoo"), frames, "no such", RECEIVED)]
    assert told == [json_line(item) for item in read_recorded(make_source("yahoo"), frames, "AAPL", RECEIVED)]


def test_what_an_editor_put_in_front_costs_no_frame() -> None:
    frames = (PAYLOADS / "finnhub" / "frames.jsonl").read_bytes()
    assert lines("finnhub", b"\xef\xbb\xbf" + frames) == lines("finnhub", frames)


def test_an_answer_without_rows_is_no_error() -> None:
    assert lines("binance", b"[]") == []


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe", b"[]", b"7", b"null", b"[[]]", b"[[1]]", b"[1,2]", b'{"values":5}', b"{}\n{}"]
)
def test_nonsense_is_told_as_errors(provider: str, data: bytes) -> None:
    events = list(read_recorded(make_source(provider), data, "BTC/USDT", RECEIVED))
    assert all(isinstance(item, SparkTrendsError) or json_line(item) for item in events)
