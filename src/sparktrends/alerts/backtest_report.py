"""What rules did on history, in numbers and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from sparktrends.alerts.backtest import HORIZONS, Outcome, with_ids
from sparktrends.model import DAY, HOUR, MINUTE, SECOND
from sparktrends.rules import Rule

EXAMPLES = 5
"""How many of the best and of the worst are shown of each rule."""


def report(outcome: Outcome, since: int, until: int) -> dict[str, Any]:
    """All of it as JSON can hold it; times are ISO 8601 in UTC, changes of the price are shares (0.01 = 1 %)."""
    series = {key for days in outcome.days.values() for key in days}
    return {
        "from": _iso(since),
        "to": _iso(until),
        "bars": outcome.bars,
        "symbols": len(series),
        "alerts": outcome.fired.height,
        "rules": [_of_rule(rule, outcome) for rule in outcome.rules],
    }


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """The report as lines for a terminal."""
    yield f"{found['bars']:,} bars of {found['symbols']} symbols, {found['from'][:10]} to {found['to'][:10]}"
    heads = "".join(f"{f'{minutes} min later':>16}" for minutes in HORIZONS)
    yield f"{'rule':<24}{'alerts':>8}{'a symbol and day':>18}{'lasts':>10}{heads}"
    for rule in found["rules"]:
        moves = "".join(f"{_move(rule['after'][str(minutes)]):>16}" for minutes in HORIZONS)
        lasts = length(rule["lasted"]["median_s"])
        yield f"{rule['rule']:<24}{rule['alerts']:>8}{rule['per_symbol_and_day']:>18.3f}{lasts:>10}{moves}"
        for word in ("best", "worst"):
            for example in rule[word][:1]:
                yield f"  {word}: {example['symbol']} {example['start']} at {example['close']:g}, id {example['id']}"


def length(seconds: float | None) -> str:
    """How long an alert lasted, in minutes, hours or days; - where none ended.

    >>> length(60), length(5400), length(None)
    ('1 min', '1.5 h', '-')
    """
    if seconds is None:
        return "-"
    for unit, name in ((DAY, "days"), (HOUR, "h")):
        if seconds * SECOND >= unit:
            return f"{seconds * SECOND / unit:.3g} {name}"
    return f"{seconds * SECOND / MINUTE:.3g} min"


def _move(after: Mapping[str, Any]) -> str:
    return "-" if after["mean"] is None else f"{after['mean']:+.2%} ({after['up']:.0%} up)"


def _of_rule(rule: Rule, outcome: Outcome) -> dict[str, Any]:
    fired = outcome.fired.filter(pl.col("rule") == rule.name)
    days = outcome.days.get(rule.name, {})
    by_day = fired.group_by(day=pl.from_epoch("start", time_unit="us").dt.date()).len().sort("day")
    by_symbol = (
        fired.group_by("source", "symbol").len().sort("len", "source", "symbol", descending=[True, False, False])
    )
    return {
        "rule": rule.name,
        "when": rule.text,
        "interval": rule.interval,
        "severity": rule.severity,
        "alerts": fired.height,
        "symbols": len(days),
        "per_symbol_and_day": fired.height / max(1, sum(days.values())),
        "by_day": [[day.isoformat(), number] for day, number in by_day.iter_rows()],
        "by_symbol": [list(row) for row in by_symbol.iter_rows()],
        "lasted": _lasted(fired["lasted"]),
        "after": {str(minutes): _after(fired[f"after_{minutes}"]) for minutes in HORIZONS},
        "best": _examples(fired, descending=True),
        "worst": _examples(fired, descending=False),
    }


def _lasted(lengths: pl.Series) -> dict[str, Any]:
    """How many alerts were over by the end of the history, and how long those lasted, in seconds of event time."""
    known = lengths.drop_nulls() / SECOND
    return {"ended": len(known), "median_s": known.median(), "longest_s": known.max()}


def _after(changes: pl.Series) -> dict[str, Any]:
    """Of how many alerts it is known, and the mean, the median, the middle 80 % and the share of rises."""
    known = changes.drop_nulls()
    up = (known > 0).mean()
    figures = {"mean": known.mean(), "median": known.median(), "low": known.quantile(0.1), "high": known.quantile(0.9)}
    return {"known": len(known), **figures, "up": up}


def _examples(fired: pl.DataFrame, *, descending: bool) -> list[dict[str, Any]]:
    """Those after which the price rose or fell most within the longest time that is known of any."""
    for minutes in reversed(HORIZONS):
        known = fired.drop_nulls(f"after_{minutes}")
        if known.height:
            chosen = known.sort(f"after_{minutes}", "start", descending=[descending, False]).head(EXAMPLES)
            return [_example(row) for row in with_ids(chosen)]
    return []


def _example(row: dict[str, Any]) -> dict[str, Any]:
    lasted = row.pop("lasted")
    return {**row, "start": _iso(row["start"]), "lasted_s": None if lasted is None else lasted / SECOND}


def _iso(micros: int) -> str:
    return datetime.fromtimestamp(micros / SECOND, UTC).isoformat()
