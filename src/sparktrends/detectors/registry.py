"""Every detector the product has, in the order of their columns."""

from __future__ import annotations

from sparktrends.detectors.base import Detector
from sparktrends.detectors.price_move import PriceMove
from sparktrends.detectors.surge import Surge
from sparktrends.detectors.volume_spike import VolumeSpike

REGISTRY: tuple[type[Detector], ...] = (PriceMove, VolumeSpike, Surge)
