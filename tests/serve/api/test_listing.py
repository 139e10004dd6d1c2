"""Listings: what they hold, how they are cut into pages, and in which forms they come."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve.api.world import _BARS, HOSTILE, START, World, serving, stand
from sparktrends.ops.stack import Stack
from sparktrends.serve.api import Api
from sparktrends.serve.api.resources import BARS
from sparktrends.serve.api.rows import FreshnessRow, Ready
from sparktrends.store.conditions import Condition, Conditions
from sparktrends.store.serving import Wanted, _statement, _values, catalog

pytestmark = pytest.mark.e2e


def get(client: FlaskClient, path: str, **parameters: Any) -> Any:
    answer = client.get(f"/api/v1/{path}", query_string=parameters or None)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.data)


def test_the_newest_bars_come_first_with_exact_decimals(client: FlaskClient) -> None:
    found = get(client, "bars", symbol="BTC/USD", source="binance", limit=2)
    newest = found["data"][0]
    assert (newest["start"], newest["close"], newest["low"]) == ("2024-05-01T00:29:00Z", "129", "99.000000000000000001")
    assert newest["volume"] == "2.5"
    assert "series" not in newest
    assert found["next"]


def test_metrics_come_beside_bars_and_a_number_that_is_none_is_null(client: FlaskClient) -> None:
    found = get(client, "bars", symbol="BTC/USD", source="binance", metrics="rsi_14,sma_20", fields="start", limit=1)
    assert found["data"] == [{"start": "2024-05-01T00:29:00Z", "rsi_14": 55.5, "sma_20": None}]


def test_metrics_of_the_settings_come_beside_bars_too(client: FlaskClient, world: World) -> None:
    asked = {"symbol": "BTC/USD", "source": "binance", "metrics": "sma_100,rsi_14", "fields": "start", "limit": 2}
    answer = client.get("/api/v1/bars", query_string=asked)
    assert (answer.status_code, answer.json["detail"][:20]) == (422, "no metric sma_100: t")
    newest = START + timedelta(minutes=29)
    world.run("UPDATE core.metrics SET extra = '{\"sma_100\": 101.25}' WHERE start = %s", newest)
    api = Api(world.config())
    for more in ({}, {"order": "asc", "from": "2024-05-01T00:28:00Z"}):
        found = get(api.app.test_client(), "bars", **asked, **more)["data"]
        assert {row["start"][14:16]: (row["sma_100"], row["rsi_14"]) for row in found} == {
            "29": (101.25, 55.5),
            "28": (None, 55.5),
        }
    answer = api.app.test_client().get("/api/v1/bars", query_string={**asked, "metrics": "sma_101"})
    assert answer.status_code == 422
    assert answer.json["detail"].endswith("volume_z, sma_100")
    world.run("UPDATE core.metrics SET extra = NULL")
    api.close()


@pytest.mark.parametrize(
    ("path", "number"),
    [("symbols", 3), ("metrics?symbol=BTC/USD", 30), ("signals", 1), ("signals?retracted=include", 2), ("alerts", 1)],
)
def test_each_listing_has_its_rows(client: FlaskClient, path: str, number: int) -> None:
    assert len(get(client, path)["data"]) == number


def test_json_columns_are_json(client: FlaskClient) -> None:
    assert get(client, "signals")["data"][0]["detail"] == {"z": 6.5}


def test_a_span_is_half_open(client: FlaskClient) -> None:
    span = {"from": "2024-05-01T00:05:00Z", "to": "2024-05-01T02:10:00+02:00", "order": "asc"}
    found = get(client, "bars", symbol="ETH/USD", **span)["data"]
    assert [row["start"][14:16] for row in found] == ["05", "06", "07", "08", "09"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(1, 40),
    order=st.sampled_from(["asc", "desc"]),
    symbols=st.sampled_from(["BTC/USD", "BTC/USD,ETH/USD"]),
)
def test_the_pages_together_are_the_whole(client: FlaskClient, limit: int, order: str, symbols: str) -> None:
    whole = get(client, "bars", symbol=symbols, order=order, limit=1000)["data"]
    pages: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        found = get(client, "bars", symbol=symbols, order=order, limit=limit, **cursor)
        pages += found["data"]
        if found["next"] is None:
            break
        cursor = {"cursor": found["next"]}
    assert pages == whole
    keys = [(row["start"], row["source"], row["symbol"]) for row in whole]
    assert keys == sorted(keys, reverse=order == "desc")


def test_the_newest_bars_are_read_without_the_others(database: Any) -> None:
    """A month of minutes, provider's bars between and beside them: the page is right, and little is read for it."""
    world = database[1]()
    world.run("SELECT core.ensure_month('provider_bars', '2024-05-01')")
    world.run(_BARS, 2, START + timedelta(minutes=30), 40_000)
    world.run(_PROVIDED)
    world.run("ANALYZE")
    api = Api(world.config())
    client = api.app.test_client()
    known = api.reader.read(catalog)
    starts = [start for (start,) in world.run("SELECT start FROM market.bars WHERE series = 2 ORDER BY start")]
    for order, expected in (("desc", starts[::-1]), ("asc", starts)):
        found = [row["start"] for row in get(client, "bars", symbol="ETH/USD", order=order, limit=300)["data"]]
        assert found == [start.isoformat().replace("+00:00", "Z") for start in expected[:300]]
        wanted = Wanted(["close"], {"symbol": ["ETH/USD"], "interval": ["1m"]}, limit=10, descending=order == "desc")
        plan = api.reader.read(partial(explained, known, wanted))
        assert max(node["Actual Rows"] * node["Actual Loops"] for node in nodes(plan)) < 100
    api.close()


