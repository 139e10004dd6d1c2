"""The file of wanted symbols: written by one process, watched by another."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sparktrends.errors import BadFile, NotFound
from sparktrends.ingest.wanted import EVERY, Wanted, possible
from sparktrends.sources import make_source


def test_without_a_file_nothing_is_wanted(tmp_path: Path) -> None:
    assert Wanted(tmp_path / "symbols.json").of(make_source("binance")) == []


def test_what_is_added_once_is_there_once(tmp_path: Path) -> None:
    wanted = Wanted(tmp_path / "run" / "symbols.json")
    wanted.add(["BTC/USDT"], "binance")
    wanted.add(["BTC/USDT", "ETH/USDT"], "binance")
    assert wanted.read() == {"binance": ["BTC/USDT", "ETH/USDT"]}


def test_what_is_meant_for_all_goes_to_those_that_can_have_it(tmp_path: Path) -> None:
    wanted = Wanted(tmp_path / "symbols.json")
    wanted.add(["AAPL", "SOL/USDT"])
    assert wanted.of(make_source("binance")) == ["SOL/USDT"]
    assert wanted.of(make_source("finnhub")) == ["AAPL", "SOL/USDT"]


def test_what_is_removed_leaves_no_empty_place(tmp_path: Path) -> None:
    wanted = Wanted(tmp_path / "symbols.json")
    wanted.add(["AAPL", "SOL/USDT"])
    wanted.add(["SOL/USDT"], "binance")
    assert wanted.remove(["SOL/USDT"]) == wanted.read() == {"*": ["AAPL"]}
    with pytest.raises(NotFound, match="SOL/USDT was not added"):
        wanted.remove(["AAPL", "SOL/USDT"])
    assert wanted.remove(["AAPL"], EVERY) == wanted.read() == {}


def test_two_who_add_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "symbols.json"
    other = threading.Thread(target=Wanted(path).add, args=(["ETH/USDT"], "binance"))

    class Interrupted(Wanted):
        def read(self) -> dict[str, list[str]]:
            found = Wanted.read(self)
            other.start()
            other.join(0.5)  # it is through by now, or waits for us
            return found

    Interrupted(path).add(["BTC/USDT"], "binance")
    other.join(10)
    assert sorted(Wanted(path).read()["binance"]) == ["BTC/USDT", "ETH/USDT"]


def test_possible_keeps_the_order() -> None:
    assert possible(make_source("binance"), ["ETH/USDT", "AAPL", "BTC/USDT"]) == ["ETH/USDT", "BTC/USDT"]


@pytest.mark.parametrize("text", ["{", "[]", '{"binance": 5}'])
def test_a_file_of_another_kind_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "symbols.json").write_text(text)
    with pytest.raises(BadFile, match=r"symbols\.json"):
        Wanted(tmp_path / "symbols.json").read()
