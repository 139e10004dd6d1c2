"""The OpenAPI document says what the API does: schemathesis tries to find otherwise."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from serve.api.world import World
from sparktrends.serve.api import Api
from sparktrends.serve.api.document import build_document
from sparktrends.serve.api.resources import COMPANIES, RESOURCES, Resource

pytestmark = pytest.mark.e2e
# The stream has no end: test_stream follows it over a socket.
OPERATIONS = [
    (path, method) for path, methods in build_document()["paths"].items() for method in methods if path != "/stream"
]
EXAMPLES = settings(
    max_examples=40 if settings.get_current_profile_name() == "all" else 12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def contract(world: World) -> Any:
    """The document of a running API, to be tried without a socket."""
    api = Api(world.config())
    yield schemathesis.openapi.from_wsgi("/api/v1/openapi.json", api.app)
    api.close()


def tried(operation: Any, mode: GenerationMode) -> list[int]:
    """The statuses of many requests, each of which held to the document."""
    statuses: list[int] = []

    @EXAMPLES
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        # Packed answers are not unpacked on the way through WSGI: test_listing looks at those.
        answer = case.call(headers={"Accept-Encoding": "identity"})
        statuses.append(answer.status_code)
        # 422 says what no schema can: an unknown column, from after to, the cursor of another request.
        left_out = [positive_data_acceptance] if answer.status_code == 422 else []
        if operation.method == "get" and is_allowed(operation.path, answer.request.url):
            left_out.append(negative_data_rejection)
        case.validate_response(answer, excluded_checks=left_out)

    ask()
    return statuses


def is_allowed(path: str, url: str) -> bool:
    """Whether what went over the wire is allowed after all: in a query a number that stands where a list of names
    should is a name, and an empty object is nothing; line ends in a path are not sent."""
    parameters = build_document()["paths"][path]["get"].get("parameters", [])
    schemas = {(found["in"], found["name"]): found["schema"] for found in parameters}
    sent = urlsplit(url)
    named = re.fullmatch(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", f"/api/v1{path}"), sent.path)
    asked = {("path", name): unquote(value) for name, value in (named.groupdict() if named else {}).items()}
    lists = {("query", name): value.split(",") for name, value in parse_qsl(sent.query, keep_blank_values=True)}
    only_names = all(schemas.get(place, {}).get("type") == "array" for place in lists)
    return only_names and all(
        Draft202012Validator(schemas[place]).is_valid(value) for place, value in {**asked, **lists}.items()
    )


@pytest.mark.parametrize(
    ("path", "sent", "allowed"),
    [
        ("/news", "news", True),
        ("/news", "news?symbol=0", True),
        ("/news", "news?symbol=", False),
        ("/news", "news?limit=0", False),
        ("/news", "news?nobody=1", False),
        ("/companies/{symbol}", "companies/A%22", True),
        ("/companies/{symbol}", "companies/A%2C", False),
        ("/companies/{symbol}", "companies/A?nobody=1", False),
    ],
)
def test_what_was_sent_counts_whatever_it_was_made_of(path: str, sent: str, allowed: bool) -> None:
    assert is_allowed(path, f"http://localhost/api/v1/{sent}") is allowed


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_what_the_document_allows_is_answered(contract: Any, path: str, method: str) -> None:
    assert max(tried(contract[path][method.upper()], GenerationMode.POSITIVE)) < 500


@pytest.mark.parametrize(
    ("path", "method"), [o for o in OPERATIONS if o[0] not in ("/health", "/ready", "/openapi.json")]
)
def test_what_the_document_forbids_is_refused(contract: Any, path: str, method: str) -> None:
    statuses = tried(contract[path][method.upper()], GenerationMode.NEGATIVE)
    assert {400, 404} & set(statuses)
    assert max(statuses) < 500


def test_every_listing_is_described() -> None:
    paths = build_document()["paths"]
    assert {f"/{resource.path}" for resource in RESOURCES} <= paths.keys()
    assert f"/{COMPANIES.path}/{{symbol}}" in paths


@pytest.mark.parametrize("resource", [*RESOURCES, COMPANIES], ids=lambda resource: resource.path)
def test_the_described_columns_are_the_stored_ones(world: World, resource: Resource) -> None:
    found = world.run(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'market' AND table_name = %s",
        resource.listing.view,
    )
    described = {of.alias or name for name, of in resource.row.model_fields.items()}
    # Bars of either adjustment are one model; only the adjusted ones say it.
    assert described | {"series"} == {name for (name,) in found} | {"series"} | (described & {"adjustment"})


def test_every_column_a_person_reads_is_explained(world: World) -> None:
    silent = world.run(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 "
        "WHERE c.relnamespace = to_regnamespace('market') AND c.relkind IN ('v', 'm', 'r', 'p') "
        "AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL"
    )
    assert silent == []
