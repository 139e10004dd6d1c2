"""Data quality: which minutes lack something and why, what came late, was revised or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from sparktrends.serve.dashboard import figures, tables, view, words
from sparktrends.serve.dashboard.reading import SLOWLY_S, ask_slowly, said_plainly
from sparktrends.store import board_health

_SPANS = {"6 hours": 6, "24 hours": 24, "7 days": 168}
Rows = Sequence[Mapping[str, Any]]


def show() -> None:
    """Draw the page."""
    st.title("Data quality")
    span = view.one("Within the newest", list(_SPANS), "span", "24 hours", help="Of each series' own time.")
    view.renewed(SLOWLY_S, lambda: _body(_SPANS[span]))


def _body(hours: int) -> None:
    with said_plainly():
        rows = ask_slowly(board_health.completeness, hours)
        late, refused = ask_slowly(board_health.late), ask_slowly(board_health.quarantine_counts)
        if rows:
            _figures(rows, late, refused)
        else:
            # What was refused, and scores of days whose minutes are kept no longer, are there all the same.
            st.info("**Nothing to judge yet.** Figures appear with the first stored minute.")
        tabs = view.tabs(["Scores", "Missing minutes", "By series", "Late", "Quarantined", "Gaps"])
        with tabs["Missing minutes"]:
            _missing(rows)
        with tabs["By series"]:
            _by_series(rows, late)
        with tabs["Late"]:
            _late(late)
        with tabs["Quarantined"]:
            _quarantined(refused)
        with tabs["Gaps"]:
            _gaps()
        with tabs["Scores"]:
            _scores()


def _figures(rows: Rows, late: Rows, refused: Rows) -> None:
    total = sum(row["minutes"] for row in rows)
    empty = sum(row["minutes"] for row in rows if row["reason"] == "no_trade")
    # A minute in which nobody traded is whole, if the feed was well.
    broken = sum(row["minutes"] for row in rows if row["reason"] not in (None, "no_trade"))
    revised = sum(row["revised"] for row in rows)
    values = {
        "Minutes": (f"{total:,}", "stored minutes of all series"),
        "Complete": (f"{1 - broken / total:.2%}", "share of minutes in which the feed was well"),
        "Without a trade": (f"{empty:,}", "the feed was well, nobody traded"),
        "Incomplete": (f"{broken:,}", "the feed was silent or throttled, or we began in the middle"),
        "Revised": (f"{revised:,}", "changed after they were final"),
        "Late trades": (f"{sum(row['trades'] for row in late):,}", "in no bar until repair folds them in"),
        "Quarantined": (f"{sum(row['records'] for row in refused):,}", "records that could not be used"),
    }
    for column, (name, (value, meaning)) in zip(st.columns(len(values)), values.items(), strict=True):
        column.metric(name, value, help=meaning)


def _missing(rows: Rows) -> None:
    if rows and all(row["reason"] is None for row in rows):
        st.success("No minute lacks anything.")
        return
    shown = words.localised(rows, words.zone_of(view.zone()))
    # A recording's hours may lie years before those of today: one picture for each kind of data.
    for kind in sorted({words.mark(row["source"]) for row in shown}):
        chosen = [row for row in shown if words.mark(row["source"]) == kind]
        if any(row["reason"] for row in chosen):
            st.subheader(f"{kind or 'live'} data".capitalize())
            made = figures.minutes_by_reason(chosen)
            st.plotly_chart(made, width="stretch", key=f"missing_{kind}", config=figures.STILL)


def by_series(rows: Rows, late: Rows) -> list[dict[str, Any]]:
    """One row a series: minutes, share of complete ones, minutes by reason, revised, late."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row["source"], row["symbol"])
        one = found.setdefault(key, {"source": key[0], "symbol": key[1], "minutes": 0, "revised": 0, "late": 0})
        one["minutes"] += row["minutes"]
        one["revised"] += row["revised"]
        if row["reason"]:
            one[row["reason"]] = one.get(row["reason"], 0) + row["minutes"]
    for row in late:
        if (key := (row["source"], row["symbol"])) in found:
            found[key]["late"] += row["trades"]
    for one in found.values():
        broken = sum(one.get(reason, 0) for reason in words.REASONS if reason != "no_trade")
        one["complete"] = 1 - broken / one["minutes"]
    return list(found.values())


