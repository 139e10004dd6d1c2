"""The trends of a day for people: Markdown, one HTML page, and a message through the outbox. Pure.

Headlines are hostile text: here they lose control characters and are cut; each form escapes what its reader obeys.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sparktrends.batch.page import html
from sparktrends.batch.trends import Trend
from sparktrends.batch.wording import headlines_of, made_up, movers, number, plain, sentence, share
from sparktrends.model import SECOND, Alert

__all__ = ["html", "markdown", "slack_alert"]

_TOLD = 5
"""Movers that a message names."""
# What Markdown or the HTML in it would obey; a backslash before makes it a plain sign.
_SIGNS = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>&$:@])")


def markdown(day: date, trends: Sequence[Trend], notes: Sequence[str] = ()) -> str:
    """The report as Markdown: notes, the movers with why, then every symbol in a table."""
    lines = [f"# Trends of {day}", "", _escape(sentence(trends)), ""]
    lines += [f"> {_escape(note)}" for note in notes] + [""] * bool(notes)
    if told := movers(trends):
        lines += ["## Movers", "", *(line for trend in told for line in _mover(trend)), ""]
    if trends:
        lines += ["## Every symbol", "", *_table(trends), ""]
    return "\n".join(lines)


def slack_alert(day: date, trends: Sequence[Trend], channels: Sequence[str]) -> Alert:
    """One message a day: what the day was, and its movers. Made-up series stay out of it where there are real ones;
    a day of nothing else keeps their source, so that it is shown and not sent (law 8)."""
    real = [trend for trend in trends if not made_up(trend.source)]
    told = movers(real or trends)[:_TOLD]
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    values: dict[str, Any] = {trend.symbol: plain(trend.summary, 160) for trend in told}
    return Alert(
        rule="daily.report",
        source="" if real or not trends else trends[0].source,
        symbol="",
        interval="",
        start=int(midnight.timestamp()) * SECOND,
        severity="info",
        title=f"Trends of {day}: {sentence(real or trends)}",
        channels=tuple(channels),
        values=values,
    )


def _mover(trend: Trend) -> list[str]:
    lines = [f"- **{_escape(trend.symbol)}** ({_escape(trend.source)}): {_escape(trend.summary)}"]
    return lines + [f"  - {_escape(text)} ({value:+.2f})" for text, value in headlines_of(trend)]


def _table(trends: Sequence[Trend]) -> list[str]:
    head = ["#", "symbol", "source", "close", "day", "unusual", "volume", "mood", "tag"]
    lines = [f"| {' | '.join(head)} |", "|---:|---|---|---:|---:|---:|---:|---:|---|"]
    for trend in trends:
        cells = [
            str(trend.rank or ""), _escape(trend.symbol), _escape(trend.source), number(trend.close),
            share(trend.return_), number(trend.return_z, 1), number(trend.volume_ratio, 1),
            number(trend.sentiment, 2), _escape(trend.tag),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _escape(text: str) -> str:
    return _SIGNS.sub(r"\\\1", plain(text))
