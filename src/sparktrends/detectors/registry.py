"""Every detector the product has, in the order of their columns."""

from __future__ import annotations

from sparktrends.detectors.base import Detector
from sparktrends.detectors.breakouts import ChannelBreakout, SqueezeBreakout
from sparktrends.detectors.change_point import ChangePoint
from sparktrends.detectors.crosses import AverageCross, MacdCross
from sparktrends.detectors.divergence import Divergence
from sparktrends.detectors.drift import Drift
from sparktrends.detectors.extremes import RsiExtreme
from sparktrends.detectors.gap import Gap
from sparktrends.detectors.levels import LevelTouch
from sparktrends.detectors.price_move import PriceMove
from sparktrends.detectors.pump import Pump
from sparktrends.detectors.range_burst import RangeBurst
from sparktrends.detectors.shock import Shock
from sparktrends.detectors.surge import Surge
from sparktrends.detectors.trend_state import TrendState
from sparktrends.detectors.volume_spike import VolumeSpike

REGISTRY: tuple[type[Detector], ...] = (
    PriceMove,
    VolumeSpike,
    Surge,
    Shock,
    RangeBurst,
    Gap,
    ChangePoint,
    Drift,
    Divergence,
    Pump,
    AverageCross,
    MacdCross,
    RsiExtreme,
    SqueezeBreakout,
    ChannelBreakout,
    TrendState,
    LevelTouch,
)
