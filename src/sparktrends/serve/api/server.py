"""Waitress, with one addition: who follows the stream keeps its connection and needs no thread.

Waitress holds a thread as long as a response lasts: two hundred listeners would be two hundred threads that take
turns at one lock. So when a response is the beginning of a stream, its channel is handed to the hub, and the thread
goes back to its work. The hub writes into the channel's buffer, from where waitress's own loop sends.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import sys
from typing import Any

from flask import Flask
from waitress.adjustments import Adjustments
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.wasyncore import close_all

from sparktrends.errors import BadSetting
from sparktrends.serve.api import problems
from sparktrends.serve.api.config import ApiConfig
from sparktrends.serve.api.hub import ENVIRON_KEY, PENDING_LIMIT, Listener

_STALLED_S = 120


class ChannelWire:
    """The hub's way into a connection. Everything here may be called from any thread."""

    def __init__(self, channel: Any, chunked: bool) -> None:
        self._channel = channel
        self._chunked = chunked

    @property
    def alive(self) -> bool:
        """Whether the other side is there, as far as one knows."""
        return bool(self._channel.connected and not self._channel.will_close)

    @property
    def pending(self) -> int:
        """Bytes that the other side has not taken yet."""
        return int(self._channel.total_outbufs_len)

    def send(self, data: bytes) -> None:
        """Append to what is sent; never blocks, because the hub stops long before waitress's mark."""
        try:
            self._channel.write_soon(b"%X\r\n%s\r\n" % (len(data), data) if self._chunked else data)
        except ClientDisconnected:
            self._channel.will_close = True

    def end(self) -> None:
        """Close when what waits has been taken; who takes nothing for two minutes is closed by waitress."""
        if self._chunked and self.alive:
            # The other side may go in between.
            with contextlib.suppress(ClientDisconnected):
                self._channel.write_soon(b"0\r\n\r\n")
        self._channel.close_when_flushed = True
        self._channel.server.pull_trigger()


class _Task(WSGITask):  # type: ignore[misc]
    """Answers a request; gives the channel away when the answer is a stream."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        # Another WSGI server lacks it, and `/stream` then says so instead of holding a thread.
        environ[ENVIRON_KEY + ".able"] = True
        return environ

    def finish(self) -> None:
        listener: Listener | None = self.environ.get(ENVIRON_KEY) if self.environ else None
        # A HEAD has no body: its channel would wait for events for ever.
        if listener is None or self.request.command == "HEAD":
            super().finish()
            return
        # Else waitress closes the connection as soon as the first bytes are out.
        self.close_on_finish = False
        self.channel.streams = True
        listener.attach(ChannelWire(self.channel, self.chunked_response))


class _ErrorTask(ErrorTask):  # type: ignore[misc]
    """Requests that are no HTTP get a problem too."""

    def execute(self) -> None:
        error = self.request.error
        self.status = f"{error.code} {error.reason}"
        body = problems.document(error.code, error.reason, "the request is malformed or too large")
        self.response_headers.append(("Content-Type", problems.TYPE))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(HTTPChannel):  # type: ignore[misc]
    task_class = _Task
    error_task_class = _ErrorTask
    streams = False

    def _flush_some(self, do_close: bool = True) -> bool:
        """Waitress's loop sends without the lock once no task runs, when the hub writes: both would send it."""
        with self.outbuf_lock:
            return bool(super()._flush_some(do_close))

    def received(self, data: bytes) -> bool:
        """What a listener says after its request is not heard: an answer would land in the middle of an event."""
        return True if self.streams else bool(super().received(data))


class _Server(TcpWSGIServer):  # type: ignore[misc]
    channel_class = _Channel


def settle_process() -> None:
    """Make the process one whose only work is to answer; call it once, when everything is imported.

    The collector need not go through what was imported in the middle of an answer. And threads pass the interpreter on
    after half a millisecond, not five: a thread gives it up at each call of the system and gets it back behind all that
    wait, so that one answer cost many such turns while a flood kept the others busy.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(0.0005)


class Server:
    """A bound server: ``port`` is the one it got; ``run`` returns after ``stop`` (from any thread)."""

    def __init__(self, app: Flask, config: ApiConfig) -> None:
        """Raises BadSetting when the address cannot be listened on."""
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        adjustments = Adjustments(
            host=config.host,
            port=config.port,
            threads=config.threads,
            ident=None,
            # Listeners hold theirs for hours: the others must still find one.
            connection_limit=config.listeners + 500,
            max_request_body_size=config.body_bytes,
            max_request_header_size=32 * 1024,
            # Far above where the hub lets a listener go: beyond this mark a writer would block, and with it all
            # streams.
            outbuf_high_watermark=16 * PENDING_LIMIT,
            outbuf_overflow=4 * PENDING_LIMIT,
            channel_timeout=_STALLED_S,
            clear_untrusted_proxy_headers=True,
            asyncore_use_poll=True,
        )
        self._map: dict[int, Any] = {}
        try:
            self._server = _Server(app, map=self._map, adj=adjustments)
        except OSError as error:
            close_all(self._map)
            raise BadSetting(
                f"the API cannot listen on {config.host}:{config.port} ({error.strerror})", hint="choose another --port"
            ) from error
        self.port = int(self._server.effective_port)

    def run(self) -> None:
        """Serve until stopped."""
        self._server.run()
        self._server.task_dispatcher.shutdown(timeout=3)

    def stop(self) -> None:
        """Close every connection and end ``run``."""
        trigger = self._server.trigger
        # Under the lock: woken by somebody else the loop would do it, and close the pipe, before it is written to.
        with trigger.lock:
            trigger.thunks.append(lambda: close_all(self._map))
            trigger._physical_pull()
