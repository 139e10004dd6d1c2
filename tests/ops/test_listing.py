"""`symbols add` and `list`: what is wanted is kept in the home, in every provider's spelling."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sparktrends.ingest.wanted import Wanted
from sparktrends.ops.cli import main
from sparktrends.sources import make_source


def typed(home: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home), "symbols", *words])


def test_nothing_was_added(tmp_path: Path) -> None:
    result = typed(tmp_path, "list")
    assert result.exit_code == 0
    assert "no symbol was added" in result.output


def test_what_is_added_is_listed_in_each_spelling(tmp_path: Path) -> None:
    assert typed(tmp_path, "add", "AAPL", "BTC/USD").exit_code == 0
    assert typed(tmp_path, "add", "eth/usdt", "--source", "binance").exit_code == 0
    listed = json.loads(typed(tmp_path, "list", "--json").output)
    assert listed["*"]["BTC/USD"]["yahoo"] == "BTC-USD"
    assert listed["*"]["AAPL"].keys() == {"finnhub", "twelve_data", "alpha_vantage", "yahoo"}
    assert listed["binance"]["ETH/USDT"]["binance"] == "ETHUSDT"
    assert "BTC/USD" in typed(tmp_path, "list").output


def test_twice_is_once_and_only_who_can_have_it_wants_it(tmp_path: Path) -> None:
    for _ in range(2):
        typed(tmp_path, "add", "AAPL", "BTC/USDT")
    wanted = Wanted(tmp_path / "run" / "symbols.json")
    assert wanted.read() == {"*": ["AAPL", "BTC/USDT"]}
    assert wanted.of(make_source("binance")) == ["BTC/USDT"]


@pytest.mark.parametrize(
    "words", [("A B",), ("../x",), ("AAPL", "--source", "binance"), ("AAPL", "--source", "nobody")]
)
def test_what_nobody_has_is_refused_and_nothing_is_kept(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert typed(tmp_path, "add", *words).exit_code == 2
    assert Wanted(tmp_path / "run" / "symbols.json").read() == {}
