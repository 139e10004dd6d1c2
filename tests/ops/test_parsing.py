"""``sparktrends parse``: recordings and frames as JSON lines, errors with their class."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sparktrends.ops.cli import main

PAYLOADS = Path(__file__).resolve().parent.parent / "payloads"


def parsed(*arguments: str, stdin: str = "") -> tuple[int, list[dict[str, object]]]:
    result = CliRunner().invoke(main, ["parse", *arguments], input=stdin)
    return result.exit_code, [json.loads(line) for line in result.output.splitlines()]


def test_frames_from_standard_input() -> None:
    good = '{"e":"aggTrade","E":1,"s":"BTCUSDT","a":7,"p":"97123.45","q":"0.0125","f":1,"l":2,"T":5,"m":true}'
    code, lines = parsed("binance", "-", stdin=good + "\n" + good[:40] + "\n" + good + "\n")
    assert code == 1
    assert [line.get("event") or line.get("error") for line in lines] == ["Trade", "BadRecord", "Trade"]
    assert lines[0]["price"] == "97123.45"


@pytest.mark.parametrize("provider", ["binance", "finnhub", "twelve_data", "yahoo"])
def test_every_recorded_frame_is_told(provider: str) -> None:
    path = PAYLOADS / provider / "frames.jsonl"
    code, lines = parsed(provider, str(path))
    assert code == 1
    assert len(lines) >= len(path.read_text("utf-8").splitlines())


def test_an_answer_is_read_whole(tmp_path: Path) -> None:
    recorded = json.loads((PAYLOADS / "binance" / "rest" / "klines.json").read_text("utf-8"))
    path = tmp_path / "klines.json"
    path.write_text(json.dumps(recorded["body"]))
    code, lines = parsed("binance", str(path), "--symbol", "ETH/USDT")
    assert {(line["event"], line["symbol"]) for line in lines if "event" in line} >= {("ProviderBar", "ETH/USDT")}
    assert code in (0, 1)


def test_an_unknown_provider_is_wrong_use() -> None:
    assert CliRunner().invoke(main, ["parse", "nobody", "-"]).exit_code == 2
