"""A time limit for the whole of an answer, its headers too.

A server that sends a byte a second never runs into the limit between two pieces: so no wait for the network is longer
than what is left of the request's time.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

_left: ContextVar[Callable[[], float]] = ContextVar("seconds_left", default=lambda: math.inf)


@contextmanager
def within(left: Callable[[], float]) -> Iterator[None]:
    """Requests of the block, in this thread, end with a timeout when ``left`` says that no second is left."""
    token = _left.set(left)
    try:
        yield
    finally:
        _left.reset(token)


class Transport(httpx.HTTPTransport):
    """The transport of httpx, on connections that keep to `within`."""

    def __init__(self, trust: ssl.SSLContext) -> None:
        """Certificates are checked with that context; nothing of the environment is read."""
        super().__init__(verify=trust, trust_env=False)
        # httpx has no way to hand it in; `tests/net/test_http.py` fails where a newer one holds it elsewhere.
        self._pool = httpcore.ConnectionPool(
            ssl_context=trust, max_connections=100, keepalive_expiry=5.0, network_backend=_Network()
        )


class _Network(httpcore.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(host, port, timeout, local_address, socket_options))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _at_most(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _at_most(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        # Python itself gives a handshake that time in all.
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _at_most(timeout: float | None) -> float | None:
    left = _left.get()()
    if left <= 0:
        raise httpcore.ReadTimeout("too slow")
    return left if timeout is None else min(timeout, left)
