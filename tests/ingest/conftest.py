from __future__ import annotations

import pytest

from librdkafka_broker import broker

__all__ = ["broker"]


@pytest.fixture
def anyio_backend() -> str:
    """Tests of coroutines run on asyncio, as the product does."""
    return "asyncio"
