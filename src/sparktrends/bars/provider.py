"""The records of ``raw.bars``: bars that a provider made. They are never late; among several, the largest rank wins."""

from __future__ import annotations

from decimal import Decimal

from sparktrends.bars.limits import Limits
from sparktrends.bars.numbers import decimal_of, integer_of
from sparktrends.bars.record import Fields, amount, check_times, flag, name, received_of, word
from sparktrends.errors import BadRecord
from sparktrends.model import INTERVALS, MINUTE, Coordinates, ProviderBar, StoredProviderBar

ADJUSTMENTS = ("raw", "split")
# Digits before and after the point of a product of two numbers of 20 and 18 digits.
_TURNOVER = (40, 36)


def read_bar(data: Fields, at: Coordinates, limits: Limits) -> StoredProviderBar:
    """Read and judge one record of ``raw.bars``; raises BadRecord.

    ``start`` is a JSON integer and the start of a minute (``bad_start``: hourly bars of a stock may begin at half
    past), and judged for the future as a trade's ``ts``. ``closed`` is true and ``adjustment`` ``raw`` unless said.
    Prices as a trade's; ``volume`` may be 0; ``trades`` is an integer; ``turnover`` has up to 40 + 36 digits.
    """
    source, symbol = name(data, "source"), name(data, "symbol")
    interval, adjustment = data.get("interval"), word(data, "adjustment", "raw")
    if not isinstance(interval, str) or interval not in INTERVALS:
        raise BadRecord("bad_interval")
    if not isinstance(adjustment, str) or adjustment not in ADJUSTMENTS:
        raise BadRecord("bad_adjustment")
    start, received = integer_of(data.get("start"), "start"), received_of(data)
    arrival = check_times(start, received, at, limits)
    # After the times, so that a start in the future is named for what it is.
    if start % MINUTE:
        raise BadRecord("bad_start")
    opened, high, low, close, volume = (
        decimal_of(amount(data, name)) for name in ("open", "high", "low", "close", "volume")
    )
    bar = ProviderBar(
        source=source,
        symbol=symbol,
        interval=interval,
        start=start,
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume,
        closed=flag(data, "closed", default=True),
        adjustment=adjustment,
        trades=_trades(data),
        turnover=_turnover(data),
        received=received,
        fill=flag(data, "fill", default=False),
    )
    return StoredProviderBar(bar, arrival, at)


def _trades(data: Fields) -> int | None:
    value = data.get("trades")
    if value is None:
        return None
    count = integer_of(value, "trades")
    # Twelve digits are more trades than any market has in a day, and fit every integer column.
    if not 0 <= count < 10**12:
        raise BadRecord("bad_trades")
    return count


def _turnover(data: Fields) -> Decimal | None:
    if data.get("turnover") is None:
        return None
    units = amount(data, "turnover", *_TURNOVER)
    if units < 0:
        raise BadRecord("bad_turnover")
    return decimal_of(units, _TURNOVER[1])
