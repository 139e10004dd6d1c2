"""System: throughput, lag, processes, disk, freshness, topics with a message browser, sizes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from sparktrends.bus.connection import Connection
from sparktrends.errors import SparkTrendsError
from sparktrends.model import SECOND
from sparktrends.serve.dashboard import figures, machine, tables, view, words
from sparktrends.serve.dashboard.config import current
from sparktrends.serve.dashboard.reading import EVERY_S, SLOWLY_S, ask, ask_slowly, said_plainly
from sparktrends.serve.dashboard.screens import machinery
from sparktrends.store import board, board_health

Rows = Sequence[Mapping[str, Any]]
_READ = "records_read"


def show() -> None:
    """Draw the page."""
    st.title("System")
    view.renewed(EVERY_S, _top)
    tabs = view.tabs(["Processes", "Batches and quotas", "Freshness", "Kafka", "Messages", "Database"])
    with tabs["Processes"]:
        view.renewed(5.0, _processes)
    with tabs["Batches and quotas"]:
        view.renewed(5.0, machinery.show)
    with tabs["Freshness"]:
        view.renewed(EVERY_S, _freshness)
    with tabs["Kafka"]:
        view.renewed(SLOWLY_S, _topics)
    with tabs["Messages"]:
        view.renewed(SLOWLY_S, _messages)
    with tabs["Database"]:
        view.renewed(SLOWLY_S, _database)


def _top() -> None:
    with said_plainly():
        progress, commits = ask(board_health.progress), ask(board_health.commits)
        records = sum(row["records"] for row in progress)
        ages = [row["commit_age_s"] for row in progress if row["commit_age_s"] is not None]
        values = {
            "Records a second": f"{_rate(records):,.0f}",
            "Records stored": f"{records:,}",
            "Last commit": f"{words.age(min(ages))} ago" if ages else "never",
            "Waiting in Kafka": _behind(progress),
            "Late": f"{sum(row['late'] for row in progress):,}",
            "Quarantined": f"{sum(row['quarantined'] for row in progress):,}",
            "Disk free": _disk_free(),
        }
        for column, (name, value) in zip(st.columns(len(values)), values.items(), strict=True):
            column.metric(name, value)
        if commits:
            shown = words.localised(commits, words.zone_of(view.zone()))
            st.plotly_chart(figures.pulse(shown), width="stretch", key="pulse", config=figures.STILL)
        else:
            st.info("Nothing was committed within two minutes. `sparktrends status` says what runs and what waits.")


def _rate(records: int) -> float:
    """Records a second since this tab last looked, over five seconds or more."""
    now = time.monotonic()
    seen: list[tuple[float, int]] = st.session_state.setdefault("records_seen", [])
    seen.append((now, records))
    # One look older than five seconds is kept, to measure from.
    while len(seen) > 2 and now - seen[1][0] > 5:
        seen.pop(0)
    past, before = seen[0]
    return max(0.0, (records - before) / (now - past)) if now > past else 0.0


def _behind(progress: Rows) -> str:
    """Records that lie in the log and are not stored yet."""
    connection = current().kafka
    if connection is None:
        return "–"
    try:
        return f"{machine.behind(progress, _asked_topics(connection)):,}"
    except SparkTrendsError:
        return "no broker"


def _disk_free() -> str:
    """Of the home's disk."""
    found = machine.disk(current().disk)
    return f"{words.size(found[0])} ({found[0] / found[1]:.0%})" if found else "–"


@st.cache_data(ttl=2.0, max_entries=4, show_spinner=False, hash_funcs={Connection: lambda one: one.bootstrap})
def _asked_topics(connection: Connection) -> list[dict[str, Any]]:
    return machine.topics(connection)


