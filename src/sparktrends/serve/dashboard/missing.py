"""Which part is missing when nothing is stored any more: what *System* knows, in a few words for every page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from sparktrends.bus.connection import Connection
from sparktrends.errors import SparkTrendsError
from sparktrends.serve.dashboard import machine
from sparktrends.serve.dashboard.config import current
from sparktrends.serve.dashboard.reading import SLOWLY_S

_BROKER = "kafka"
Rows = Sequence[Mapping[str, Any]]


def parts(progress: Rows) -> list[str]:
    """Each part that does not do its work, and what of it can be seen: ``stream stands still``; empty when all do.

    ``progress`` are the rows of `board_health.progress`. Asks at most every ten seconds, for all tabs together.
    """
    config = current()
    return _parts(tuple(config.processes().items()), config.kafka, progress)


@st.cache_data(ttl=SLOWLY_S, max_entries=4, show_spinner=False, hash_funcs={Connection: lambda one: one.bootstrap})
# The rows are another age at every look, and so are no part of what the answer is kept by.
def _parts(pids: tuple[tuple[str, int], ...], kafka: Connection | None, _progress: Rows) -> list[str]:
    states = {name: machine.state(pid) for name, pid in pids}
    found = [f"{name} {state}" for name, state in states.items() if state != machine.RUNS]
    # A broker that is known to be gone is not waited for.
    asked = kafka if states.get(_BROKER, machine.RUNS) == machine.RUNS else None
    return found + (_of_broker(asked, _progress, bool(found)) if asked else [])


def _of_broker(kafka: Connection, progress: Rows, explained: bool) -> list[str]:
    """Silence of the broker, or records that nobody stores where no part that is gone explains them."""
    try:
        waiting = machine.behind(progress, machine.topics(kafka))
    except SparkTrendsError:
        return ["the broker does not answer"]
    return [f"{waiting:,} records wait for the stream"] if waiting and not explained else []
