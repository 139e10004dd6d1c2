"""Who gets in: keys, scopes, rates, hosts, sizes; and what hostile requests are told."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import cast

import httpx
import pytest

from serve.api.world import World, serving
from sparktrends import Client
from sparktrends.errors import BadSetting, NotFound
from sparktrends.model import SECOND, stable_id
from sparktrends.ops.bench.callers import BAD_RATE, pester
from sparktrends.serve.api import Api, ApiConfig
from sparktrends.serve.api.guard import Buckets, Keys
from sparktrends.store import api_keys
from sparktrends.store.connect import connect
from sparktrends.store.sessions import Sessions

BARS = "/api/v1/bars?symbol=BTC/USD"
HOSTILE = (
    "' OR 1=1 --", "'; DROP TABLE core.bars; --", "1; SELECT pg_sleep(9)", "\" UNION SELECT * FROM core.api_keys --",
    "<script>alert(1)</script>", "../../etc/passwd", "%00", "\u202e", "{{7*7}}", "$(reboot)", "a" * 5000, "NaN", "-1",
    "1e400", "0x10", "1_000", "\uff11", "2024-13-45", "9999-12-31T23:59:59+99:99", "\x00", "\n", "*", "[]", "__proto__",
)  # fmt: skip
PLACES = ("symbol", "source", "interval", "from", "to", "limit", "cursor", "fields", "metrics", "order", "format", "x")


def add(world: World, name: str, scope: str) -> dict[str, str]:
    with connect(world.owner, autocommit=True) as connection:
        key = api_keys.add_key(connection, name, [scope])
    return {"Authorization": f"Bearer {key}"}


def test_a_bucket_fills_again() -> None:
    now = [0]
    buckets = Buckets(2.0, 3.0, lambda: now[0])
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("b") == 0.0
    now[0] += SECOND
    assert [buckets.take("a") > 0 for _ in range(3)] == [False, False, True]


def test_the_callers_that_are_remembered_have_an_end() -> None:
    buckets = Buckets(1.0, 1.0, lambda: 0)
    for number in range(10_005):
        buckets.take(str(number))
    assert buckets.take("10004") > 0
    assert buckets.take("0") == 0.0


def test_a_revoked_key_gets_nobody_in_after_a_clock_was_set_back() -> None:
    now, usable = [SECOND * 10**9], [api_keys.ApiKey(1, "reader", ("read",), api_keys.digest("st_x"))]
    owner = SimpleNamespace(read=lambda _: list(usable))
    keys = Keys(cast(Sessions, owner), lambda: now[0])
    assert keys.find("st_x") is not None
    usable.clear()
    now[0] -= 3600 * SECOND
    assert keys.find("st_x") is None


def test_nobody_listens_to_the_world_without_a_key() -> None:
    config = ApiConfig("", "", host="0.0.0.0")
    with pytest.raises(BadSetting, match="keys add"):
        config.require_keys(0)
    config.require_keys(1)
    ApiConfig("", "").require_keys(0)


@pytest.mark.e2e
def test_keys_open_and_revoked_ones_do_not(world: World) -> None:
    now = [0]
    api = Api(world.config(host="0.0.0.0"), lambda: now[0])
    client = api.app.test_client()
    headers = add(world, "reader", "read")
    assert client.get(BARS).status_code == 401
    assert "Bearer" in client.get(BARS).headers["WWW-Authenticate"]
    assert client.get(BARS, headers={"Authorization": "Bearer st_wrong"}).status_code == 401
    assert client.get(BARS, headers=headers).status_code == 200
    assert client.get(f"{BARS}&key={headers['Authorization'][7:]}").status_code == 401
    with connect(world.owner, autocommit=True) as connection:
        api_keys.revoke_key(connection, "reader")
        with pytest.raises(NotFound):
            api_keys.revoke_key(connection, "reader")
    now[0] += 6 * SECOND
    assert client.get(BARS, headers=headers).status_code == 401
    api.close()


@pytest.mark.e2e
def test_a_reader_changes_nothing(world: World) -> None:
    api = Api(world.config(host="0.0.0.0"))
    client = api.app.test_client()
    reader, admin = add(world, "looks", "read"), add(world, "acts", "admin")
    path = f"/api/v1/alerts/{stable_id('alert')}/ack"
    assert client.post(path, headers=reader).status_code == 403
    assert client.post(path, headers=admin).json["acknowledged_by"] == "acts"
    assert world.run("SELECT acknowledged_by FROM core.alerts") == [("acts",)]
    assert client.get(BARS, headers=admin).status_code == 200
    api.close()


@pytest.mark.e2e
def test_no_key_is_kept(world: World) -> None:
    key = add(world, "secret", "read")["Authorization"][7:]
    stored = str(world.run("SELECT k::text, encode(sha256, 'hex') FROM core.api_keys k"))
    assert key not in stored
    assert api_keys.digest(key).hex() in stored
    assert len(key) >= 3 + 43  # 256 bits
    with pytest.raises(BadSetting, match="exists"):
        add(world, "secret", "read")


@pytest.mark.e2e
def test_who_asks_too_often_waits(world: World) -> None:
    api = Api(world.config(rate=2.0, burst=2.0), lambda: 0)
    client = api.app.test_client()
    answers = [client.get(BARS) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].content_type == "application/problem+json"
    assert int(answers[2].headers["Retry-After"]) >= 1
    api.close()


@pytest.mark.e2e
def test_the_threads_of_the_server_share_one_rate(world: World) -> None:
    with serving(world, lambda: 0, rate=1.0, burst=20.0) as (_, url), ThreadPoolExecutor(8) as pool:
        codes = Counter(pool.map(lambda _: httpx.get(f"{url}{BARS}", timeout=30).status_code, range(80)))
    assert codes == {200: 20, 429: 60}


@pytest.mark.e2e
def test_a_flood_of_bad_requests_is_refused_and_good_ones_are_answered(world: World) -> None:
    silences = world.run("SELECT count(*) FROM core.silences WHERE reason = 'by the API'")
    with serving(world) as (_, url), ThreadPoolExecutor(1) as pool:
        flood = pool.submit(pester, url, BAD_RATE, 2.0)
        with Client(url) as client:
            while not flood.done():
                assert len(client.bars("BTC/USD", limit=3)) == 3
        heard = flood.result()
    assert heard.total() == 2 * BAD_RATE
    assert heard.keys() == {"400", "404", "415", "422"}
    assert world.run("SELECT count(*) FROM core.silences WHERE reason = 'by the API'") == silences


@pytest.mark.e2e
def test_a_page_with_another_name_reads_nothing(api: Api) -> None:
    client = api.app.test_client()
    assert client.get(BARS, headers={"Host": "evil.example:8000"}).status_code == 403
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
        assert client.get(BARS, headers={"Host": host}).status_code == 200


@pytest.mark.e2e
def test_only_known_origins_may_read(world: World) -> None:
    api = Api(world.config(origins=("http://127.0.0.1:8501",)))
    client = api.app.test_client()
    allowed = client.get(BARS, headers={"Origin": "http://127.0.0.1:8501"})
    assert allowed.headers["Access-Control-Allow-Origin"] == "http://127.0.0.1:8501"
    other = client.get(BARS, headers={"Origin": "http://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers
    api.close()


@pytest.mark.parametrize(
    ("origin", "may"),
    [
        ("http://localhost:8502", True),  # `streamlit run` where 8501 was taken
        ("http://127.0.0.1:8501", True),
        ("http://[::1]:9000", True),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example:8501", False),
        ("http://evil.example/127.0.0.1", False),
        ("http://[::1", False),
        ("null", False),
    ],
)
def test_without_a_list_the_pages_of_this_machine_may_read(origin: str, may: bool) -> None:
    assert ApiConfig("", "").may_read(origin) is may
    assert not ApiConfig("", "", origins=()).may_read(origin)


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/nothing", {}, 404),
        ("/bars", {"method": "DELETE"}, 405),
        ("/bars", {}, 400),
        ("/bars?symbol=A&symbol=B", {}, 400),
        ("/bars?symbol=A&from=2024-05-02&to=2024-05-01", {}, 422),
        ("/bars?symbol=A&from=1900-01-01&to=2024-05-01", {}, 422),
        ("/bars?symbol=A&fields=password", {}, 422),
        ("/silences", {"method": "POST", "data": b"x" * 70_000, "content_type": "application/json"}, 413),
        ("/silences", {"method": "POST", "data": b"hours=1"}, 415),
        ("/silences", {"method": "POST", "json": {"hours": 1, "who": "me"}}, 400),
        ("/silences", {"method": "POST", "json": {"hours": "1"}}, 400),
        ("/alerts/nothing/ack", {"method": "POST"}, 404),
        ("/stream", {}, 501),
    ],
)
def test_every_error_is_a_problem(api: Api, path: str, more: dict[str, object], status: int) -> None:
    answer = api.app.test_client().open(f"/api/v1{path}", **more)  # type: ignore[arg-type]
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert answer.json["status"] == status
    assert answer.json["detail"]


@pytest.mark.e2e
def test_a_fault_of_ours_shows_no_trace(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.pages, "respond", lambda *_: 1 / 0)
    answer = api.app.test_client().get(BARS)
    assert answer.status_code == 500
    assert "ZeroDivision" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.e2e
@pytest.mark.parametrize("place", PLACES)
def test_hostile_words_break_nothing(api: Api, world: World, place: str) -> None:
    client = api.app.test_client()
    before = world.run("SELECT count(*) FROM core.bars")
    for word in HOSTILE:
        for path in ("bars", "signals"):
            answer = client.get(f"/api/v1/{path}", query_string={"symbol": "BTC/USD", place: word})
            assert answer.status_code < 500, (path, place, word, answer.text)
            assert word not in answer.headers.get("Content-Type", "")
    assert world.run("SELECT count(*) FROM core.bars") == before


@pytest.mark.e2e
def test_a_silence_is_written_down(api: Api, world: World) -> None:
    answer = api.app.test_client().post("/api/v1/silences", json={"hours": 1.5, "rule": "jump"})
    (row,) = world.run("SELECT rule, created_by FROM core.silences WHERE id = %s", answer.json["id"])
    assert row == ("jump", "local")