_PROVIDED = """
INSERT INTO core.provider_bars
SELECT 2, '1m', timestamptz '2024-05-01Z' + n * interval '1 minute', 'raw', 1, 1, 1, 1, 1, 1, 1, true, 0, 0, 0, now()
FROM generate_series(0, 43000, 7) n
"""


def explained(known: Any, wanted: Wanted, cursor: Any) -> Any:
    """How PostgreSQL carries a page out."""
    statement = _statement(known, BARS.listing, wanted, ["close"])
    cursor.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + statement, _values(wanted))
    return cursor.fetchone()[0][0]["Plan"]


def nodes(plan: Any) -> list[Any]:
    """Every node of a plan."""
    return [plan] + [node for inner in plan.get("Plans", []) for node in nodes(inner)]


def test_a_cursor_belongs_to_its_request(client: FlaskClient) -> None:
    cursor = get(client, "bars", symbol="BTC/USD", limit=1)["next"]
    for parameters in ({"symbol": "ETH/USD"}, {"symbol": "BTC/USD", "order": "asc"}):
        answer = client.get("/api/v1/bars", query_string={**parameters, "cursor": cursor})
        assert answer.status_code == 422
        assert "begin again" in answer.json["detail"]


def test_a_page_that_others_asked_for_too_goes_on(client: FlaskClient) -> None:
    """The newest rows are kept as they are sent: whoever asks for the same in other words gets the same cursor."""
    get(client, "bars", symbol="BTC/USD", fields="start,start", limit=3)
    first = get(client, "bars", symbol="BTC/USD", fields="start", limit=3)
    more = get(client, "bars", symbol="BTC/USD,BTC/USD", limit=3, cursor=first["next"], fields="start,close")
    assert [row["start"][14:16] for row in (*first["data"], *more["data"])] == ["29", "29", "28", "28", "27", "27"]


def test_csv_runs_nothing_in_a_spreadsheet(client: FlaskClient) -> None:
    answer = client.get("/api/v1/alerts?format=csv&fields=id,title,start")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row["title"] == "'" + HOSTILE
    assert row["start"] == "2024-05-01T00:00:00Z"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="alerts.csv"'


def test_csv_follows_its_link(client: FlaskClient) -> None:
    seen, address = [], "/api/v1/bars?symbol=ETH/USD&format=csv&fields=start&limit=7"
    while address:
        answer = client.get(address)
        seen += answer.text.split()[1:]
        address = answer.headers.get("Link", "").partition(">")[0].strip("<")
    assert len(seen) == len(set(seen)) == 30


