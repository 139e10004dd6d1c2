"""How far and how one-sidedly the price has moved."""

# ruff: noqa: ARG004 - the kernel hands every update the same four arguments, whether it looks at them or not

from __future__ import annotations

from sparktrends.indicators.base import (
    FLAT,
    Bar,
    Floats,
    Indicator,
    Past,
    compiled,
    highest,
    lowest,
    mean,
    push,
    true_range,
    wilder,
)


class Return(Indicator):
    """Simple return: close / previous close − 1 (contract, section 5).

    >>> from sparktrends.indicators import trial
    >>> trial(Return(), close=[4, 5, 4])
    {'return': [nan, 0.25, -0.19999999999999996]}
    """

    def __init__(self) -> None:
        super().__init__(("return",), (), warmup=2)

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats) -> None:
        """See the class."""
        out[0] = bar.close / bar.previous - 1.0


class LogReturn(Indicator):
    """Logarithmic return: ln(close / previous close) (contract, section 5).

    >>> from sparktrends.indicators import trial
    >>> trial(LogReturn(), close=[1, 2, 2])
    {'log_return': [nan, 0.6931471805599453, 0.0]}
    """

    def __init__(self) -> None:
        super().__init__(("log_return",), (), warmup=2)

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats) -> None:
        """See the class."""
        out[0] = bar.log_return


class Rsi(Indicator):
    """Relative strength index: 100 · average gain / (average gain + average loss), averages in Wilder's smoothing.

    Source: Wilder 1978; TA-Lib RSI. A price that no longer moves (gains and losses below 1e-16 of it) gives 0, as
    in TA-Lib, not 50.

    >>> from sparktrends.indicators import trial
    >>> trial(Rsi(2), close=[1, 2, 1, 4, 4])
    {'rsi_2': [nan, nan, 50.0, 87.5, 87.5]}
    >>> trial(Rsi(2), close=[5, 5, 5])
    {'rsi_2': [nan, nan, 0.0]}
    """

    def __init__(self, n: int) -> None:
        super().__init__((f"rsi_{n}",), (n,), warmup=n + 1, own=2)

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int) -> None:
        """See the class."""
        change = bar.close - bar.previous
        own[0] = wilder(own[0], max(change, 0.0), bar.number - 1, n)
        own[1] = wilder(own[1], max(-change, 0.0), bar.number - 1, n)
        moved = own[0] + own[1]
        out[0] = 100.0 * (own[0] / moved) if moved > FLAT * bar.close else 0.0


class Adx(Indicator):
    """Average directional index: Wilder's average of |+DI − −DI| / (+DI + −DI), in percent.

    Source: Wilder 1978; TA-Lib ADX: movement and range are sums over ``n − 1`` bars that then lose an ``n``-th per
    bar, the index is seeded with the mean of its first ``n`` values. A bar without range, or without direction,
    leaves the index as it was; a series that never moved has 0.

    >>> from sparktrends.indicators import trial
    >>> trial(Adx(2), high=[2, 3, 4, 5, 4], low=[1, 2, 3, 4, 1], close=[2, 3, 4, 5, 2])["adx_2"]
    [nan, nan, nan, 100.0, 77.41935483870968]
    """

    def __init__(self, n: int) -> None:
        super().__init__((f"adx_{n}",), (n,), warmup=2 * n, own=4, past={"high": 2, "low": 2})

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int) -> None:
        """See the class."""
        if bar.number == 1:
            return
        # TA-Lib sums the first n − 1 movements whole, and only then lets an n-th of the sum go at each bar.
        kept = 0.0 if bar.number <= n else 1.0 / n
        up = bar.high - past.high[len(past.high) - 2]
        down = past.low[len(past.low) - 2] - bar.low
        for i in range(3):
            own[i] -= own[i] * kept
        # Only the larger of the two movements counts, and neither when they are equal.
        own[0] += up if up > 0.0 and up > down else 0.0
        own[1] += down if down > 0.0 and down > up else 0.0
        own[2] += true_range(bar)
        moved = own[0] + own[1]
        if bar.number > n and own[2] > FLAT * bar.close and moved > FLAT * own[2]:
            index = 100.0 * (abs(own[1] - own[0]) / moved)
            # The seed is a mean over n bars even if some of them had no direction and added nothing.
            if bar.number <= 2 * n:
                own[3] += index / n
            else:
                own[3] = (own[3] * (n - 1) + index) / n
        out[0] = own[3]


