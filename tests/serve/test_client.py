"""The Python client against a real API."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import polars as pl
import pytest

from serve.api.world import World, serving
from sparktrends.errors import AccessDenied, BadSetting, NotFound, Unavailable
from sparktrends.ops.stack import Stack
from sparktrends.serve.api.document import build_document
from sparktrends.serve.api.resources import COMPANIES, RESOURCES
from sparktrends.serve.client import KIND, Client


@pytest.fixture(scope="module")
def url(database: tuple[Stack, Callable[[], World]]) -> Iterator[str]:
    """An API on a market of 30 minutes."""
    with serving(database[1]()) as (_, address):
        yield address


@pytest.mark.e2e
def test_bars_come_in_the_order_of_time(url: str) -> None:
    with Client(url) as client:
        frame = client.bars("BTC/USD", source="binance", limit=10)
    assert frame["close"].to_list() == [float(100 + n) for n in range(20, 30)]
    assert frame["start"].dtype == pl.Datetime("us", "UTC")


@pytest.mark.e2e
def test_pages_are_followed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparktrends.serve.client._PAGE", 7)
    with Client(url) as client:
        assert len(client.bars(["BTC/USD", "ETH/USD"], limit=None)) == 90
        assert len(client.bars("BTC/USD", limit=12)) == 12


@pytest.mark.e2e
def test_frames_as_one_likes_them(url: str) -> None:
    with Client(url, frame="pandas", exact=True) as client:
        frame = client.bars("BTC/USD", source="binance", metrics=["rsi_14"], limit=1)
    assert isinstance(frame, pd.DataFrame)
    assert (frame["low"][0], frame["rsi_14"][0]) == ("99.000000000000000001", 55.5)


@pytest.mark.e2e
def test_every_listing_answers(url: str) -> None:
    span = {"start": datetime(2024, 5, 1, tzinfo=UTC), "end": datetime(2024, 5, 1, 0, 3, tzinfo=UTC)}
    with Client(url) as client:
        counts = [len(frame) for frame in (client.symbols(), client.signals(), client.alerts())]
        assert counts == [3, 1, 1]
        assert len(client.metrics("BTC/USD", **span)) == 3
        assert client.signals(severity="critical").is_empty()
        assert client.signals()["detail"].to_list() == ['{"z":6.5}']


@pytest.mark.e2e
def test_errors_have_their_types(url: str) -> None:
    with Client(url, key="wrong") as client, pytest.raises(AccessDenied, match="not known"):
        client.symbols()
    with Client(url) as client:
        with pytest.raises(BadSetting, match="interval"):
            client.bars("BTC/USD", "2m")
        with pytest.raises(NotFound):
            client.rows("nothing")
        with pytest.raises(BadSetting, match="time zone"):
            client.bars("BTC/USD", start=datetime(2024, 5, 1))
    with Client("http://127.0.0.1:1") as client:
        with pytest.raises(Unavailable, match="does not answer"):
            client.symbols()
        with pytest.raises(Unavailable, match="broke"):
            next(client.stream(reconnect=False))


def kind_of(schema: dict[str, Any]) -> str:
    """What the API's document says of a column."""
    said = next((choice for choice in schema.get("anyOf", [schema]) if choice.get("type") != "null"), {})
    if "pattern" in said:
        return "exact"
    formats = {"date-time": "time", "date": "day"}
    types = {"object": "json", "array": "texts", "integer": "count", "boolean": "truth", "number": "number"}
    return formats.get(said.get("format", "")) or types.get(said.get("type", ""), "text" if "type" in said else "json")


def test_the_client_knows_what_every_column_is() -> None:
    rows = {resource.row.__name__ for resource in (*RESOURCES, COMPANIES)}
    for row in rows:
        for name, schema in build_document()["components"]["schemas"][row]["properties"].items():
            kind = KIND.get(name, "number")
            # Trends of a day have prices as numbers.
            assert kind == kind_of(schema) or (row, kind) == ("TrendRow", "exact") or name == "series", (row, name)


@pytest.mark.e2e
def test_columns_have_their_types_whatever_is_in_them(url: str) -> None:
    with Client(url) as client:
        (bar,) = client.bars("BTC/USD", source="binance", metrics=["rsi_14", "obv"], limit=1).to_dicts()
        frame = client.bars("ETH/USD", metrics=["rsi_14", "obv"], limit=3)
        assert bar["rsi_14"] == 55.5
        assert [frame[name].dtype for name in ("rsi_14", "obv", "reason")] == [pl.Float64, pl.Float64, pl.String]
        alerts = client.alerts()
        kinds = [alerts[name].dtype for name in ("inhibits", "resolved_at", "values", "ended", "channels")]
        assert kinds == [pl.List(pl.String), pl.Datetime("us", "UTC"), pl.String, pl.String, pl.List(pl.String)]


def test_importing_the_client_costs_little() -> None:
    code = (
        "import sys; from sparktrends import Client; "
        "heavy = {'pyspark', 'flask', 'psycopg', 'polars', 'pandas', 'numba', 'confluent_kafka'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