def _by_series(rows: Rows, late: Rows) -> None:
    columns: dict[str, Any] = {
        "symbol": "Symbol",
        "source": "Source",
        "minutes": "Minutes",
        "complete": tables.percent("Complete"),
        **{reason: title.capitalize() for reason, title in words.REASONS.items()},
        "revised": "Revised",
        "late": "Late trades",
    }
    shown = [{**dict.fromkeys(words.REASONS, 0), **row} for row in by_series(rows, late)]
    tables.table(sorted(shown, key=lambda row: row["complete"]), columns, height=460)


def _late(rows: Rows) -> None:
    if not rows:
        st.success("No trade came too late.")
        return
    shown = words.localised(rows, words.zone_of(view.zone()))
    st.plotly_chart(figures.counts(shown, "trades", "symbol", "late trades"), width="stretch", key="late")
    columns = {"hour": "Hour", "source": "Source", "symbol": "Symbol", "trades": "Late trades", "folded": "Folded in"}
    worst = [{**row, "worst": words.age(row["worst_s"])} for row in rows]
    tables.table(worst, {**columns, "worst": "Latest by"}, height=260)


def _quarantined(rows: Rows) -> None:
    if not rows:
        st.success("Every record could be used.")
        return
    shown = words.localised(rows, words.zone_of(view.zone()))
    st.plotly_chart(figures.counts(shown, "records", "reason", "records"), width="stretch", key="refused")
    newest = [{**row, "payload": preview(row["payload"])} for row in ask_slowly(board_health.quarantined)]
    columns = {"quarantined_at": "Set aside", "reason": "Reason", "topic": "Topic", "partition": "Partition"}
    tables.table(newest, {**columns, "offset": "Offset", "size": "Bytes", "payload": "Record"}, height=360)


def preview(payload: bytes) -> str:
    """A record as one line of text, whatever it is.

    >>> preview(b'{"a":1}\\xff')
    '{"a":1}\ufffd'
    """
    return payload.decode("utf-8", "replace").replace("\n", "⏎")


def _gaps() -> None:
    rows = ask_slowly(board_health.gaps)
    if not rows:
        st.caption("No closed session and no hole of more than 24 hours.")
        return
    words_of = {"closed": "the exchange was closed", "hole": "nothing was heard for more than 24 hours"}
    shown = [{**row, "reason": words_of.get(row["reason"], row["reason"])} for row in rows]
    columns = {"from_at": "From", "to_at": "To", "source": "Source", "symbol": "Symbol", "reason": "Why"}
    tables.table(shown, columns, height=300)


def _scores() -> None:
    """Of each series and day: what is left of 100, and what took the rest."""
    rows = ask_slowly(board_health.quality)
    if not rows:
        st.info(
            "**No score yet.** The daily work judges each day when it is over; "
            "`sparktrends batch quality --date` with today's date (UTC) judges what there is of it so far."
        )
        return
    st.plotly_chart(figures.scores(rows), width="stretch", key="scores", config=figures.STILL)
    columns = {
        "day": "Day",
        "symbol": "Symbol",
        "source": "Source",
        "score": st.column_config.ProgressColumn("Score", format="%.1f", min_value=0, max_value=100),
        "minutes": "Minutes judged",
        "why": st.column_config.TextColumn("Points lost, and in how many minutes", width="large"),
    }
    shown = [{**row, "why": lost(row["reasons"], row["faulty"])} for row in rows]
    tables.table(sorted(shown, key=lambda row: (-row["day"].toordinal(), row["score"])), columns, height=420)


def lost(points: Mapping[str, float], faulty: Mapping[str, int]) -> str:
    """Why a score is not 100, the gravest first.

    >>> lost({"late": 0.25, "missing_feed_stale": 3.0}, {"late": 7, "missing_feed_stale": 43})
    'missing feed stale −3 (43 min), late −0.25 (7 min)'
    """
    gravest = sorted(points.items(), key=lambda item: -item[1])
    return ", ".join(
        f"{name.replace('_', ' ')} −{words.number(value, 3)} ({faulty.get(name, 0)} min)" for name, value in gravest
    )
