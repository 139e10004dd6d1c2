"""Signals and alerts: what fired, why, what followed; acknowledge and silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from sparktrends.errors import SparkTrendsError
from sparktrends.serve.dashboard import figures, tables, view, words
from sparktrends.serve.dashboard.config import current
from sparktrends.serve.dashboard.reading import EVERY_S, ask, said_plainly, tell
from sparktrends.serve.dashboard.screens import backtests
from sparktrends.store import board

_SEVERITIES = {"critical": "critical", "warning": "warning", "info": "info"}


def show() -> None:
    """Draw the page; with ``?signal=ID`` one signal in full."""
    st.title("Signals and alerts")
    chosen = st.query_params.get("signal")
    if chosen:
        if st.button("All signals", icon=":material/arrow_back:"):
            st.query_params.pop("signal", None)
            st.rerun()
        view.renewed(EVERY_S, lambda: _one(chosen))
        return
    tabs = view.tabs(["Alerts", "Signals", "Rules and backtests"])
    with tabs["Alerts"]:
        view.renewed(EVERY_S, _alerts)
        _hands()
    with tabs["Signals"]:
        severities = view.some("Severity", _SEVERITIES, "severity", ("critical", "warning"))
        view.renewed(EVERY_S, lambda: _signals(severities))
    with tabs["Rules and backtests"]:
        backtests.show()


def _signals(severities: list[str]) -> None:
    with said_plainly():
        found = ask(board.signals, None, tuple(severities), 300)
        if found:
            tables.signals(found, height=560)
        else:
            st.info("No signal of this severity yet. Detectors first learn what is usual for each symbol.")


def _one(signal_id: str) -> None:
    with said_plainly():
        row = ask(board.signal, signal_id)
        if row is None:
            st.warning("There is no signal of this id. It may belong to another installation.")
            return
        zone = words.zone_of(view.zone())
        st.subheader(f"{words.literal(row['name'])} {row['direction']} · {words.literal(row['symbol'])}")
        kind = words.mark(row["source"]) or "live"
        st.caption(
            f"{row['severity']} {row['kind']} · bar of {row['interval']} from {words.moment(row['start'], zone)} "
            f"({view.zone()}) · {kind} data of {words.literal(row['source'])}"
        )
        if row["retracted_at"]:
            st.warning(f"Taken back {words.moment(row['retracted_at'], zone)}: a later record changed its bar.")
        bars = ask(board.around, row["series"], row["interval"], row["start"])
        st.text(f"Why: {words.why(row)}.")
        st.text(words.followed(bars, row["start"]))
        shown = words.localised(bars, zone)
        marked = words.localised([row], zone)[0]["start"]
        st.plotly_chart(figures.candles(shown, marked), width="stretch", key="around", config=figures.STILL)
        with st.expander("Every number of it"):
            st.json(row["detail"] or {})


def _alerts() -> None:
    with said_plainly():
        found = ask(board.alerts)
        if not found:
            st.info("No alert yet. Rules decide which signals alert: `sparktrends rules check FILE` tries yours.")
            return
        shown = [{**row, **_told(row)} for row in found]
        columns: dict[str, Any] = {
            "link": st.column_config.LinkColumn("", display_text="why", width=50),
            "created_at": "Raised",
            "title": st.column_config.TextColumn("What", width="large"),
            "severity": "Severity",
            "status": "Status",
            "start": "Bar (start)",
            "resolved_at": "Over",
            "ended": "Over because",
            "sent": "Sent",
            "seen": "Seen by",
            "rule": "Rule",
            "kind": "Data",
            "id": "Id",
        }
        tables.table(shown, columns, height=420)


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    """What became of an alert: where it went, or why nowhere."""
    signals = row["signals"] or []
    silent = f"not sent: {row['silent']}" if row["silent"] else ""
    return {
        "link": words.link("signals", signal=signals[0]) if signals else None,
        "sent": silent or _in_place(row) or row["deliveries"] or "",
        "seen": row["acknowledged_by"] or "",
        "kind": words.mark(row["source"] or "") or ("live" if row["source"] else "operational"),
    }


def _in_place(row: Mapping[str, Any]) -> str:
    """Which alert was told in place of which, where a market moved as one."""
    if row["inhibited_by"]:
        return f"the market moved: told by {row['inhibited_by']}"
    return f"{row['deliveries']}, in place of {len(row['inhibits'])} alerts" if row["inhibits"] else ""


def _hands() -> None:
    """Acknowledge and silence, where this process may."""
    actions = current().actions
    if actions is None:
        st.caption(
            "Acknowledging and silencing need the owner's rights, which this process does not have: start it with "
            "`sparktrends dashboard`, or use `sparktrends alerts ack ID` and `sparktrends alerts silence`."
        )
        return
    with said_plainly():
        open_alerts = {row["id"]: row for row in ask(board.alerts) if not row["acknowledged_by"]}
        if not open_alerts:
            return
        left, right = st.columns(2)
        with left:
            _acknowledge(open_alerts)
        with right:
            _silence(sorted({row["rule"] for row in open_alerts.values()}))


def _acknowledge(alerts: Mapping[str, Mapping[str, Any]]) -> None:
    with st.form("acknowledge", clear_on_submit=True):
        chosen = st.selectbox(
            "Say that you have seen an alert", list(alerts), index=None, format_func=lambda i: alerts[i]["title"]
        )
        if st.form_submit_button("Acknowledge") and chosen:
            _do("acknowledged", lambda: current().actions.acknowledge(chosen))  # type: ignore[union-attr]


def _silence(rules: list[str]) -> None:
    with st.form("silence", clear_on_submit=True):
        rule = st.selectbox("Send nothing of a rule", rules, index=None)
        hours = st.number_input("for hours", min_value=0.25, max_value=168.0, value=1.0, step=0.25)
        if st.form_submit_button("Silence") and rule:
            _do("silenced", lambda: current().actions.silence({"rule": rule}, hours))  # type: ignore[union-attr]


def _do(word: str, action: Any) -> None:
    try:
        action()
    except SparkTrendsError as error:
        tell(error)
    else:
        st.toast(f"It is {word}.")