@pytest.mark.parametrize("symbol", ["日経", 'A"b', "A?b#c", "A%3Fb", "BTC/日"])
def test_csv_of_a_company_of_any_name_is_sent_and_follows_its_link(world: World, symbol: str) -> None:
    for source in ("finnhub", "yahoo"):
        world.run(_COMPANY, source, symbol)
    address, seen = f"/api/v1/companies/{quote(symbol)}?format=csv&fields=source,symbol&limit=1", []
    # Over a socket: what the test client hands over nobody has to write into a header.
    with serving(world) as (_, url), httpx.Client(base_url=url) as http:
        while address:
            answer = http.get(address)
            assert answer.status_code == 200, answer.text
            assert re.fullmatch(r'attachment; filename="[^"]+\.csv"', answer.headers["Content-Disposition"])
            seen += csv.DictReader(io.StringIO(answer.text))
            address = answer.links.get("next", {}).get("url", "")
    assert seen == [{"source": source, "symbol": symbol} for source in ("yahoo", "finnhub")]


_COMPANY = """
INSERT INTO core.companies VALUES (%s, %s, '2024-05-01', 'X', '', 'USD', '', '', '', 1, 1, 1, now())
"""


def test_who_has_it_already_is_told_so(client: FlaskClient) -> None:
    first = client.get("/api/v1/bars?symbol=BTC/USD")
    again = client.get("/api/v1/bars?symbol=BTC/USD", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    here = client.get("/api/v1/bars?symbol=BTC/USD", headers={"Accept-Encoding": "gzip"})
    assert here.data == first.data, "within a machine nothing is packed"
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    packed = client.get("/api/v1/bars?symbol=BTC/USD", headers={"Accept-Encoding": "gzip"}, environ_base=elsewhere)
    assert gzip.decompress(packed.data) == first.data
    assert packed.headers["ETag"] == first.headers["ETag"]


def test_what_does_not_exist_yet_is_said(client: FlaskClient, world: World) -> None:
    world.run("DROP VIEW market.volume_profile")
    answer = client.get("/api/v1/volume-profile")
    assert answer.status_code == 404
    assert "not part of this installation yet" in answer.json["detail"]
    world.run(
        "CREATE VIEW market.volume_profile AS "
        "SELECT DATE '2024-05-01' AS day, 'a' AS source, 'b' AS symbol, 0.5 AS price"
    )
    world.run("GRANT SELECT ON market.volume_profile TO sparktrends_reader")
    row = {"day": "2024-05-01", "source": "a", "symbol": "b", "price": "0.5"}
    assert get(client, "volume-profile") == {"data": [row], "next": None}


def test_companies_have_slashes_in_their_names(client: FlaskClient, world: World) -> None:
    daily(world)
    (found,) = get(client, "companies/BTC/USD")["data"]
    assert (found["name"], found["market_cap"]) == ("Bitcoin", "1900000000000.5")
    assert get(client, "companies/ETH/USD")["data"] == []


def test_the_daily_run_is_listed(client: FlaskClient, world: World) -> None:
    daily(world)
    (story,) = get(client, "news", symbol="ETH/USD,BTC/USD", label="positive")["data"]
    assert (story["symbols"], story["evidence"]) == (["AAPL", "BTC/USD"], [{"word": "up", "weight": 0.5}])
    assert get(client, "news", symbol="ETH/USD")["data"] == []
    (trend,) = get(client, "trends/daily", symbol="BTC/USD")["data"]
    assert (trend["day"], trend["return"], trend["topics"]) == ("2024-05-01", 0.03, ["earnings"])
    (quality,) = get(client, "quality", symbol="BTC/USD")["data"]
    assert (quality["score"], quality["reasons"]) == (97.5, {"late": 2.5})
    days = get(client, "prices/daily", symbol="BTC/USD")["data"]
    assert [(row["day"], row["close"]) for row in days] == [("2024-05-01", "125.5")]


def daily(world: World) -> None:
    """A story, a company, a day and its quality, once."""
    if world.run("SELECT 1 FROM core.news"):
        return
    world.run(
        "INSERT INTO core.news VALUES ('finnhub', 'n1', %s, 'BTC up', 'btc up', '', 'http://x', 'X', NULL, '', 0.6, "
        "'positive', '[{\"word\": \"up\", \"weight\": 0.5}]', '{crypto}', 'lexicon 1', 1, now())",
        START,
    )
    world.run(
        "INSERT INTO core.mentions SELECT 'finnhub', 'n1', unnest(ARRAY['BTC/USD', 'AAPL']), NULL, 0.6, 'positive'"
    )
    world.run(
        "INSERT INTO core.companies VALUES ('finnhub', 'BTC/USD', '2024-05-01', 'Bitcoin', '', 'USD', '', '', '', 1, "
        "1900000000000.50, 1, now())"
    )
    world.run(
        "INSERT INTO core.daily_trends (source, symbol, day, close, return, headlines, topics, changes, tag, summary, "
        "rank, evidence, updated_at) VALUES ('binance', 'BTC/USD', '2024-05-01', 129, 0.03, 1, '{earnings}', '{}', "
        "'quiet', 'Nothing happened.', 1, '{}', now())"
    )
    world.run("INSERT INTO core.quality VALUES (1, '2024-05-01', 97.5, 30, '{\"late\": 2.5}', '{\"late\": 3}', now())")
    world.run(_BARS.replace("'1m'", "'1d'").replace("100 + n", "125.5 + n"), 1, START, 1)


def test_a_dead_feed_is_told_from_a_quiet_market_and_a_closed_exchange(
    database: tuple[Stack, Callable[[], World]],
) -> None:
    world = database[1]()
    stand(world)
    api = Api(world.config())
    found = get(api.app.test_client(), "freshness")["data"]
    api.close()
    assert [(row["source"], row["symbol"], row["reason"], row["exchange_closed"]) for row in found] == [
        ("binance", "BTC/USD", "feed_stale", False),
        ("binance", "ETH/USD", None, True),
        ("demo~sim", "BTC/USD", "no_trade", False),
    ]
    for row in found:
        assert 0 <= FreshnessRow.model_validate(row).age < 60
        assert set(row) == set(FreshnessRow.model_fields)


def test_ready_tells_ages(client: FlaskClient, world: World) -> None:
    world.commit([(1, 0)])
    found = get(client, "ready")
    assert found["status"] == "ready"
    assert found["series"] == 3
    assert 0 <= found["commit_age_s"] < 60


def test_ready_says_whether_data_flows(database: tuple[Stack, Callable[[], World]]) -> None:
    world = database[1]()
    api, conditions = Api(world.config()), Conditions(world.owner, "test")

    def told() -> tuple[bool, list[str]]:
        said = Ready.model_validate(get(api.app.test_client(), "ready"))
        assert said.flowing is (said.stored_age_s is not None and said.stored_age_s < said.expected_s)
        return said.flowing, said.troubles

    def stored(seconds: int) -> None:
        world.run("UPDATE core.ledger SET updated_at = now() - make_interval(secs => %s)", seconds)

    world.run(
        "INSERT INTO core.ledger (topic, partition, topic_id, first_offset, next_offset, shard)"
        " VALUES ('raw.trades', 0, 't', 0, 0, '1/1')"
    )
    assert told() == (False, [])  # a ledger that begins holds nothing yet
    world.run("UPDATE core.ledger SET records = 5, trades = 5, next_offset = 5")
    assert told() == (True, [])
    stored(31)
    world.commit([(1, 0)])  # repair changed a bar: nothing new has come
    conditions.fire(Condition("ops.away", "broker", "broker does not answer", 0, "critical"), (), 0)
    assert told() == (False, ["broker does not answer"])
    conditions.resolve("ops.away", "broker", 1)
    stored(20)
    assert told() == (True, [])
    conditions.close()
    api.close()
