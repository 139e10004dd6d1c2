"""The plain values in a rules file: lengths of time and moments; and the fault that every part of a rule can have."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from sparktrends.errors import BadSetting
from sparktrends.model import DAY, HOUR, MINUTE, SECOND

MAX_FOR = 10_000
"""Longest ``for`` and ``within``, in bars."""
MAX_DURATION = 30 * DAY
NEVER = 2**62
"""Later than any bar."""

_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}


class BadRule(BadSetting):
    """What is wrong with a rule: under which key, and there at which character (from 0) of ``text``, where the key
    holds more than that one text."""

    def __init__(self, key: str, message: str, at: int = 0, text: str = "") -> None:
        super().__init__(message)
        self.key = key
        self.at = at
        self.text = text


def duration(text: object, key: str = "cooldown", what: str = "a cool-down") -> int:
    """Microseconds of ``"90s"``, ``"15m"``, ``"2h"`` or ``"1d"``, from 0 to 30 days; raises `BadRule`.

    >>> duration("15m")
    900000000
    """
    match = re.fullmatch(r"(\d{1,7})([smhd])", text) if isinstance(text, str) else None
    length = int(match[1]) * _UNITS[match[2]] if match else -1
    if not 0 <= length <= MAX_DURATION:
        raise BadRule(key, f'{what} is like "15m", at most "30d", not {text!r}')
    return length


def moment(text: str) -> int:
    """Microseconds of ``"2026-12-31"`` or ``"2026-12-31T17:00"``, UTC unless it says otherwise; `NEVER` for nothing.

    >>> moment("1970-01-02")
    86400000000
    """
    if not text:
        return NEVER
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise BadRule("expires", f'expires is like "2026-12-31" or "2026-12-31T17:00", not {text!r}') from None
    aware = given if given.tzinfo else given.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
