"""What a person types for live sources, with a provider's address in the settings instead of the internet's.

A right source, one with a wrong key and one that carries prices run side by side; each says in a sentence what is the
matter with it, and a symbol is added meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from alerts.receivers import Receiver, receiver
from e2e.product import Product, until
from sparktrends.sessions import calendar
from sparktrends.sources import PROVIDERS, make_source
from sparktrends.telemetry import system_clock
from twin import Running, running_twin

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

WRONG = "wrong-tiger-canary-31337"
KEYS = {"FINNHUB_API_KEY": WRONG, "TWELVE_DATA_API_KEY": WRONG}
BARS = """
SELECT count(*) FROM market.bars WHERE source = %s AND symbol = %s AND interval = '1m' AND origin = 'trades'
AND trades > 0
"""
WHOLE = f"{BARS} AND state = 'final' AND reason IS NULL"
REFUSED = "finnhub: nothing of BTC/USDT, ETH/USDT"


def addresses(twin: Running) -> str:
    """The settings that lead each provider to the twin; its own base path is not the twin's."""
    tables = ['[net]\nallow = ["127.0.0.1"]']
    for name in PROVIDERS:
        stream = make_source(name).stream
        tables.append(f'[sources.{name}]\nrest = "{twin.rest(name)}"')
        if stream:
            parts = urlsplit(stream.url)
            query = f"?{parts.query}" if parts.query else ""
            tables.append(f'stream = "{twin.stream(name)}{parts.path}{query}"')
    return "\n".join(tables) + "\n"


RULE = """
[[rule]]
name = "every_minute"
when = "close > 0.01"
until = "close > 0.001"
cooldown = "1m"
title = "{symbol} was traded at {close:.2f}"
"""


@pytest.fixture(scope="module")
def slack() -> Iterator[Receiver]:
    with receiver() as other:
        yield other


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, slack: Receiver) -> Iterator[tuple[Product, Any]]:
    folder = tmp_path_factory.mktemp("twin")
    keys = {**KEYS, "SLACK_WEBHOOK": f"http://127.0.0.1:{slack.port}/services/T/B/x"}
    with (
        running_twin(folder, "--rate", "200", "--symbols", "BTC,ETH,SOL,AAPL,MSFT,SPY") as twin,
        Product.fresh(keys) as product,
    ):
        (product.folder / "rules.toml").write_text(RULE)
        with (product.folder / "sparktrends.toml").open("a") as settings:
            settings.write(addresses(twin) + '[rules]\nfile = "rules.toml"\n')
        words = [word for name in ("binance", "finnhub", "yahoo") for word in ("--source", name)]
        command = product.up(*words, "--symbols", "BTC/USDT,ETH/USDT,AAPL,MSFT")
        until(lambda: product.ask(BARS, "binance", "ETH/USDT"), 120, lambda: product.log("stream")[-3000:])
        yield product, command
        assert command.stop() == 0, command.err


def test_a_wrong_key_is_said_wherever_one_looks_and_stops_nobody_else(live: tuple[Product, Any]) -> None:
    product, command = live
    until(lambda: REFUSED in command.err, 60, lambda: command.err)
    assert REFUSED in product.run("status").out
    assert "refuses the key" in product.run("check", "ingest", code=1).out
    assert product.ask(BARS, "binance", "BTC/USDT") > 0


def test_a_rule_that_names_no_channel_reaches_slack(live: tuple[Product, Any], slack: Receiver) -> None:
    product, _ = live
    until(lambda: any(b"ETH/USDT was traded at" in body for body in slack.bodies), 180, lambda: product.log("alerts"))


def test_check_keys_tells_each_key(live: tuple[Product, Any]) -> None:
    product, _ = live
    command = product.run("check", "keys", code=1)
    assert "binance, market data: well" in command.err
    assert "yahoo, charts: well" in command.err
    assert "alpha_vantage needs a key" in command.err
    for provider in ("finnhub", "twelve_data"):
        assert f"{provider}, key: {provider} refuses the key" in command.err


def test_a_symbol_is_added_while_everything_runs(live: tuple[Product, Any]) -> None:
    product, _ = live
    assert "wanted: SOL/USDT" in product.run("symbols", "add", "SOL/USDT").out
    until(lambda: product.ask(BARS, "binance", "SOL/USDT"), 60, lambda: product.log("ingest"))
    # It joins a connection that stands: from its first whole minute on it is as much alive as the others.
    until(lambda: product.ask(WHOLE, "binance", "SOL/USDT"), 200, lambda: product.log("ingest"))
    assert "nothing of SOL/USDT" not in product.run("status").out


def test_a_symbol_that_nobody_has_is_refused_at_once(live: tuple[Product, Any]) -> None:
    product, _ = live
    assert "write a stock as AAPL, a pair as BTC/USDT" in product.run("symbols", "add", "no such", code=2).err


def test_a_closed_exchange_says_when_it_opens(live: tuple[Product, Any]) -> None:
    _, command = live
    words = "yahoo: the market of AAPL, MSFT is closed until"
    assert (words in command.err) == (not calendar().at(system_clock()).trading)


def test_a_plan_says_what_a_day_costs_and_asks_nobody(live: tuple[Product, Any]) -> None:
    product, _ = live
    forty = ",".join(f"S{i}" for i in range(40))
    said = product.run(
        "batch", "fetch", "--plan", "--symbols", forty, "--source", "alpha_vantage", env={"ALPHA_VANTAGE_API_KEY": "x"}
    ).out
    assert "alpha_vantage: 40 symbols need" in said
    assert "days on this plan; for their prices yahoo would take" in said


def test_the_wrong_key_is_in_no_file_and_no_argument(live: tuple[Product, Any], tmp_path: Path) -> None:
    product, _ = live
    arguments = [word for process in product.processes() for word in process.cmdline()]
    assert not [word for word in arguments if WRONG in word]
    for file in product.home.rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):  # Spark's scratch comes and goes
            assert WRONG.encode() not in file.read_bytes(), file
