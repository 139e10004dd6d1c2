"""The one HTTP client: time limits always, bounded answers, no redirects, no environment, guarded addresses."""

from __future__ import annotations

import re
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from sparktrends.errors import BadRecord, BadSetting, Unavailable, UnknownOutcome
from sparktrends.net.addresses import AddressGuard
from sparktrends.net.deadline import Transport, within
from sparktrends.net.redaction import Secret
from sparktrends.telemetry import Clock

# As much as a payload may be; the same bound stands in `sources.decoding`.
MAX_BODY = 32 * 1024 * 1024
_SECOND = 1_000_000
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")
_NAMES = 32  # more than a process calls: the least used one begins a new connection
_WINDOW_BITS = zlib.MAX_WBITS | 32  # gzip and zlib headers both

Values = Mapping[str, "str | Secret"]
"""Header or query values; a `Secret` is revealed on the wire and nowhere else."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: header names in lower case, ``received`` in microseconds UTC. The body is not in the repr."""

    status: int
    body: bytes = field(repr=False)
    received: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds to connect, between two pieces of an answer, and for the whole of it; bytes of an answer."""

    connect: float = 5.0
    read: float = 10.0
    total: float = 30.0
    body: int = MAX_BODY


@dataclass(slots=True, eq=False)
class _Client:
    """A client and how many requests are under way with it."""

    client: httpx.Client
    users: int = 0


@dataclass(slots=True, eq=False)
class Clients:
    """A client for each name that is called, the ``_NAMES`` newest: a pool knows its connections by address alone, and
    would give a second name at one address the one whose certificate was checked against the first."""

    make: Callable[[], httpx.Client]
    _kept: dict[str, _Client] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def of(self, host: str) -> Iterator[httpx.Client]:
        """The client for a name, which is not closed during the block."""
        with self._lock:
            mine = self._kept.pop(host, None) or _Client(self.make())
            self._kept[host] = mine  # the newest stands last
            mine.users += 1
            self._drop_oldest()
        try:
            yield mine.client
        finally:
            with self._lock:
                mine.users -= 1

    def _drop_oldest(self) -> None:
        idle = [name for name, one in self._kept.items() if not one.users]
        for name in idle[: max(0, len(self._kept) - _NAMES)]:
            self._kept.pop(name).client.close()

    def close(self) -> None:
        """Close the pooled connections."""
        with self._lock:
            for one in self._kept.values():
                one.client.close()


class Http:
    """One client for one process; safe to use from several threads. Close it, or use it as a context manager."""

    def __init__(
        self,
        clock: Clock,
        guard: AddressGuard | None = None,
        limits: Limits | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """Without ``trust`` the certificates of certifi are trusted; give a context for an authority of your own."""
        self._clock = clock
        self._guard = guard or AddressGuard()
        self._limits = limits or Limits()
        timeout = httpx.Timeout(self._limits.read, connect=self._limits.connect)
        # trust_env=False: no proxy, netrc or certificate file of the environment changes where a key goes.
        trusted = trust or httpx.create_ssl_context(trust_env=False)
        self._clients = Clients(
            lambda: httpx.Client(transport=Transport(trusted), timeout=timeout, follow_redirects=False, trust_env=False)
        )

    def __enter__(self) -> Http:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the pooled connections."""
        self._clients.close()

    def get(self, url: str, params: Values | None = None, headers: Values | None = None) -> Response:
        """GET; see `send` for the errors."""
        return self.send("GET", url, params=params, headers=headers)

    def post(self, url: str | Secret, json: Any, headers: Values | None = None) -> Response:
        """POST of a JSON document; see `send` for the errors."""
        return self.send("POST", url, headers=headers, json=json)

    def send(
        self,
        method: str,
        url: str | Secret,
        *,
        params: Values | None = None,
        headers: Values | None = None,
        json: Any = None,
    ) -> Response:
        """Send one request and read its answer, whatever its status: a 3xx is an answer like any other.

        ``url`` may be a Secret (a webhook). Raises BadSetting (a URL that cannot be called, an address that is not
        public), Unavailable (no connection, or a GET without an answer), UnknownOutcome (anything else without an
        answer, once it was sent), BadRecord ``too_large`` or ``bad_encoding``. No message holds path or query.
        """
        target = _parse_url(_reveal(url))
        where = f"{target.host}:{_port(target)}"
        # The address that was checked is the one that is called: asked again, a hostile resolver may say another.
        pinned = self._guard.pin(target.host, _port(target))
        with self._clients.of(target.host) as client:
            try:
                request = client.build_request(
                    method,
                    target.copy_with(host=pinned),
                    params=httpx.QueryParams(target.params).merge(_revealed(params)),
                    # By hand, because the URL now holds an address; gzip only, for that is what `_decoded` can bound.
                    headers={"Host": _host_header(target), "Accept-Encoding": "gzip", **_revealed(headers)},
                    json=json,
                    # TLS too must see the name: the certificate is checked against it, not against the address.
                    extensions={"sni_hostname": target.host},
                )
            except (UnicodeError, ValueError, TypeError):  # its words would show the value, which may be a key
                hint = "is there a stray letter in a key?"
                raise BadSetting(f"{where} cannot be sent these values", hint=hint) from None
            return self._exchange(client, request, where)

    def _exchange(self, client: httpx.Client, request: httpx.Request, where: str) -> Response:
        deadline = self._clock() + int(self._limits.total * _SECOND)
        try:
            with within(lambda: (deadline - self._clock()) / _SECOND):
                response = client.send(request, stream=True)
                try:
                    body = self._read(response, where)
                finally:
                    response.close()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            # Nothing was sent yet, so also a POST may be tried again. `from None`: httpx's words hold the URL.
            raise Unavailable(f"{where} does not answer ({type(error).__name__})") from None
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise BadSetting(f"{where} cannot be called ({type(error).__name__})") from None
        except httpx.TransportError as error:
            raise _lost(request.method, where, type(error).__name__) from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Response(response.status_code, body, self._clock(), headers)

    def _read(self, response: httpx.Response, where: str) -> bytes:
        body = bytearray()
        for piece in _decoded(response, self._limits.body, where):
            body += piece
            if len(body) > self._limits.body:
                raise BadRecord("too_large", f"{where} sent more than {self._limits.body} bytes")
        return bytes(body)


