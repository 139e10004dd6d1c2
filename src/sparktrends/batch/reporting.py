"""The report job: the trends of a day as Markdown, HTML and a message, from what is stored."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from sparktrends.batch.disk import unwritable
from sparktrends.batch.plan import MEMORY_DAYS
from sparktrends.batch.report import html, markdown, slack_alert
from sparktrends.batch.trends import Trend
from sparktrends.model import DAY
from sparktrends.store import trends as rows
from sparktrends.store.outbox import insert_rows, row_of, silence_reason
from sparktrends.store.session import Session

_NEWS = 3 * DAY
"""A report of a day that ended longer ago (µs) is no news: a long weekend without the machine is made up for."""


def write_report(
    session: Session, day: date, folder: Path, notes: Sequence[str], channels: Sequence[str], now: int
) -> list[Path]:
    """Write ``<day>.md`` and ``<day>.html`` and put the message into the outbox; the files, none without a trend.

    Run again it replaces the files; the message goes out once, whatever the second report says, and of a day that is
    three days over it is kept and shown only: to fill a year must not send a year of messages. Raises Unavailable when
    the files cannot be written.
    """
    with session.transaction() as cursor:
        known_at = rows.begin_of(cursor)
        trends = [trend_of_row(row) for row in rows.of_day(cursor, day)]
        prices = rows.prices(cursor, day)
    if not trends:
        return []
    closes: dict[tuple[str, str], list[tuple[date, float]]] = {}
    for price in prices:
        closes.setdefault((price.source, price.symbol), []).append((price.day, price.close))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = [
            _replace(folder / f"{day}.md", markdown(day, trends, notes)),
            _replace(folder / f"{day}.html", html(day, trends, closes, notes)),
        ]
    except OSError as error:
        raise unwritable("the report", error) from error
    alert = slack_alert(day, trends, tuple(channels))
    with session.transaction() as cursor:
        silent = silence_reason(alert, now) or ("old" if now - alert.start > _NEWS else None)
        insert_rows(cursor, [row_of(alert, None, silent)], now)
        rows.set_reported(cursor, day, known_at)
    return files


def unreported_days(session: Session, day: date) -> list[date]:
    """The days of the week before whose trends were made again after their report was written."""
    with session.transaction() as cursor:
        return rows.unreported(cursor, day, MEMORY_DAYS)


def trend_of_row(row: Mapping[str, Any]) -> Trend:
    """A stored trend as it was made."""
    values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in row.items()}
    return Trend(return_=values.pop("return"), **values)


def _replace(path: Path, text: str) -> Path:
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text, "utf-8")
    os.replace(fresh, path)
    return path
