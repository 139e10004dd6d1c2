"""How widely the price moves, and the channels drawn from that."""

# ruff: noqa: ARG004 - the kernel hands every update the same four arguments, whether it looks at them or not

from __future__ import annotations

import math

from sparktrends.indicators.base import (
    Bar,
    Floats,
    Indicator,
    Past,
    compiled,
    exponential,
    highest,
    lowest,
    mean,
    square,
    squares,
    true_range,
    wilder,
)

LN2 = math.log(2.0)


class Volatility(Indicator):
    """Standard deviation (ddof 1) of the last ``n`` log returns, not annualised (contract, section 5).

    >>> from sparktrends.indicators import trial
    >>> trial(Volatility(2), close=[1, 2, 2])
    {'volatility_2': [nan, nan, 0.49012907173427356]}
    """

    def __init__(self, n: int) -> None:
        super().__init__((f"volatility_{n}",), (n,), warmup=n + 1, past={"log_return": n})

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int) -> None:
        """See the class."""
        centre = mean(past.log_return, n)
        out[0] = math.sqrt(squares(past.log_return, n, centre) / (n - 1))


class EwmaVolatility(Indicator):
    """Square root of ``s ← d · s + (1 − d) · r²`` with r the log return and d the decay, seeded with the first r².

    Source: RiskMetrics 1996 (d = 0.94); contract, section 5.

    >>> from sparktrends.indicators import trial
    >>> trial(EwmaVolatility(0.94), close=[1, 2, 2])
    {'volatility_ewma': [nan, 0.6931471805599453, 0.6720311250850732]}
    """

    def __init__(self, decay: float) -> None:
        super().__init__(("volatility_ewma",), (decay,), warmup=2, own=1)

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, decay: float) -> None:
        """See the class."""
        fresh = square(bar.log_return)
        # The first bar's return is 0 by construction: the second one's is the first there is.
        own[0] = fresh if bar.number <= 2 else decay * own[0] + (1.0 - decay) * fresh
        out[0] = math.sqrt(own[0])


class Bollinger(Indicator):
    """Bollinger bands: the mean of the last ``n`` closes, and two population deviations above and below it.

    Source: TA-Lib BBANDS. The names carry the window unless it is the usual 20.

    >>> from sparktrends.indicators import trial
    >>> trial(Bollinger(2), close=[1, 3])
    {'bb_upper_2': [nan, 4.0], 'bb_middle_2': [nan, 2.0], 'bb_lower_2': [nan, 0.0]}
    """

    def __init__(self, n: int) -> None:
        tail = "" if n == 20 else f"_{n}"
        names = (f"bb_upper{tail}", f"bb_middle{tail}", f"bb_lower{tail}")
        super().__init__(names, (n,), warmup=n, past={"close": n})

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int) -> None:
        """See the class."""
        middle = mean(past.close, n)
        width = 2.0 * math.sqrt(squares(past.close, n, middle) / n)
        out[0] = middle + width
        out[1] = middle
        out[2] = middle - width


class Atr(Indicator):
    """Average true range in Wilder's smoothing, from the second bar on. Source: Wilder 1978; TA-Lib ATR.

    >>> from sparktrends.indicators import trial
    >>> trial(Atr(2), high=[2, 3, 5, 4], low=[1, 2, 2, 3], close=[2, 3, 3, 4])
    {'atr_2': [nan, nan, 2.0, 1.5]}
    """

    def __init__(self, n: int) -> None:
        super().__init__((f"atr_{n}",), (n,), warmup=n + 1, own=1)

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int) -> None:
        """See the class."""
        own[0] = wilder(own[0], true_range(bar), bar.number - 1, n)
        out[0] = own[0]


class Keltner(Indicator):
    """Keltner channel: EMA of ``n`` closes plus and minus ``width`` average true ranges over ``m`` bars.

    Source: Raschke's form, as charting packages have it: 20, 10, 2. The middle is ``ema_20``.

    >>> from sparktrends.indicators import trial
    >>> trial(Keltner(2, 1, 2.0), high=[2, 3, 5], low=[1, 2, 2], close=[2, 3, 3])["kc_upper"]
    [nan, 4.5, 8.833333333333334]
    """

    def __init__(self, n: int, m: int, width: float) -> None:
        super().__init__(("kc_upper", "kc_lower"), (n, m, width), warmup=max(n, m + 1), own=2)

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int, m: int, width: float) -> None:
        """See the class."""
        own[0] = exponential(own[0], bar.close, bar.number, n)
        own[1] = wilder(own[1], true_range(bar), bar.number - 1, m)
        out[0] = own[0] + width * own[1]
        out[1] = own[0] - width * own[1]


class Donchian(Indicator):
    """Donchian channel: highest high and lowest low of the last ``n`` bars, this one included. TA-Lib MAX, MIN.

    A breakout is a close beyond the channel of the bar before.

    >>> from sparktrends.indicators import trial
    >>> trial(Donchian(2), high=[4, 3, 2], low=[2, 1, 1], close=[3, 2, 2])
    {'dc_upper': [nan, 4.0, 3.0], 'dc_lower': [nan, 1.0, 1.0]}
    """

    def __init__(self, n: int) -> None:
        super().__init__(("dc_upper", "dc_lower"), (n,), warmup=n, past={"high": n, "low": n})

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int) -> None:
        """See the class."""
        out[0] = highest(past.high, n)
        out[1] = lowest(past.low, n)


class Parkinson(Indicator):
    """Parkinson volatility: √(Σ ln(high/low)² / (4 · n · ln 2)), per bar, not annualised. Source: Parkinson 1980.

    >>> from sparktrends.indicators import trial
    >>> trial(Parkinson(2), high=[2, 2], low=[1, 2], close=[2, 2])
    {'parkinson_2': [nan, 0.29435250562886867]}
    """

    def __init__(self, n: int) -> None:
        super().__init__((f"parkinson_{n}",), (n,), warmup=n, past={"log_range": n})

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int) -> None:
        """See the class."""
        # Around 0 and not around their mean: the range of a bar has no drift to take away.
        out[0] = math.sqrt(squares(past.log_range, n, 0.0) / (4.0 * n * LN2))


class GarmanKlass(Indicator):
    """Garman–Klass volatility: √(mean of ½ ln(high/low)² − (2 ln 2 − 1) ln(close/open)²), per bar.

    Source: Garman and Klass 1980. The mean cannot be negative while open and close lie between low and high; for a
    bar that contradicts itself it counts as 0.

    >>> from sparktrends.indicators import trial
    >>> trial(GarmanKlass(1), open=[1, 2], high=[2, 2], low=[1, 1], close=[1, 2])["garman_klass_1"]
    [0.49012907173427356, 0.49012907173427356]
    """

    def __init__(self, n: int) -> None:
        super().__init__((f"garman_klass_{n}",), (n,), warmup=n, past={"log_range": n, "log_body": n})

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int) -> None:
        """See the class."""
        ranges = 0.5 * squares(past.log_range, n, 0.0)
        bodies = (2.0 * LN2 - 1.0) * squares(past.log_body, n, 0.0)
        out[0] = math.sqrt(max(ranges - bodies, 0.0) / n)
