"""The OpenAPI document says what the API does: schemathesis tries to find otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from serve.api.world import World
from sparktrends.serve.api import Api
from sparktrends.serve.api.document import build_document
from sparktrends.serve.api.resources import COMPANIES, RESOURCES
from sparktrends.serve.api.rows import BarRow

pytestmark = pytest.mark.e2e
# The stream has no end: test_stream follows it over a socket.
OPERATIONS = [
    (path, method) for path, methods in build_document()["paths"].items() for method in methods if path != "/stream"
]
EXAMPLES = settings(
    max_examples=30,
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
        case.validate_response(answer, excluded_checks=left_out)

    ask()
    return statuses


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


def test_the_described_columns_are_the_stored_ones(world: World) -> None:
    found = world.run(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'market' AND table_name = 'bars'"
    )
    assert {name for (name,) in found} | {"adjustment"} == set(BarRow.model_fields)


def test_every_column_a_person_reads_is_explained(world: World) -> None:
    silent = world.run(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 "
        "WHERE c.relnamespace = to_regnamespace('market') AND col_description(c.oid, a.attnum) IS NULL "
        "AND c.relname IN ('series', 'symbols', 'bars', 'bars_all', 'changes', 'shards', 'progress')"
    )
    assert silent == []
