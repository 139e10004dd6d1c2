"""`symbols add`, `remove` and `list`: what is wanted is kept in the home, in every provider's spelling."""

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


def test_what_is_removed_is_wanted_no_more_and_when_is_said(tmp_path: Path) -> None:
    typed(tmp_path, "add", "AAPL", "BTC/USDT")
    typed(tmp_path, "add", "BTC/USDT", "--source", "binance")
    of_one = typed(tmp_path, "remove", "btc/usdt", "--source", "binance", "--json")
    assert (of_one.exit_code, json.loads(of_one.stdout)) == (0, {"*": ["AAPL", "BTC/USDT"]})
    typed(tmp_path, "add", "BTC/USDT", "--source", "binance")
    everywhere = typed(tmp_path, "remove", "BTC/USDT")
    assert everywhere.exit_code == 0
    assert "no longer wanted: BTC/USDT" in everywhere.output
    assert "until its next start: `sparktrends restart ingest`" in everywhere.output
    assert Wanted(tmp_path / "run" / "symbols.json").read() == {"*": ["AAPL"]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("MSFT", "BTC/USDT"), "MSFT was not added: `sparktrends symbols list` shows what was"),
        (("BTC/USDT", "--source", "yahoo"), "BTC/USDT was added for all sources: leave --source out"),
        (("AAPL", "--source", "yahoo"), "AAPL was not added for yahoo"),
    ],
)
def test_what_was_not_added_is_told_and_nothing_is_removed(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    typed(tmp_path, "add", "BTC/USDT")
    typed(tmp_path, "add", "AAPL", "--source", "finnhub")
    found = typed(tmp_path, "remove", *words)
    assert (found.exit_code, said in found.output) == (1, True)
    assert Wanted(tmp_path / "run" / "symbols.json").read() == {"*": ["BTC/USDT"], "finnhub": ["AAPL"]}


@pytest.mark.parametrize(("words", "code"), [(("list",), 0), (("remove", "AAPL"), 1)])
def test_who_only_looks_makes_no_home(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    assert typed(tmp_path / "new", *words).exit_code == code
    assert not (tmp_path / "new").exists()