def _processes() -> None:
    pids = current().processes()
    if not pids:
        st.caption("This process was not told which parts run: `sparktrends status` lists them.")
        return
    found = machine.processes(pids, current().clock() / SECOND)
    shown = [{**row, "up": words.age(row["uptime_s"]), "mb": row["memory"] and row["memory"] / 1e6} for row in found]
    number = st.column_config.NumberColumn
    columns = {
        "name": "Part",
        "state": "State",
        "pid": "Process id",
        "up": "Runs for",
        "mb": number("MB", format="%.0f"),
    }
    tables.table(shown, {**columns, "cpu_s": number("CPU seconds", format="%.0f")})


def _freshness() -> None:
    with said_plainly():
        rows = [
            {
                **row,
                "fresh": words.freshness(row),
                "feed": words.feed(row),
                "price": words.price_age(row),
                "kind": words.mark(row["source"]) or "live",
            }
            for row in ask(board.feeds)
        ]
        columns = {
            "symbol": "Symbol",
            "source": "Source",
            "kind": "Data",
            "clock_at": "Its clock",
            "fresh": "Last word",
            "feed": "Feed",
            "price": "Last price",
        }
        tables.table(
            sorted(rows, key=lambda row: -(row["silent_s"] or 0)), {**columns, "state": "Newest bar"}, height=420
        )


def _topics() -> None:
    connection = current().kafka
    if connection is None:
        st.caption("This process was not told where the broker is.")
        return
    with _broker():
        stored = {(row["topic"], row["partition"]): row for row in ask(board_health.progress)}
        rows = [
            {**row, "held": row["next"] - row["first"], **_stored(stored.get((row["topic"], row["partition"])), row)}
            for row in _asked_topics(connection)
        ]
        columns = {"topic": "Topic", "partition": "Partition", "first": "First offset", "next": "Next offset"}
        tables.table(
            rows, {**columns, "held": "Records held", "stored": "Stored up to", "waiting": "Waiting", "what": "Holds"}
        )


def _stored(row: Mapping[str, Any] | None, ends: Mapping[str, Any]) -> dict[str, Any]:
    if row is None:
        return {"stored": None, "waiting": None}
    return {"stored": row["next_offset"], "waiting": max(0, ends["next"] - row["next_offset"])}


def _messages() -> None:
    connection = current().kafka
    if connection is None:
        st.caption("This process was not told where the broker is.")
        return
    with _broker():
        places = _asked_topics(connection)
        left, middle, right = st.columns([3, 2, 2], vertical_alignment="bottom")
        if not places:
            st.caption("The broker has none of our topics yet: `sparktrends topics --apply` makes them.")
            return
        with left:
            topic = view.pick("Topic", list(dict.fromkeys(row["topic"] for row in places)), "topic")
        with middle:
            partitions = [str(row["partition"]) for row in places if row["topic"] == topic]
            partition = view.pick("Partition", partitions, "partition")
        place = (topic, int(partition))
        if right.button("Read the last 50", icon=":material/refresh:", width="stretch"):
            st.session_state[_READ] = (place, machine.records(connection, *place, 50))
        # Kept: a renewal of this part shows them again.
        of, found = st.session_state.get(_READ, (None, []))
        if of == place:
            _show_records(found)


def _show_records(found: Rows) -> None:
    if not found:
        st.caption("This partition is empty.")
        return
    timed = [{**row, "at": datetime.fromtimestamp(row["appended"] / SECOND, UTC)} for row in found]
    columns = {"offset": "Offset", "at": "Appended", "key": "Key"}
    value = st.column_config.TextColumn("Record", width="large")
    tables.table(timed, {**columns, "value": value}, height=420)


def _broker() -> Any:
    return said_plainly("broker")


def _database() -> None:
    with said_plainly():
        rows = ask_slowly(board_health.sizes)
        whole = next(row["bytes"] for row in rows if row["name"] == "all")
        st.metric("Database", words.size(whole))
        number = st.column_config.NumberColumn
        columns = {
            "name": "Table",
            "mb": number("MB", format="%.1f"),
            "rows": number("Rows, about", format="localized"),
        }
        tables.table([{**row, "mb": row["bytes"] / 1e6} for row in rows if row["name"] != "all"], columns)
