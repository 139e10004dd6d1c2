"""The kernel: one definition per indicator, compiled into one loop that live, history and repair all run through.

`Kernel` steps rows of float64 state; `compute` takes a whole frame. The definitions are one class each in
``moving``, ``momentum``, ``volatility`` and ``volume``; ``registry`` says which are chosen.
"""

from sparktrends.indicators.base import Indicator
from sparktrends.indicators.frames import compute
from sparktrends.indicators.kernel import WARM, Kernel, trial
from sparktrends.indicators.layout import BAR_COLUMNS
from sparktrends.indicators.registry import EXTRAS, FAMILIES, METRICS

__all__ = ["BAR_COLUMNS", "EXTRAS", "FAMILIES", "METRICS", "WARM", "Indicator", "Kernel", "compute", "trial"]
