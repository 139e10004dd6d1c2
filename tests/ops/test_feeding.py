"""Live sources by name: keys from the settings, symbols that a source can have, and the sandbox without any key."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sparktrends import sources
from sparktrends.errors import BadFile, BadSetting
from sparktrends.ingest.polling import pace
from sparktrends.model import MINUTE, SECOND
from sparktrends.ops.cli import main
from sparktrends.ops.commands.sources import Choice, daily_arguments, require_usable, tracks_of
from sparktrends.ops.daily import provider
from sparktrends.ops.feeding import DEFAULTS, feeder, source_of, split
from sparktrends.ops.settings import Settings
from sparktrends.sources import PROVIDERS
from sparktrends.sources.base import Allowance

CANARY = "tiger-canary-1"
NOW = 1_385_337_600 * SECOND
CALLS = Path(sources.__file__).parent / "config" / "yahoo.json"


def settings(tables: Mapping[str, Any] | None = None, **values: str) -> Settings:
    return Settings(Path("/nowhere"), Path("/nowhere"), values, tables or {}, {})


def test_a_source_without_a_key_needs_no_setting() -> None:
    found = feeder(settings(), "binance", ["BTC/USDT", "AAPL", "BTC/USDT"])
    assert (found.symbols, found.key) == (("BTC/USDT",), None)


@pytest.mark.parametrize("provider", ["finnhub", "twelve_data", "alpha_vantage"])
def test_a_missing_key_is_named(provider: str) -> None:
    with pytest.raises(BadSetting, match=f"{provider.upper()}_API_KEY"):
        feeder(settings(), provider, [])


def test_a_key_never_shows() -> None:
    found = feeder(settings(FINNHUB_API_KEY=CANARY), "finnhub", [])
    assert found.key
    assert found.key.reveal() == CANARY
    assert CANARY not in repr(found)


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_the_sandbox_gets_no_real_key_and_marks_what_it_says(provider: str) -> None:
    values = {f"{provider.upper()}_API_KEY": CANARY}
    found = feeder(settings(**values), provider, [], sandbox_port=8600)
    assert found.source.name == f"{provider}~sim"
    assert found.source.rest == f"http://127.0.0.1:8600/{provider}"
    assert not found.key or found.key.reveal() != CANARY


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_source_can_have_its_own_defaults(provider: str) -> None:
    for symbol in DEFAULTS[provider]:
        assert source_of(provider, settings()).spell(symbol)


def test_symbols_that_no_source_has_are_refused_with_a_hint() -> None:
    with pytest.raises(BadSetting, match="BTC/USDT"):
        feeder(settings(), "binance", ["AAPL"])


def test_what_is_live_and_what_is_played() -> None:
    assert split(["demo", "binance", "x.csv", "binance"]) == (["binance"], ["demo", "x.csv"])


def test_a_person_may_name_another_host_of_a_provider() -> None:
    own = {"sources": {"binance": {"rest": "https://api1.binance.com/", "stream": "wss://stream.binance.com:443/ws"}}}
    source = source_of("binance", settings(own))
    assert source.stream
    assert (source.name, source.rest) == ("binance", "https://api1.binance.com")
    assert source.stream.url == "wss://stream.binance.com:443/ws"
    assert source_of("binance", settings(own), 8600).rest == "http://127.0.0.1:8600/binance"


@pytest.mark.parametrize(
    "told",
    [
        {"rest": "http://gateway.test"},
        {"rest": "gateway.test"},
        {"stream": "https://gateway.test"},
        {"rest": "https://me:secret@gateway.test"},
        {"key": "tiger"},
        7,
    ],
)
def test_an_address_that_cannot_be_meant_is_refused(told: object) -> None:
    with pytest.raises(BadSetting, match=r"\[sources.binance\] in sparktrends.toml") as caught:
        source_of("binance", settings({"sources": {"binance": told}}))
    assert "secret" not in str(caught.value)


PAID = {"calls_per_minute": 55, "calls_per_day": 0}


def test_a_paying_user_is_not_held_to_the_free_plan() -> None:
    source = source_of("twelve_data", settings({"sources": {"twelve_data": PAID}}))
    assert source.allowances == (Allowance(55, 60),)
    assert source.rest == PROVIDERS["twelve_data"].rest
    assert round(pace(source, 8)) == 60
    address = {"binance": {"rest": "https://api1.binance.com", "calls_per_second": 50}}
    binance = source_of("binance", settings({"sources": address}))
    assert binance.allowances == (Allowance(6000, 60), Allowance(50, 1))
    # The twin's plan is the free one.
    twin = source_of("twelve_data", settings({"sources": {"twelve_data": PAID}}), 8600)
    assert twin.allowances == PROVIDERS["twelve_data"].allowances


@pytest.mark.parametrize("told", [{"calls_per_minute": 0, "calls_per_day": 0}, {"calls_per_minute": 7}])
def test_calls_within_which_nothing_can_be_asked_are_refused(told: dict[str, int]) -> None:
    with pytest.raises(BadSetting, match="within these calls"):
        source_of("twelve_data", settings({"sources": {"twelve_data": told}}))


@pytest.mark.parametrize("told", [-1, 2.5, "55", True, 10**9])
def test_what_is_no_number_of_calls_is_refused(told: object) -> None:
    with pytest.raises(BadSetting, match=r"calls_per_day = .* is no number of calls"):
        source_of("twelve_data", settings({"sources": {"twelve_data": {"calls_per_day": told}}}))


def test_settings_of_a_provider_that_there_is_not_are_refused() -> None:
    with pytest.raises(BadSetting, match=r"\[sources.twelvedata\] .* means nothing.*twelve_data"):
        source_of("binance", settings({"sources": {"twelvedata": PAID}}))


def test_the_daily_run_spends_what_the_plan_has(tmp_path: Path) -> None:
    told = settings({"sources": {"twelve_data": PAID}}, TWELVE_DATA_API_KEY=CANARY)
    planner = provider(told, lambda: 0, "twelve_data", tmp_path).planner
    assert (planner.left(), planner.estimate([8] * 6)) == (55, 0.0)


def test_without_encryption_only_to_a_host_that_is_allowed_by_name() -> None:
    tables = {"sources": {"binance": {"rest": "http://gateway.test"}}, "net": {"allow": ["gateway.test"]}}
    assert source_of("binance", settings(tables)).rest == "http://gateway.test"


def test_symbols_are_read_in_any_case_and_each_source_takes_what_it_can_have() -> None:
    found = Choice(("binance", "yahoo"), symbols="btc/usdt, aapl").feeders(settings())
    assert [feeder.symbols for feeder in found] == [("BTC/USDT",), ("BTC/USDT", "AAPL")]
    assert daily_arguments(Choice(("binance",), symbols="btc/usdt"))[-2:] == ["--symbols", "BTC/USDT"]


def test_a_symbol_that_none_of_the_sources_has_is_named() -> None:
    with pytest.raises(BadSetting, match="none of binance has AAPL, BTCUSDT"):
        Choice(("binance",), symbols="ETH/USDT,AAPL,BTCUSDT").feeders(settings())
    assert Choice(("binance", "week.csv"), symbols="ETH/USDT,FOO").feeders(settings())
    assert Choice(("binance", "simulator"), symbols="20").feeders(settings())[0].symbols == DEFAULTS["binance"]


def file_of_trades(path: Path) -> Path:
    path.write_text("ts,price,size\n1385337600,1,2\n")
    return path


def series_of(source: str, symbols: str = "", beside: Sequence[str] = ()) -> tuple[str, str]:
    (track, *_) = tracks_of(settings(), lambda: NOW, Choice((source, *beside), symbols))
    (found,) = track.recording.series
    return found


def test_the_symbol_of_a_file_is_the_one_that_was_named_and_no_list_or_number(tmp_path: Path) -> None:
    file = str(file_of_trades(tmp_path / "week.csv"))
    assert series_of(file) == ("week~replay", "WEEK")
    # As for a live source, whatever stands round the word.
    for words in ("BTC/USD", "btc/usd", " btc/usd ", "BTC/USD,", ", BTC/USD"):
        assert series_of(file, words) == ("week~replay", "BTC/USD")
    assert series_of(file, "AAPL,MSFT", ["finnhub"]) == ("week~replay", "WEEK")
    assert series_of(file, "50", ["simulator"]) == ("week~replay", "WEEK")


@pytest.mark.parametrize(
    "words",
    [
        ("jan/week.csv", "feb/week.csv"),
        ("jan/week.csv", "jan/../jan/week.csv"),
        ("jan/week.csv", "jan/week.csv.gz"),
        ("jan/week.csv", "WEEK~replay=jan/other.csv", "week=feb/other.csv"),
    ],
)
def test_two_recordings_of_one_series_are_refused_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("jan", "feb"):
        Path(folder).mkdir()
        file_of_trades(Path(folder, "week.csv"))
        Path(folder, "other.csv").write_text("ts,symbol,price,size\n1385337600,A,1,2\n1385337600,WEEK,1,2\n")
    Path("jan/week.csv.gz").write_bytes(gzip.compress(Path("jan/week.csv").read_bytes()))
    with pytest.raises(BadSetting, match=f"{words[0]} and {words[-1]} are both week~replay WEEK") as refused:
        require_usable(settings(), lambda: NOW, Choice(words))
    assert refused.value.hint == "give one another name with --source NAME=FILE, or put both into one file"


def test_trades_and_bars_of_one_name_are_two_series(tmp_path: Path) -> None:
    trades, bars = file_of_trades(tmp_path / "week.csv"), tmp_path / "bars.csv"
    bars.write_text("start,open,high,low,close,volume,interval\n1385337600,1,2,1,2,5,1m\n")
    choice = Choice((f"week={trades}", f"week={bars}", str(bars)), symbols="BTC/USD")
    assert require_usable(settings(), lambda: NOW + MINUTE, choice) == []


def test_a_file_may_have_an_equals_sign_in_its_name_and_a_tilde_behind_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert series_of(str(file_of_trades(tmp_path / "speed=2.csv")))[0] == "speed_2~replay"
    monkeypatch.setenv("HOME", str(tmp_path))
    file_of_trades(tmp_path / "week.csv")
    assert series_of("mine=~/week.csv")[0] == "mine~replay"


def test_a_file_with_a_row_of_the_future_is_refused_by_the_limit_that_holds(tmp_path: Path) -> None:
    file = tmp_path / "week.csv"
    file.write_text("ts,price,size\n1385337600,1,2\n1385337660,1,2\n1385337661,1,2\n")
    choice = Choice((str(file),))
    with pytest.raises(BadFile, match=r"line 4: ts \(in the future\) is '1385337661'; nothing was published"):
        require_usable(settings(), lambda: NOW, choice)
    assert require_usable(settings({"limits": {"future": 61}}), lambda: NOW, choice) == []


def test_rows_that_are_late_are_told_before_anything_is_started(tmp_path: Path) -> None:
    file = tmp_path / "week.csv"
    file.write_text("ts,price,size\n100,1,2\n2000,1,2\n1099,1,2\n1100,1,2\n")
    choice = Choice((str(file),))
    (words,) = require_usable(settings(), lambda: NOW, choice)
    late = "1 of 4 rows stand more than 15 minutes behind a row before them, the first in line 4"
    assert words.startswith(f"{file}: {late}")
    assert require_usable(settings({"limits": {"grace": 901}}), lambda: NOW, choice) == []


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice(("simulator",), rate=-5), "--rate -5"),
        (Choice(("simulator",), rate=float("nan")), "--rate nan"),
        (Choice(("simulator",), rate=1e18), r"--rate 1e\+18"),
        (Choice(("simulator",), symbols="²"), "takes a number from 1"),
    ],
)
def test_a_market_that_nobody_can_simulate_is_refused(choice: Choice, said: str) -> None:
    with pytest.raises(BadSetting, match=said):
        tracks_of(settings(), lambda: 0, choice)


@pytest.mark.parametrize("command", ["up", "ingest", "sandbox"])
def test_a_seed_below_zero_is_a_wrong_call(command: str) -> None:
    found = CliRunner().invoke(main, [command, "--seed", "-1"])
    assert (found.exit_code, "-1 is not in the range" in found.output) == (2, True)


def test_the_defaults_of_yahoo_are_those_of_its_file_of_calls() -> None:
    (named,) = {tuple(call["symbols"]) for call in json.loads(CALLS.read_text("utf-8"))["calls"]}
    assert tuple(DEFAULTS["yahoo"]) == named
