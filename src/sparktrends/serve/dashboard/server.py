"""Runs the dashboard in this process, so that sessions share one configuration and one set of connections."""

from __future__ import annotations

import gc
import importlib
import logging
import socket
from pathlib import Path

from sparktrends.serve.dashboard.config import DashboardConfig, configure

_HEAVY = ("pandas", "plotly.graph_objects", "sparktrends.serve.dashboard.app")
APP = Path(__file__).with_name("app.py")


def run(config: DashboardConfig, port: int, host: str = "127.0.0.1") -> None:
    """Serve on ``host:port`` until SIGTERM or Ctrl-C; raises SystemExit when the port is taken.

    Everything else that Streamlit can be told stands in `.streamlit/config.toml` beside the script, where
    `streamlit run` finds it too.
    """
    from streamlit import config as options
    from streamlit.web import bootstrap

    from sparktrends.serve.dashboard import live_chart

    configure(config)
    # What the pages need is read before the first visitor comes, who would otherwise wait for it.
    # (Streamlit warns that their caches will be in memory; they are anyway.)
    logging.getLogger("streamlit.runtime.caching.cache_data_api").setLevel(logging.ERROR)
    for name in _HEAVY:
        importlib.import_module(name)
    live_chart.folder()
    # Streamlit collects garbage after every run of a page, and to look through all that was imported took 90 ms each
    # time, during which nobody was answered: eight tabs that renew themselves left no time for a ninth.
    gc.collect()
    gc.freeze()
    # As `streamlit run` does: Streamlit looks for `.streamlit/config.toml` beside it.
    options._main_script_path = str(APP)
    _send_at_once()
    flags = {"server_port": port, "server_address": host}
    bootstrap.load_config_options(flags)
    bootstrap.run(str(APP), False, [], flags)


def _send_at_once() -> None:
    """Let the server send each piece as it comes.

    Streamlit makes its socket without naming TCP, so asyncio leaves Nagle's algorithm on: the second piece of an answer
    waits until the browser has acknowledged the first, which it delays by 40 ms. A page is a hundred and fifty answers.
    """
    from streamlit.web.server.starlette import starlette_server

    bind = starlette_server._bind_socket

    def bound(address: str, port: int, backlog: int) -> socket.socket:
        listening = bind(address, port, backlog)
        # Every connection that it accepts is as it is.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening

    starlette_server._bind_socket = bound
