"""Opens a provider's socket: to the address that was checked, with the key where it belongs, following no redirect."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.frames import CloseCode

from sparktrends.errors import AccessDenied, BadRecord, RateLimited, SparkTrendsError, Unavailable
from sparktrends.ingest.unawaited import Unawaited
from sparktrends.net import AddressGuard, Secret
from sparktrends.sources.base import Stream, told_wait
from sparktrends.sources.decoding import MAX_FRAME

logging.getLogger("websockets").setLevel(logging.WARNING)  # its DEBUG lines hold the URL, and with it the key
_OPEN_S = 10.0


class _Connect(connect):
    """`websockets.connect` that takes a redirect for the failure it is: it could lead anywhere, with our key."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def dial(stream: Stream, key: Secret | None, guard: AddressGuard) -> connect:
    """Resolve and check the address; an asynchronous context manager that yields the open connection.

    Raises BadSetting and Unavailable of the guard. What opening and reading raise, `translated` understands.
    """
    parts = urlsplit(stream.url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    # A resolver may take seconds, and the loop serves other sockets; without a network it takes a minute, and an end
    # must not wait for that.
    loop = asyncio.get_running_loop()
    pinned = await loop.run_in_executor(Unawaited(), guard.pin, parts.hostname or "", port)
    url, headers = _authorised(stream, key)
    return _Connect(
        url,
        additional_headers=headers,
        host=pinned,
        port=port,
        # Nothing of the environment decides where a key goes.
        proxy=None,
        compression=None,
        open_timeout=_OPEN_S,
        close_timeout=0.5,
        max_size=MAX_FRAME + 1,
        # What is not read stays in the provider's socket: that is the back-pressure of `Listener.room`.
        max_queue=256,
    )


def _authorised(stream: Stream, key: Secret | None) -> tuple[str, Mapping[str, str]]:
    if stream.auth is None or key is None:
        return stream.url, {}
    # The only place where a socket's key is in the open; no error below quotes the URL.
    value = key.wrap(stream.auth.template).reveal()
    if stream.auth.place == "header":
        return stream.url, {stream.auth.name: value}
    joint = "&" if "?" in stream.url else "?"
    return f"{stream.url}{joint}{stream.auth.name}={quote(value, safe='')}", {}


def translated(error: Exception, provider: str) -> SparkTrendsError:
    """What ended or prevented a connection, as one of ours; its words never hold the URL.

    >>> translated(OSError("wss://x.test?token=tiger"), "finnhub")
    Unavailable('finnhub: the connection is gone (OSError)')
    """
    if isinstance(error, SparkTrendsError):
        return error
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        words = f"{provider} refuses the connection with {status}"
        if status == 401:
            return AccessDenied(f"{provider} refuses the key; `sparktrends check keys` tries every one")
        if status in (403, 451):
            return AccessDenied(words)
        if status in (418, 429):
            headers = error.response.headers
            after = told_wait(headers.get("Retry-After", ""), headers.get("Date", ""))
            return RateLimited(words, delay=60.0 if after is None else after)
        return Unavailable(words)
    if isinstance(error, ConnectionClosed) and error.sent and error.sent.code == CloseCode.MESSAGE_TOO_BIG:
        return BadRecord("too_large", f"{provider} sent a frame of more than {MAX_FRAME} bytes")
    if isinstance(error, (OSError, TimeoutError, EOFError, WebSocketException)):
        return Unavailable(f"{provider}: the connection is gone ({type(error).__name__})")
    raise error
