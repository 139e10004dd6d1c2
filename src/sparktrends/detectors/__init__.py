"""Anomalies, patterns and trends found bar by bar; one file each, score then learn.

To add one: write ``detectors/<name>.py`` (see `base.Detector`) and put its class into `registry.REGISTRY`. The
conformance suite in ``tests/conformance/test_detectors.py`` covers it from then on.
"""

from __future__ import annotations

from sparktrends.detectors.base import BARS, BASELINE, SCALE, SCORE, VALUE, Detector
from sparktrends.detectors.bundle import Detectors
from sparktrends.detectors.feed import feed_signals
from sparktrends.detectors.registry import REGISTRY

__all__ = ["BARS", "BASELINE", "REGISTRY", "SCALE", "SCORE", "VALUE", "Detector", "Detectors", "feed_signals"]
