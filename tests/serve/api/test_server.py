"""The server by itself, over sockets and without a database: what is written into a stream arrives, all of it, once."""

from __future__ import annotations

import http.client
import random
import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from flask import Flask, Response, request
from waitress.channel import ClientDisconnected

from sparktrends.errors import BadSetting
from sparktrends.serve.api import ApiConfig
from sparktrends.serve.api.hub import ENVIRON_KEY
from sparktrends.serve.api.server import ChannelWire, Server


class Kept:
    """Takes the wire, as a listener of the hub does."""

    wire: ChannelWire

    def __init__(self) -> None:
        self.ready = threading.Event()

    def attach(self, wire: ChannelWire) -> None:
        self.wire = wire
        self.ready.set()


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def port(kept: Kept) -> Iterator[int]:
    """A server with one stream and one plain page."""
    app = Flask(__name__)

    @app.get("/stream")
    def stream() -> Response:
        request.environ[ENVIRON_KEY] = kept
        return Response(iter([b"begin\n"]), direct_passthrough=True)

    app.add_url_rule("/plain", "plain", lambda: "plain")
    server = Server(app, ApiConfig("", "", port=0, threads=2))
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server.port
    server.stop()
    thread.join(60)
    assert not thread.is_alive()


def opened(port: int, kept: Kept) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/stream")
    answer = connection.getresponse()
    assert kept.ready.wait(60)
    return answer


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_byte_arrives_once_and_in_order(port: int, kept: Kept, seed: int) -> None:
    answer = opened(port, kept)
    rng = random.Random(seed)
    frames = [b"%d:" % n + b"x" * rng.choice((10, 9_000, 90_000)) + b"\n" for n in range(1_500)]

    def write() -> None:
        for frame in frames:
            while kept.wire.pending > 900_000:
                time.sleep(0)
            kept.wire.send(frame)
        kept.wire.end()

    writer = threading.Thread(target=write)
    writer.start()
    # A reader that is slower than the writer keeps both senders busy: waitress's loop and the one who writes.
    heard = b"".join(iter(lambda: answer.read(30_000), b""))
    assert heard == b"begin\n" + b"".join(frames)
    writer.join(60)


def test_a_stream_holds_no_thread_and_what_it_says_is_not_heard(port: int, kept: Kept) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as first:
        first.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.ready.wait(60)
        first.sendall(b"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(10):
            assert httpx.get(f"http://127.0.0.1:{port}/plain").text == "plain"
        kept.wire.send(b"next\n")
        time.sleep(0.2)
        assert b"plain" not in first.recv(10_000)


def test_who_left_is_known(port: int, kept: Kept) -> None:
    opened(port, kept).close()
    deadline = time.monotonic() + 60
    while kept.wire.alive:
        kept.wire.send(b"anybody?\n")
        assert time.monotonic() < deadline
        time.sleep(0.01)
    kept.wire.send(b"nobody\n")
    kept.wire.end()


def test_who_leaves_while_its_stream_is_ended_costs_nobody_else_anything() -> None:
    class Channel:
        connected, will_close, close_when_flushed = True, False, False
        server = SimpleNamespace(pull_trigger=lambda: None)

        def write_soon(self, _: bytes) -> None:
            raise ClientDisconnected

    channel = Channel()
    ChannelWire(channel, chunked=True).end()
    assert channel.close_when_flushed


@pytest.mark.parametrize(
    ("words", "status"),
    [(b"GARBAGE\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", 431)]
    + [(b"POST /plain HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n", 413)],
)
def test_what_is_no_request_gets_a_problem(port: int, words: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(words)
        answer: Any = http.client.HTTPResponse(client)
        answer.begin()
        assert (answer.status, answer.getheader("Content-Type")) == (status, "application/problem+json")


def test_a_taken_port_is_said(port: int) -> None:
    with pytest.raises(BadSetting, match="cannot listen"):
        Server(Flask(__name__), ApiConfig("", "", port=port))
