"""The pure step from what is stored and what came in to what changes. Live, replay, repair and backfill call it."""

from __future__ import annotations

from sparktrends.analysis.minutes import MinutesChange, advance, described, open_from, spans_needed

__all__ = ["MinutesChange", "advance", "described", "open_from", "spans_needed"]
