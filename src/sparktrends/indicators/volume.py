"""What was traded behind the price."""

# ruff: noqa: ARG004 - the kernel hands every update the same four arguments, whether it looks at them or not

from __future__ import annotations

import math

from sparktrends.indicators.base import Bar, Floats, Indicator, Past, compiled, mean, squares

TIE = 1e-14
"""Typical prices closer than this share of themselves are equal: a third of a sum has rounding errors of its own."""


class Obv(Indicator):
    """On-balance volume: starts at the first volume, adds it when the close rises, subtracts it when it falls.

    Source: TA-Lib OBV. Its level depends on where the series begins.

    >>> from sparktrends.indicators import trial
    >>> trial(Obv(), close=[2, 3, 3, 1], volume=[10, 5, 7, 2])
    {'obv': [10.0, 15.0, 15.0, 13.0]}
    """

    def __init__(self) -> None:
        super().__init__(("obv",), (), warmup=1, own=1)

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats) -> None:
        """See the class."""
        if bar.number == 1 or bar.close > bar.previous:
            own[0] += bar.volume
        elif bar.close < bar.previous:
            own[0] -= bar.volume
        out[0] = own[0]


class Mfi(Indicator):
    """Money flow index: 100 · rising / (rising + falling) of typical price · volume over ``n`` bars.

    Source: TA-Lib MFI. No flow in either direction gives 0; TA-Lib also gives 0 to any flow below 1 currency unit,
    which would silence coins that cost a millionth: here the flow's scale does not matter. Typical prices that
    differ by rounding only (1e-14 of the price) count as equal, as they do in TA-Lib 0.8.

    >>> from sparktrends.indicators import trial
    >>> trial(Mfi(2), close=[1, 2, 1], volume=[1, 3, 2])
    {'mfi_2': [nan, nan, 75.0]}
    """

    def __init__(self, n: int) -> None:
        super().__init__((f"mfi_{n}",), (n,), warmup=n + 1, past={"typical": n + 1, "volume": n})

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int) -> None:
        """See the class."""
        rising = falling = 0.0
        price, volume = len(past.typical), len(past.volume)
        # Afresh from the windows: running sums would drift, and cost as many floats of state as they save time.
        for i in range(-n, 0):
            flow = past.typical[price + i] * past.volume[volume + i]
            change = past.typical[price + i] - past.typical[price + i - 1]
            rounding = TIE * past.typical[price + i]
            rising += flow if change > rounding else 0.0
            falling += flow if change < -rounding else 0.0
        total = rising + falling
        out[0] = 100.0 * (rising / total) if total > 0.0 else 0.0


class VwapSession(Indicator):
    """Volume-weighted average price since the session's start: Σ turnover / Σ volume (contract, section 5).

    A provider's bar has no turnover of ours: (high + low + close) / 3 · volume stands in. Undefined while the
    session has no volume.

    >>> from sparktrends.indicators import trial
    >>> trial(VwapSession(), close=[10, 20, 30], volume=[1, 3, 2], session=[1, 1, 2])
    {'vwap_session': [10.0, 17.5, 30.0]}
    """

    def __init__(self) -> None:
        super().__init__(("vwap_session",), (), warmup=1, own=3)

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats) -> None:
        """See the class."""
        # A new row of state says session 0, which may be a session's real number.
        if bar.number == 1 or bar.session != own[2]:
            own[0] = 0.0
            own[1] = 0.0
            own[2] = bar.session
        own[0] += bar.typical * bar.volume if bar.provider != 0.0 else bar.turnover
        own[1] += bar.volume
        out[0] = own[0] / own[1] if own[1] > 0.0 else math.nan


class VolumeNorm(Indicator):
    """This bar's volume against the ``n`` before it: their mean, the ratio to it, the distance in deviations.

    Contract, section 5; the deviation is the population's. The ratio is undefined when the mean is 0, the distance
    when the ``n`` volumes are equal: there is nothing to measure by.

    >>> from sparktrends.indicators import trial
    >>> trial(VolumeNorm(2), close=[1, 1, 1], volume=[2, 4, 6])["volume_z_2"]
    [nan, nan, 3.0]
    """

    def __init__(self, n: int) -> None:
        tail = "" if n == 20 else f"_{n}"
        names = (f"volume_sma_{n}", f"volume_ratio{tail}", f"volume_z{tail}")
        super().__init__(names, (n,), warmup=n + 1, past={"volume": n + 1})

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int) -> None:
        """See the class."""
        # Without this bar: a spike must not raise what it is measured by.
        before = past.volume[:-1]
        usual = mean(before, n)
        deviation = math.sqrt(squares(before, n, usual) / n)
        out[0] = usual
        out[1] = bar.volume / usual if usual > 0.0 else math.nan
        out[2] = (bar.volume - usual) / deviation if deviation > 0.0 else math.nan
