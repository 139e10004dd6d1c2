"""Rows as tables. A Streamlit table draws text on a canvas, so whatever a name or headline holds stays text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import pandas as pd
import streamlit as st

from sparktrends.serve.dashboard import view, words

Rows = Sequence[Mapping[str, Any]]
Height = int | Literal["auto"]
_COLUMN = st.column_config
_PLACES = re.compile(r"%\+?\.(\d)f")
_PERCENT = "%.2f%%"


def table(rows: Rows, columns: Mapping[str, Any], height: Height = "auto", key: str | None = None) -> None:
    """The named columns, titled and formatted by ``columns``; times in the zone of the view."""
    zone = words.zone_of(view.zone())
    formats = {name: _format(column) for name, column in columns.items()}
    shown = [{name: _cell(row.get(name), zone, form) for name, form in formats.items()} for row in rows]
    if isinstance(height, int):
        # Streamlit's heading and rows, in pixels: a short table does not end in empty space.
        height = min(height, 38 + 35 * max(len(shown), 1))
    frame = pd.DataFrame(shown, columns=list(columns))
    st.dataframe(
        frame, hide_index=True, column_config=dict(columns), height=height, width="stretch", key=key, placeholder="–"
    )


def _cell(value: Any, zone: Any, form: str) -> Any:
    if isinstance(value, str):
        return words.cell(value)
    if isinstance(value, float):
        return _number(value, form)
    return words.moment(value, zone) if isinstance(value, datetime) else value


def _number(value: float, form: str) -> float:
    """What the column's format is to print."""
    number = 100 * value if form == _PERCENT else value
    places = _PLACES.match(form)
    return words.unsigned_zero(number, int(places[1])) if places else number


def _format(column: Any) -> str:
    """How a column prints its numbers; "" when that is left to Streamlit."""
    return str((column.get("type_config") or {}).get("format") or "") if isinstance(column, Mapping) else ""


def percent(title: str, **more: Any) -> Any:
    """A column of ratios, in per cent with two places: Streamlit's own format leaves out zeros at the end."""
    return _COLUMN.NumberColumn(title, format=_PERCENT, **more)


def price(title: str) -> Any:
    """A column of prices."""
    return _COLUMN.NumberColumn(title, format="localized")


def bars(rows: Rows) -> None:
    """Bars, newest first, with what each one is: forming, revised, incomplete, a provider's, of quotes."""
    marked = [{**row, "note": _note(row)} for row in rows]
    prices = {name: price(name.capitalize()) for name in ("open", "high", "low", "close", "volume")}
    columns = {"start": "Start", **prices, "trades": "Trades", "state": "State", "note": "Note"}
    table(marked, columns, height=300)


def profile(levels: Rows) -> None:
    """The levels of a volume profile, highest price first, each with its share as a bar."""
    largest = max(level["share"] for level in levels)
    shown = [
        {**level, "to": level["price"] + level["step"], "note": _part(level)}
        for level in sorted(levels, key=lambda level: level["price"], reverse=True)
    ]
    share = _COLUMN.ProgressColumn("Share of the volume", format="percent", max_value=largest, width="large")
    table(
        shown, {"price": price("From"), "to": price("To"), "share": share, "volume": price("Volume"), "note": "Level"}
    )


def _part(level: Mapping[str, Any]) -> str:
    if level["point_of_control"]:
        return "point of control"
    return "value area" if level["in_value_area"] else ""


def _note(row: Mapping[str, Any]) -> str:
    notes = [f"revised by {row['revision']} records"] if row["revision"] else []
    if row["reason"]:
        incomplete = row["trades"] and row["reason"] != "no_trade"
        notes.append(f"{'incomplete: ' if incomplete else ''}{words.REASONS.get(row['reason'], row['reason'])}")
    if row["origin"] == "provider":
        notes.append("the provider's bar")
    elif row["origin"] == "pseudo" and row["trades"]:
        notes.append("from quotes")
    return "; ".join(notes)


def signals(rows: Rows, height: Height = 300) -> None:
    """Signals, newest first, each with a link to itself and the sentence that says why."""
    shown = [
        {
            **row,
            "link": words.link("signals", signal=row["id"]),
            "why": words.why(row),
            "kindred": words.mark(row["source"]) or "live",
            "taken_back": "taken back" if row["retracted_at"] else "",
        }
        for row in rows
    ]
    columns = {
        "link": _COLUMN.LinkColumn("", display_text="open", width=55),
        "start": "Bar (start)",
        "symbol": "Symbol",
        "interval": _COLUMN.TextColumn("Interval", width=60),
        "name": "Signal",
        "direction": _COLUMN.TextColumn("Way", width=60),
        "severity": "Severity",
        "score": _COLUMN.NumberColumn("Score", format="%.2f", width=70),
        "why": _COLUMN.TextColumn("Why", width="large"),
        "kindred": "Data",
        "taken_back": _COLUMN.TextColumn("", width=80),
    }
    table(shown, columns, height=height)
