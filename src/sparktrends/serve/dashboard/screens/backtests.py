"""Rules and their backtests: what each rule would have done on stored history. A part of *Signals and alerts*."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from sparktrends.errors import SparkTrendsError
from sparktrends.model import EVERY_CHANNEL, SECOND
from sparktrends.rules import Rule
from sparktrends.serve.dashboard import tables, view, words
from sparktrends.serve.dashboard.config import current
from sparktrends.serve.dashboard.reading import tell

_SPANS = {"7 days": 7, "30 days": 30, "A year": 366, "Everything": 0}
_FOUND = "backtest_found"


def show() -> None:
    """Draw the tab: the rules in use, and what they would have done, which nothing computes until a person asks."""
    _rules()
    st.subheader("Backtest")
    run = current().backtest
    if run is None:
        st.caption("This process was not told how to try rules: `sparktrends alerts backtest` does it in a terminal.")
        return
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    with left:
        span = view.one("Try the rules in use on the newest", list(_SPANS), "history", "Everything")
    if right.button("Run the backtest", icon=":material/history:", width="stretch"):
        try:
            with st.spinner("Stepping every stored bar through indicators, detectors and rules …"):
                st.session_state[_FOUND] = run(_SPANS[span])
        except SparkTrendsError as error:
            tell(error)
    if found := st.session_state.get(_FOUND):
        _show(found)
    else:
        st.info("Nothing was tried yet. A backtest steps stored bars through the same code as live, rule by rule.")


def _rules() -> None:
    rules = current().rules
    if rules is None:
        st.caption("This process was not told which rules are in use: the dashboard of `sparktrends up` shows them.")
        return
    try:
        shown = [in_use(rule) for rule in rules()]
    except SparkTrendsError as error:
        tell(error)
        return
    columns = {
        "rule": "Rule",
        "when": st.column_config.TextColumn("Fires when", width="large"),
        "interval": st.column_config.TextColumn("Interval", width=60),
        "severity": "Severity",
        "channels": "Sent to",
        "cooldown": st.column_config.TextColumn("Then silent for", width=110),
    }
    tables.table(shown, columns, key="rules")
    st.caption("`[rules] file` of the settings names a file of your own; `sparktrends rules check FILE` tries it.")


def in_use(rule: Rule) -> dict[str, str]:
    """A rule as a row: when it fires, at bars of which length, how grave it is, who hears, how long it then rests."""
    told = ["every channel" if name == EVERY_CHANNEL else name for name in rule.channels]
    return {
        "rule": rule.name,
        "when": rule.text if rule.held == 1 else f"{rule.text}, for {rule.held} bars",
        "interval": rule.interval,
        "severity": rule.severity,
        "channels": ", ".join(told),
        "cooldown": words.age(rule.cooldown / SECOND) if rule.cooldown else "–",
    }


def _show(found: Mapping[str, Any]) -> None:
    st.caption(
        f"{found['bars']:,} bars of {found['symbols']} symbols, {found['from'][:10]} to {found['to'][:10]}: "
        f"{found['alerts']:,} alerts."
    )
    columns = {
        "rule": "Rule",
        "when": st.column_config.TextColumn("Fires when", width="large"),
        "interval": st.column_config.TextColumn("Interval", width=60),
        "severity": "Severity",
        "alerts": "Alerts",
        "often": st.column_config.NumberColumn("A symbol and day", format="%.3f"),
        "lasts": "Lasts (median)",
        "after_5": tables.percent("5 min later"),
        "after_15": tables.percent("15 min later"),
        "after_60": tables.percent("60 min later"),
        "best": st.column_config.TextColumn("Best", width="medium"),
        "worst": st.column_config.TextColumn("Worst", width="medium"),
    }
    tables.table([row_of(rule) for rule in found["rules"]], columns, key="backtest")


def row_of(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule of the report as a row: how often it fired, mean changes afterwards, its best and worst alert."""
    after = {f"after_{minutes}": moves["mean"] for minutes, moves in rule["after"].items()}
    examples = {name: _example(rule[name]) for name in ("best", "worst")}
    median = rule["lasted"]["median_s"]
    lasts = "–" if median is None else words.age(median)
    return {**rule, "often": rule["per_symbol_and_day"], "lasts": lasts, **after, **examples}


def _example(found: list[Mapping[str, Any]]) -> str:
    if not found:
        return "–"
    return f"{found[0]['symbol']} {found[0]['start'][:16].replace('T', ' ')} at {words.number(found[0]['close'])}"
