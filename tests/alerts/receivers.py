"""Other sides on loopback, with real sockets: an HTTP receiver and a mail server that misbehave as told."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from sparktrends.alerts.channels import Answer
from sparktrends.errors import Unavailable, UnknownOutcome


@dataclass
class Receiver:
    """What arrived, and how the next requests are answered: ``script`` first, then ``default``.

    A behaviour is a status, a (status, headers) pair, ``hang`` (reads, keeps the request, never answers) or ``close``
    (accepts, reads, closes).
    """

    default: Any = 200
    script: list[Any] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def alerts(self) -> Counter[str]:
        """How often each alert id was posted, whatever the answer."""
        return Counter(alert["id"] for body in self.bodies for alert in json.loads(body)["alerts"])

    def messages(self, *answers: Any) -> list[list[dict[str, Any]]]:
        """The alerts of each POST, or of those only that were answered so."""
        return [
            json.loads(body)["alerts"]
            for body, answer in zip(self.bodies, self.answers, strict=True)
            if not answers or answer in answers
        ]


@contextmanager
def receiver(**options: Any) -> Iterator[Receiver]:
    """An HTTP receiver on this machine, on a free port unless ``port`` is one."""
    state = Receiver(**options)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            behaviour = state.script.pop(0) if state.script else state.default
            state.headers.append({k.lower(): v for k, v in self.headers.items()})
            state.answers.append(behaviour)
            state.bodies.append(body)
            if behaviour == "hang":
                state.over.wait(30)
            if behaviour in ("hang", "close"):
                self.close_connection = True
                return
            status, headers = behaviour if isinstance(behaviour, tuple) else (behaviour, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", state.port), Handler)
    server.daemon_threads = True
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.over.set()
        server.shutdown()
        server.server_close()
        thread.join(60)


class PlainPost:
    """A `Post` over http.client without the guard of `net`; remembers the time limits it was given."""

    def __init__(self, cap_s: float = 10.0) -> None:
        self.cap_s = cap_s
        self.timeouts: list[float] = []

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Answer:
        self.timeouts.append(timeout_s)
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=min(timeout_s, self.cap_s))
        try:
            connection.connect()
        except OSError as error:
            raise Unavailable(f"not reached ({type(error).__name__})") from error
        try:
            connection.request("POST", parts.path, body, dict(headers))
            answer = connection.getresponse()
            told = {k.lower(): v for k, v in answer.getheaders()}
            return Answer(answer.status, told, answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise UnknownOutcome(f"no answer ({type(error).__name__})") from error
        finally:
            connection.close()


@dataclass
class MailServer:
    """What arrived, and what it answers to each command: a text, ``hang`` or ``close``."""

    answers: dict[str, str] = field(default_factory=dict)
    mails: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    port: int = 0


@contextmanager
def mail_server(**answers: str) -> Iterator[MailServer]:
    """A mail server on a free port of this machine, enough for smtplib."""
    state = MailServer(answers)
    listener = socket.create_server(("127.0.0.1", 0))
    state.port = listener.getsockname()[1]
    thread = threading.Thread(target=_serve_mail, args=(listener, state), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(60)


def _serve_mail(listener: socket.socket, state: MailServer) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client, client.makefile("rwb") as stream, suppress(OSError, ValueError):
            _talk(stream, state)


def _talk(stream: Any, state: MailServer) -> None:
    usual = {"ehlo": "250-me\r\n250 AUTH PLAIN", "data": "354 go on", "auth": "235 welcome", "quit": "221 bye"}
    if not _answer(stream, state, "connect", "220 me"):
        return
    while line := stream.readline():
        verb = line.split()[0].decode().lower()
        if not _answer(stream, state, verb, usual.get(verb, "250 ok")):
            return
        if verb == "data" and not state.answers.get("data", "354").startswith(("4", "5")):
            state.mails.append(_body(stream))
            if not _answer(stream, state, "body", "250 taken"):
                return


def _answer(stream: Any, state: MailServer, verb: str, usual: str) -> bool:
    answer = state.answers.get(verb, usual)
    if answer == "hang":
        state.over.wait(30)
    if answer in ("hang", "close"):
        return False
    stream.write(answer.encode() + b"\r\n")
    stream.flush()
    return True


def _body(stream: Any) -> str:
    lines = []
    while (line := stream.readline()) not in (b".\r\n", b""):
        lines.append(line.decode())
    return "".join(lines)
