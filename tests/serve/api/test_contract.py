"""The OpenAPI document says what the API does: schemathesis tries to find otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from serve.api.world import World
from sparktrends.serve.api import Api
from sparktrends.serve.api.document import build_document
from sparktrends.serve.api.resources import COMPANIES, RESOURCES
from sparktrends.serve.api.rows import BarRow

pytestmark = pytest.mark.e2e
EXAMPLES = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def contract(world: World) -> Any:
    """The document of a running API, to be tried without a socket."""
    api = Api(world.config())
    yield schemathesis.openapi.from_wsgi("/api/v1/openapi.json", api.app).exclude(path="/stream")
    api.close()


schema = schemathesis.pytest.from_fixture("contract")


@schema.parametrize()
@EXAMPLES
def test_nothing_contradicts_the_document(case: Any) -> None:
    # 422 is for what a schema cannot say: an unknown column, from after to, the cursor of another request.
    answer = case.call()
    left_out = [positive_data_acceptance] if answer.status_code == 422 else []
    case.validate_response(answer, excluded_checks=left_out)
    assert answer.status_code < 500


def test_every_listing_is_described() -> None:
    paths = build_document()["paths"]
    assert {f"/{resource.path}" for resource in RESOURCES} <= paths.keys()
    assert f"/{COMPANIES.path}/{{symbol}}" in paths
    assert negative_data_rejection is not None


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
