"""What a handshake that was refused means."""

from __future__ import annotations

import asyncio
import threading

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from sparktrends.errors import RateLimited
from sparktrends.ingest.dial import dial, translated
from sparktrends.net import AddressGuard
from sparktrends.sources import make_source


@pytest.mark.parametrize(
    ("told", "delay"),
    [
        ({}, 60.0),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "99999999999"}, 86_400.0),
        ({"Retry-After": "²"}, 60.0),
        ({"Retry-After": "Mon, 23 Nov 2026 09:31:30 GMT", "Date": "Mon, 23 Nov 2026 09:30:00 GMT"}, 90.0),
    ],
)
def test_no_handshake_silences_a_source_for_more_than_a_day(told: dict[str, str], delay: float) -> None:
    error = translated(InvalidStatus(Response(429, "", Headers(told), b"")), "finnhub")
    assert isinstance(error, RateLimited)
    assert error.delay == delay


def test_an_end_does_not_wait_for_a_resolver_that_hangs() -> None:
    asked, answered = threading.Event(), threading.Event()

    def resolver(_host: str, _port: int) -> list[str]:
        asked.set()
        answered.wait(60)
        return []

    async def begin() -> None:
        stream = make_source("binance").stream
        assert stream
        dialling = asyncio.ensure_future(dial(stream, None, AddressGuard(resolver=resolver)))
        while not asked.is_set():
            await asyncio.sleep(0.001)
        dialling.cancel()

    loop = threading.Thread(target=lambda: asyncio.run(begin()))
    loop.start()
    try:
        loop.join(10)
        assert not loop.is_alive()
    finally:
        answered.set()
        loop.join()
