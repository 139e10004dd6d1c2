"""The 61 patterns, in TA-Lib's order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sparktrends.detectors.candlesticks import longer, pair, single, triple
from sparktrends.detectors.candlesticks.candles import Candles, Values

Rule = Callable[[Candles, int], Values]


@dataclass(frozen=True)
class Pattern:
    """A pattern: TA-Lib's function, the candles before the first that may be one, and whether its sign says where the
    price may go (or only the candle's color, or nothing)."""

    talib: str
    lookback: int
    rule: Rule
    directed: bool = True

    @property
    def name(self) -> str:
        """What rules and signals call it: that of its rule."""
        return self.rule.__name__


PATTERNS: tuple[Pattern, ...] = (
    Pattern("CDL2CROWS", 12, triple.two_crows),
    Pattern("CDL3BLACKCROWS", 13, longer.three_black_crows),
    Pattern("CDL3INSIDE", 12, triple.three_inside),
    Pattern("CDL3LINESTRIKE", 8, longer.three_line_strike),
    Pattern("CDL3OUTSIDE", 3, triple.three_outside),
    Pattern("CDL3STARSINSOUTH", 12, triple.three_stars_in_the_south),
    Pattern("CDL3WHITESOLDIERS", 12, triple.three_white_soldiers),
    Pattern("CDLABANDONEDBABY", 12, triple.abandoned_baby),
    Pattern("CDLADVANCEBLOCK", 12, triple.advance_block),
    Pattern("CDLBELTHOLD", 10, single.belt_hold),
    Pattern("CDLBREAKAWAY", 14, longer.breakaway),
    Pattern("CDLCLOSINGMARUBOZU", 10, single.closing_marubozu),
    Pattern("CDLCONCEALBABYSWALL", 13, longer.concealing_baby_swallow),
    Pattern("CDLCOUNTERATTACK", 11, pair.counterattack),
    Pattern("CDLDARKCLOUDCOVER", 11, pair.dark_cloud_cover),
    Pattern("CDLDOJI", 10, single.doji, directed=False),
    Pattern("CDLDOJISTAR", 11, pair.doji_star),
    Pattern("CDLDRAGONFLYDOJI", 10, single.dragonfly_doji, directed=False),
    Pattern("CDLENGULFING", 2, pair.engulfing),
    Pattern("CDLEVENINGDOJISTAR", 12, triple.evening_doji_star),
    Pattern("CDLEVENINGSTAR", 12, triple.evening_star),
    Pattern("CDLGAPSIDESIDEWHITE", 7, triple.gap_side_side_white),
    Pattern("CDLGRAVESTONEDOJI", 10, single.gravestone_doji, directed=False),
    Pattern("CDLHAMMER", 11, pair.hammer),
    Pattern("CDLHANGINGMAN", 11, pair.hanging_man),
    Pattern("CDLHARAMI", 11, pair.harami),
    Pattern("CDLHARAMICROSS", 11, pair.harami_cross),
    Pattern("CDLHIGHWAVE", 10, single.high_wave, directed=False),
    Pattern("CDLHIKKAKE", 5, longer.hikkake),
    Pattern("CDLHIKKAKEMOD", 10, longer.hikkake_modified),
    Pattern("CDLHOMINGPIGEON", 11, pair.homing_pigeon),
    Pattern("CDLIDENTICAL3CROWS", 12, triple.identical_three_crows),
    Pattern("CDLINNECK", 11, pair.in_neck),
    Pattern("CDLINVERTEDHAMMER", 11, pair.inverted_hammer),
    Pattern("CDLKICKING", 11, pair.kicking),
    Pattern("CDLKICKINGBYLENGTH", 11, pair.kicking_by_length),
    Pattern("CDLLADDERBOTTOM", 14, longer.ladder_bottom),
    Pattern("CDLLONGLEGGEDDOJI", 10, single.long_legged_doji, directed=False),
    Pattern("CDLLONGLINE", 10, single.long_line),
    Pattern("CDLMARUBOZU", 10, single.marubozu),
    Pattern("CDLMATCHINGLOW", 6, pair.matching_low),
    Pattern("CDLMATHOLD", 14, longer.mat_hold),
    Pattern("CDLMORNINGDOJISTAR", 12, triple.morning_doji_star),
    Pattern("CDLMORNINGSTAR", 12, triple.morning_star),
    Pattern("CDLONNECK", 11, pair.on_neck),
    Pattern("CDLPIERCING", 11, pair.piercing),
    Pattern("CDLRICKSHAWMAN", 10, single.rickshaw_man, directed=False),
    Pattern("CDLRISEFALL3METHODS", 14, longer.three_methods),
    Pattern("CDLSEPARATINGLINES", 11, pair.separating_lines),
    Pattern("CDLSHOOTINGSTAR", 11, pair.shooting_star),
    Pattern("CDLSHORTLINE", 10, single.short_line, directed=False),
    Pattern("CDLSPINNINGTOP", 10, single.spinning_top, directed=False),
    Pattern("CDLSTALLEDPATTERN", 12, triple.stalled_pattern),
    Pattern("CDLSTICKSANDWICH", 7, triple.stick_sandwich),
    Pattern("CDLTAKURI", 10, single.takuri, directed=False),
    Pattern("CDLTASUKIGAP", 7, triple.tasuki_gap),
    Pattern("CDLTHRUSTING", 11, pair.thrusting),
    Pattern("CDLTRISTAR", 12, triple.tristar),
    Pattern("CDLUNIQUE3RIVER", 12, triple.unique_three_river),
    Pattern("CDLUPSIDEGAP2CROWS", 12, triple.upside_gap_two_crows),
    Pattern("CDLXSIDEGAP3METHODS", 2, triple.gap_three_methods),
)
