"""What rules did on history, in numbers and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from sparktrends.alerts.backtest import HORIZONS, Outcome, with_ids
from sparktrends.model import SECOND
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
    yield f"{'rule':<24}{'alerts':>8}{'a symbol and day':>18}{heads}"
    for rule in found["rules"]:
        moves = "".join(f"{_move(rule['after'][str(minutes)]):>16}" for minutes in HORIZONS)
        yield f"{rule['rule']:<24}{rule['alerts']:>8}{rule['per_symbol_and_day']:>18.3f}{moves}"
        for word in ("best", "worst"):
            for example in rule[word][:1]:
                yield f"  {word}: {example['symbol']} {example['start']} at {example['close']:g}, id {example['id']}"


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
        "after": {str(minutes): _after(fired[f"after_{minutes}"]) for minutes in HORIZONS},
        "best": _examples(fired, descending=True),
        "worst": _examples(fired, descending=False),
    }


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
            return [{**row, "start": _iso(int(str(row["start"])))} for row in with_ids(chosen)]
    return []


def _iso(micros: int) -> str:
    return datetime.fromtimestamp(micros / SECOND, UTC).isoformat()
