"""For how long rows are kept in their tables: ``[retention]`` of the settings."""

from __future__ import annotations

from collections.abc import Mapping

from sparktrends.errors import BadSetting
from sparktrends.model import INTERVALS
from sparktrends.store.archive import EVERY_INTERVAL, TABLES

DEFAULTS: Mapping[str, int] = {
    **dict.fromkeys(("payloads", "quarantine", "late_trades"), 90),
    "1m": 400,
    **dict.fromkeys(("5m", "15m", "news", "alerts", "daily_calls"), 800),
}
"""Days that rows are kept: of bars, metrics and signals by interval (with ``1m`` go findings of single minutes), of
other tables by name. Intervals that are not named stay for ever."""
_LEAST: Mapping[str, int] = {"news": 120, "daily_calls": 31}
"""The trends of a day are held against the sessions of a quarter before it; calls are made up for within a week."""
_FOR_EVER = 365_000
"""Beyond a thousand years: there is no day so long ago, and whoever writes 999999 means for ever."""
_KEYS = (
    *INTERVALS,
    *dict.fromkeys(table.limit for table in TABLES.values() if table.limit not in (EVERY_INTERVAL, *INTERVALS)),
)


def limits_of(table: Mapping[str, object]) -> dict[str, int]:
    """``[retention]`` of the settings: days by interval or table; 0 keeps for ever, as does a thousand years. Raises
    BadSetting."""
    for key, days in table.items():
        if key not in _KEYS or not isinstance(days, int) or isinstance(days, bool) or days < 0:
            raise BadSetting(f"[retention] {key} = {days!r}", hint=f"days for one of {', '.join(_KEYS)}")
        if 0 < days < _LEAST.get(key, 0):
            raise BadSetting(f"[retention] {key} = {days}", hint=f"at least {_LEAST[key]}: newer ones are needed")
    chosen = {**DEFAULTS, **{key: int(str(days)) for key, days in table.items()}}
    return {key: days for key, days in chosen.items() if 0 < days < _FOR_EVER}
