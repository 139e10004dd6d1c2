"""Bars adjusted for splits: whole series, page by page, while the raw ones stay what was traded."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient

from serve.api.world import World

pytestmark = pytest.mark.e2e
SPLIT = (
    "INSERT INTO core.corporate_actions (source, symbol, day, kind, value, payload, updated_at)"
    " VALUES ('yahoo', 'ETH/USD', '2024-05-02', 'split', 2, 0, now()) ON CONFLICT DO NOTHING"
)


def bars(client: FlaskClient, **parameters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = client.get("/api/v1/bars", query_string={"symbol": "ETH/USD", **parameters, **cursor})
        assert answer.status_code == 200, answer.text
        page = json.loads(answer.data)
        found += page["data"]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_every_bar_is_there_on_todays_basis_however_it_is_cut_into_pages(
    client: FlaskClient, world: World, order: str
) -> None:
    raw = bars(client, order=order, limit=1000)
    world.run(SPLIT)
    for limit in (7, 1000):
        adjusted = bars(client, order=order, limit=limit, adjustment="split")
        assert [row["start"] for row in adjusted] == [row["start"] for row in raw]
        for name, factor in (("close", 2), ("high", 2), ("volume", Decimal("0.5"))):
            assert [Decimal(row[name]) * factor for row in adjusted] == [Decimal(row[name]) for row in raw]
        assert {row["adjustment"] for row in adjusted} == {"split"}
    assert bars(client, order=order, limit=1000) == raw


def test_a_split_that_comes_between_two_questions_is_in_every_bar_of_the_second(
    client: FlaskClient, world: World
) -> None:
    world.run("DELETE FROM core.corporate_actions")
    before = bars(client, adjustment="split", limit=1000)
    # No commit of bars tells of it; the bar behind it does not say how far it reaches back.
    world.run(SPLIT)
    world.commit([(2, 29)])
    after = bars(client, adjustment="split", limit=1000)
    assert [Decimal(row["close"]) * 2 for row in after] == [Decimal(row["close"]) for row in before]


def test_metrics_are_of_raw_prices_and_stand_beside_no_adjusted_ones(client: FlaskClient) -> None:
    asked = {"symbol": "BTC/USD", "adjustment": "split", "metrics": "rsi_14"}
    answer = client.get("/api/v1/bars", query_string=asked)
    assert answer.status_code == 422
    assert answer.json["detail"].startswith("metrics are made of raw prices")
    assert client.get("/api/v1/bars", query_string={**asked, "adjustment": "raw"}).status_code == 200
