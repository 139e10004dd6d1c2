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
