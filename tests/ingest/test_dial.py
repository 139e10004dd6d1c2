"""What a handshake that was refused means."""

from __future__ import annotations

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from sparktrends.errors import RateLimited
from sparktrends.ingest.dial import translated


@pytest.mark.parametrize(
    ("told", "delay"),
    [({}, 60.0), ({"Retry-After": "7"}, 7.0), ({"Retry-After": "99999999999"}, 86_400.0), ({"Retry-After": "²"}, 60.0)],
)
def test_no_handshake_silences_a_source_for_more_than_a_day(told: dict[str, str], delay: float) -> None:
    error = translated(InvalidStatus(Response(429, "", Headers(told), b"")), "finnhub")
    assert isinstance(error, RateLimited)
    assert error.delay == delay