def _decoded(response: httpx.Response, limit: int, where: str) -> Iterator[bytes]:
    """The body piece by piece, unpacked by ourselves so that a small answer cannot grow beyond the limit."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        yield from response.iter_raw()
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise BadRecord("bad_encoding", f"{where} packed its answer as nobody asked")
    unpack = zlib.decompressobj(_WINDOW_BITS)
    try:
        for piece in response.iter_raw():
            # What is cut off here is never missed: one byte above the limit refuses the whole answer.
            yield unpack.decompress(piece, limit + 1)
    except zlib.error:
        raise BadRecord("bad_encoding", f"{where} sent an answer that cannot be unpacked") from None
    # A connection that broke off looks like an end; half a document might still parse.
    if not unpack.eof:
        raise BadRecord("bad_encoding", f"{where} sent half an answer")


def _lost(method: str, where: str, why: str) -> Unavailable | UnknownOutcome:
    if method in ("GET", "HEAD"):
        return Unavailable(f"{where} gave no answer ({why})")
    # Only the receiver knows whether it was done: a second POST may do it twice.
    return UnknownOutcome(f"{where} gave no answer ({why})", hint="it may have arrived")


def _parse_url(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise BadSetting("a URL cannot be read", hint="write it as https://host/path") from None
    # Hosts appear in messages: one that is no name may be a mistyped secret.
    if parsed.scheme not in ("https", "http") or not _HOST.fullmatch(parsed.host) or parsed.userinfo:
        raise BadSetting("a URL cannot be called", hint="write it as https://host/path, without user and password")
    return parsed


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _host_header(url: httpx.URL) -> str:
    return url.netloc.decode("ascii")


def _reveal(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def _revealed(values: Values | None) -> dict[str, str]:
    return {name: _reveal(value) for name, value in (values or {}).items()}
