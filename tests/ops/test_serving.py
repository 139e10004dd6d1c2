"""The process of the API: it ends, whatever its parts meet."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import cast

import pytest

from sparktrends.ops.commands.serving import _serve
from sparktrends.serve.api import Api
from sparktrends.serve.api.server import Server


def test_the_server_ends_also_when_a_stream_does_not_end_well() -> None:
    stopping, over = threading.Event(), threading.Event()

    def close() -> None:
        raise OSError("a stream that nobody thought of")

    api = cast(Api, SimpleNamespace(close=close))
    server = cast(Server, SimpleNamespace(run=over.wait, stop=over.set))
    stopping.set()
    with pytest.raises(OSError, match="nobody thought of"):
        _serve(api, server, stopping)
    assert over.is_set()
    assert "api" not in {thread.name for thread in threading.enumerate()}
