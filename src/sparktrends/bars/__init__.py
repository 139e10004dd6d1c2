"""What a bar is: records are judged one by one, folded to partial bars, merged, and described.

``judge`` alone defines what is accepted (the streaming room has a compiled shortcut for plain records, tested to
agree with it). ``fold`` turns judged records into a `FoldResult`, ``merge`` adds such results in any order.
"""

from __future__ import annotations

from sparktrends.bars.fold import Fold, fold_records
from sparktrends.bars.judge import Judged, judge
from sparktrends.bars.limits import RAW_BARS, RAW_TRADES, Limits
from sparktrends.bars.merge import FoldResult, merge_bars, merge_marks, merge_results
from sparktrends.bars.numbers import decimal_of, units_of, vwap_of
from sparktrends.bars.states import reason_of, state_of

__all__ = [
    "RAW_BARS",
    "RAW_TRADES",
    "Fold",
    "FoldResult",
    "Judged",
    "Limits",
    "decimal_of",
    "fold_records",
    "judge",
    "merge_bars",
    "merge_marks",
    "merge_results",
    "reason_of",
    "state_of",
    "units_of",
    "vwap_of",
]
