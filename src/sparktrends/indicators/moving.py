"""Moving averages of the close, and what is made of them."""

# ruff: noqa: ARG004 - the kernel hands every update the same four arguments, whether it looks at them or not

from __future__ import annotations

from sparktrends.indicators.base import Bar, Floats, Indicator, Past, compiled, exponential, mean


class Sma(Indicator):
    """Simple moving average: the mean of the last ``n`` closes. Source: TA-Lib SMA.

    >>> from sparktrends.indicators import trial
    >>> trial(Sma(3), close=[1, 2, 3, 7])
    {'sma_3': [nan, nan, 2.0, 4.0]}
    """

    def __init__(self, n: int) -> None:
        super().__init__((f"sma_{n}",), (n,), warmup=n, past={"close": n})

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int) -> None:
        """See the class."""
        out[0] = mean(past.close, n)


class Ema(Indicator):
    """Exponential moving average: ``e ← e + (close − e) · 2/(n+1)``, seeded with the mean of the first ``n`` closes.

    Source: TA-Lib EMA.

    >>> from sparktrends.indicators import trial
    >>> trial(Ema(3), close=[1, 2, 3, 4])
    {'ema_3': [nan, nan, 2.0, 3.0]}
    """

    def __init__(self, n: int) -> None:
        super().__init__((f"ema_{n}",), (n,), warmup=n, own=1)

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int) -> None:
        """See the class."""
        own[0] = exponential(own[0], bar.close, bar.number, n)
        out[0] = own[0]


class Wma(Indicator):
    """Weighted moving average: weights 1 … ``n``, the latest close the heaviest. Source: TA-Lib WMA.

    >>> from sparktrends.indicators import trial
    >>> trial(Wma(3), close=[1, 2, 3, 6])
    {'wma_3': [nan, nan, 2.3333333333333335, 4.333333333333333]}
    """

    def __init__(self, n: int) -> None:
        super().__init__((f"wma_{n}",), (n,), warmup=n, past={"close": n})

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, n: int) -> None:
        """See the class."""
        oldest = len(past.close) - n
        weighted = 0.0
        # Differences from the latest close, as in `mean`: equal closes give exactly themselves.
        for i in range(n - 1):
            weighted += (i + 1) * (past.close[oldest + i] - bar.close)
        out[0] = bar.close + weighted / (n * (n + 1) / 2)


class Macd(Indicator):
    """Moving average convergence divergence: fast EMA − slow EMA, the EMA of that (signal), and their difference.

    Both EMAs begin at the same bar, the fast one seeded with the mean of the ``fast`` closes before it: so TA-Lib
    (MACD), while other libraries begin each at its own length and differ in early rows. All three outputs begin
    with the signal.

    >>> from sparktrends.indicators import trial
    >>> trial(Macd(2, 3, 2), close=[1, 2, 4, 8, 16])["macd"]
    [nan, nan, nan, 1.166666666666667, 2.1944444444444464]
    """

    def __init__(self, fast: int, slow: int, signal: int) -> None:
        names = ("macd", "macd_signal", "macd_hist")
        super().__init__(names, (fast, slow, signal), warmup=slow + signal - 1, own=3)

    @staticmethod
    @compiled
    def update(bar: Bar, past: Past, own: Floats, out: Floats, fast: int, slow: int, signal: int) -> None:
        """See the class."""
        # The fast average sits out the first bars, so that both seeds end at the same one.
        if bar.number > slow - fast:
            own[0] = exponential(own[0], bar.close, bar.number - (slow - fast), fast)
        own[1] = exponential(own[1], bar.close, bar.number, slow)
        line = own[0] - own[1]
        # The signal averages the line, which exists from here on.
        if bar.number >= slow:
            own[2] = exponential(own[2], line, bar.number - slow + 1, signal)
        out[0] = line
        out[1] = own[2]
        out[2] = line - own[2]
