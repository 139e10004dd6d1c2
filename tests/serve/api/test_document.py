"""The OpenAPI document by itself: complete, and pointing nowhere else."""

from __future__ import annotations

import json
import re

import pytest

from sparktrends.serve.api import Api, ApiConfig
from sparktrends.serve.api.config import PREFIX
from sparktrends.serve.api.document import build_document

DOCUMENT = build_document()
UNDOCUMENTED = {"/docs", "/docs.js", "/docs.css"}


@pytest.fixture(scope="module")
def api() -> Api:
    return Api(ApiConfig("host=127.0.0.1 port=1", "host=127.0.0.1 port=1"))


def test_every_route_is_described(api: Api) -> None:
    routes = {
        re.sub(r"<(?:path:)?(\w+)>", r"{\1}", rule.rule.removeprefix(PREFIX)) for rule in api.app.url_map.iter_rules()
    }
    assert routes - UNDOCUMENTED - {"/"} == DOCUMENT["paths"].keys()


def test_every_reference_leads_somewhere() -> None:
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT)))
    assert named <= DOCUMENT["components"]["schemas"].keys()


def test_parameters_say_what_they_are() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for parameter in methods.get("get", {}).get("parameters", []):
            assert parameter["description"], (path, parameter["name"])
            assert "null" not in json.dumps(parameter["schema"]), (path, parameter["name"])


@pytest.mark.parametrize("name", sorted(UNDOCUMENTED))
def test_the_pages_come_from_here_alone(api: Api, name: str) -> None:
    answer = api.app.test_client().get(f"{PREFIX}{name}")
    assert answer.status_code == 200
    assert not re.search(r"(?:https?:)?//[a-z]", re.sub(r"//[ ].*", "", answer.text))
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_the_bare_address_leads_to_the_documentation(api: Api) -> None:
    assert api.app.test_client().get("/").headers["Location"] == f"{PREFIX}/docs"


def test_alive_without_a_database(api: Api) -> None:
    client = api.app.test_client()
    assert client.get(f"{PREFIX}/health").json["status"] == "alive"
    assert client.get(f"{PREFIX}/ready").status_code == 503
