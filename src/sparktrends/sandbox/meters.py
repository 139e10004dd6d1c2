"""What callers have spent: counts in windows of the clock (this second, this minute, this day), per key or address."""

from __future__ import annotations

from dataclasses import dataclass, field

from sparktrends.model import SECOND


@dataclass(slots=True)
class Meters:
    """Counts per (who, window); a window begins with the clock, as the providers' do.

    >>> meters = Meters()
    >>> meters.spend("binance:127.0.0.1", 60, 4, now=0), meters.spend("binance:127.0.0.1", 60, 2, now=59_999_999)
    (4, 6)
    >>> meters.spend("binance:127.0.0.1", 60, 2, now=60_000_000)
    2
    """

    _spent: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    _banned: dict[str, int] = field(default_factory=dict)

    def spend(self, who: str, window: int, units: int, now: int) -> int:
        """Count ``units`` and return what is spent in the current window of ``window`` seconds."""
        begun = now // (window * SECOND)
        last, count = self._spent.get((who, window), (begun, 0))
        count = units if last != begun else count + units
        self._spent[who, window] = (begun, count)
        return count

    def used(self, who: str, window: int, now: int) -> int:
        """What is spent in the current window."""
        return self.spend(who, window, 0, now)

    def ban(self, who: str, until: int) -> None:
        """Answer nothing to ``who`` before ``until`` (µs)."""
        self._banned[who] = until

    def banned(self, who: str, now: int) -> int:
        """Until when ``who`` is banned; 0 when not."""
        until = self._banned.get(who, 0)
        return until if until > now else 0


def left(window: int, now: int) -> int:
    """Whole seconds until the current window of ``window`` seconds is over, at least one.

    >>> left(60, 59_500_000), left(60, 60_000_000)
    (1, 60)
    """
    return window - now // SECOND % window
