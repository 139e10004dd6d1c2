"""A provider on loopback for tests of the drivers: one websocket server that does what a test says, and plain HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

Behaviour = Callable[[ServerConnection], Awaitable[None]]


class SocketServer:
    """Counts connections (with the loop's time of each) and keeps what clients say; ``behave`` is one connection."""

    def __init__(self, behave: Behaviour, admit: Callable[[Request], Response | None] = lambda _: None) -> None:
        self.behave = behave
        self.admit = admit
        self.connected: list[float] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.said: list[tuple[float, str]] = []
        self.url = ""

    async def __aenter__(self) -> SocketServer:
        self._server = await serve(self._handle, "127.0.0.1", 0, process_request=self._request, close_timeout=0.1)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/ws"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def _request(self, _connection: ServerConnection, request: Request) -> Response | None:
        self.connected.append(asyncio.get_running_loop().time())
        self.paths.append(request.path)
        self.headers.append(dict(request.headers.raw_items()))
        return self.admit(request)

    async def _handle(self, connection: ServerConnection) -> None:
        listening = asyncio.ensure_future(self._listen(connection))
        try:
            await self.behave(connection)
        finally:
            listening.cancel()

    async def _listen(self, connection: ServerConnection) -> None:
        async for message in connection:
            self.said.append((asyncio.get_running_loop().time(), str(message)))


async def until(done: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait on the loop until ``done``; fails after so many seconds."""
    end = asyncio.get_running_loop().time() + seconds
    while not done():
        assert asyncio.get_running_loop().time() < end, "it did not happen in time"
        await asyncio.sleep(0.01)


Answerer = Callable[[str, dict[str, str]], tuple[int, dict[str, str], bytes]]


@contextmanager
def http_server(answer: Answerer) -> Iterator[tuple[str, list[str]]]:
    """(address, the paths asked for) of a server that answers path and headers with (status, headers, body)."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, headers, body = answer(self.path, {k.lower(): v for k, v in self.headers.items()})
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
