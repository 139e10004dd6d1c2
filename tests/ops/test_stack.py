"""The whole stack, as a person's program holds it."""

from __future__ import annotations

import pytest

from sparktrends.ops.stack import Stack


@pytest.mark.e2e
def test_both_parts_answer(stack: Stack) -> None:
    assert {name: keeper.server.ready() for name, keeper in stack.keepers.items()} == {"kafka": True, "postgres": True}