class Stochastic(Indicator):
    """Slow stochastic: where the close lies in the range of ``n`` bars (percent), smoothed twice by plain means.

    Source: TA-Lib STOCH with SMA smoothing; both outputs begin together. A window without range gives 0.

    >>> from sparktrends.indicators import trial
    >>> trial(Stochastic(2, 1, 2), high=[2, 3, 4], low=[1, 1, 2], close=[2, 2, 4])
    {'stoch_k': [nan, nan, 100.0], 'stoch_d': [nan, nan, 75.0]}
    """

    def __init__(self, n: int, smooth: int, signal: int) -> None:
        super().__init__(
            ("stoch_k", "stoch_d"),
            (n, smooth, signal),
            warmup=n + smooth + signal - 2,
            own=smooth + signal,
            past={"high": n, "low": n},
        )

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int, smooth: int, signal: int) -> None:
        """See the class."""
        low = lowest(past.low, n)
        span = highest(past.high, n) - low
        # What enters before the range is known has left both means when the outputs begin.
        push(own[:smooth], 100.0 * ((bar.close - low) / span) if span > 0.0 else 0.0)
        push(own[smooth:], mean(own[:smooth], smooth))
        out[0] = own[smooth + signal - 1]
        out[1] = mean(own[smooth:], signal)


class Roc(Indicator):
    """Rate of change: (close / close ``n`` bars ago − 1) · 100. Source: TA-Lib ROC.

    >>> from sparktrends.indicators import trial
    >>> trial(Roc(2), close=[4, 5, 6])
    {'roc_2': [nan, nan, 50.0]}
    """

    def __init__(self, n: int) -> None:
        super().__init__((f"roc_{n}",), (n,), warmup=n + 1, past={"close": n + 1})

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int) -> None:
        """See the class."""
        out[0] = (bar.close / past.close[len(past.close) - 1 - n] - 1.0) * 100.0


class Cci(Indicator):
    """Commodity channel index: (typical − its mean) / (0.015 · mean absolute deviation) over ``n`` bars.

    Source: Lambert 1980; TA-Lib CCI. A window of equal typical prices gives 0.

    >>> from sparktrends.indicators import trial
    >>> trial(Cci(3), close=[1, 2, 3])
    {'cci_3': [nan, nan, 100.00000000000001]}
    """

    def __init__(self, n: int) -> None:
        super().__init__((f"cci_{n}",), (n,), warmup=n, past={"typical": n})

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int) -> None:
        """See the class."""
        centre = mean(past.typical, n)
        deviation = 0.0
        for i in range(len(past.typical) - n, len(past.typical)):
            deviation += abs(past.typical[i] - centre)
        out[0] = (bar.typical - centre) / (0.015 * (deviation / n)) if deviation > 0.0 else 0.0


class WilliamsR(Indicator):
    """Williams %R: how far the close lies below the highest high of ``n`` bars, −100 … 0 percent of their range.

    Source: TA-Lib WILLR. A window without range gives 0.

    >>> from sparktrends.indicators import trial
    >>> trial(WilliamsR(2), high=[2, 5], low=[1, 2], close=[2, 4])
    {'willr_2': [nan, -25.0]}
    """

    def __init__(self, n: int) -> None:
        super().__init__((f"willr_{n}",), (n,), warmup=n, past={"high": n, "low": n})

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int) -> None:
        """See the class."""
        high = highest(past.high, n)
        span = high - lowest(past.low, n)
        out[0] = -100.0 * ((high - bar.close) / span) if span > 0.0 else 0.0
