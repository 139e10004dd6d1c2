"""Runs the dashboard in this process, so that sessions share one configuration and one set of connections."""

from __future__ import annotations

import importlib
import logging
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
    # As `streamlit run` does: Streamlit looks for `.streamlit/config.toml` beside it.
    options._main_script_path = str(APP)
    flags = {"server_port": port, "server_address": host}
    bootstrap.load_config_options(flags)
    bootstrap.run(str(APP), False, [], flags)
