"""Volume by price, as the API lists it and the market page shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from serve.api.world import World
from sparktrends.serve.api import Api
from sparktrends.serve.dashboard import config as config_module
from sparktrends.serve.dashboard.config import DashboardConfig, configure

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def traded(database: tuple[Any, Callable[[], World]]) -> World:
    """A market with the profiles of two sessions in it."""
    world = database[1]()
    world.run(
        "INSERT INTO core.volume_profiles SELECT series, '2024-05-01', '2024-05-01Z', '2024-05-02Z', 0.5, 100,"
        " '{1,2.5,0,1}', 1, 0, 1, 30, now() FROM unnest(ARRAY[1, 2]) series"
    )
    return world


@pytest.fixture
def configured(traded: World) -> Iterator[None]:
    configure(DashboardConfig(traded.reader, "http://127.0.0.1:9"))
    yield
    config_module._given.clear()


def test_levels_are_listed_page_by_page(traded: World) -> None:
    api = Api(traded.config())
    client, found, more = api.app.test_client(), list[Any](), dict[str, str]()
    while not found or more:
        asked = {"symbol": "BTC/USD", "order": "asc", "limit": "2", **more}
        page = client.get("/api/v1/volume-profile", query_string=asked).json
        found += page["data"]
        more = {"cursor": page["next"]} if page["next"] else {}
    api.close()
    assert [(row["price"], row["volume"], row["in_value_area"]) for row in found] == [
        ("100", "1", True),
        ("100.5", "2.5", True),
        ("101.5", "1", False),
    ]


def test_the_market_page_tells_the_levels_below_its_chart(configured: None) -> None:
    app = AppTest.from_file(str(Path(config_module.__file__).with_name("app.py")), default_timeout=60)
    for name, value in {"page": "market", "symbol": "BTC/USD", "source": "binance"}.items():
        app.query_params[name] = value
    for _ in range(2):
        assert not app.run().tabs  # the chart comes first, however long it takes
    app.session_state["live"] = True  # as it says when it is there
    said = [str(one.value) for one in app.run().caption]
    wanted = "Most was traded from 100.5 to 101; 70 % of the volume from 100 to 101, in 30 minutes with trades."
    assert wanted in said
