"""A real database for every test of the outbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from alerts.world import World


@pytest.fixture
def world(database: str) -> Iterator[World]:
    """A database of the test's own."""
    made = World(database)
    yield made
    made.close()
