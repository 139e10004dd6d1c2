"""From a folded batch to a committed one. The stream, repair and backfill write bars, metrics and signals only here."""

from __future__ import annotations

from sparktrends.commit.analysis import Analysis
from sparktrends.commit.batch import Committed, Laws, commit_batch
from sparktrends.commit.cache import Cache

__all__ = ["Analysis", "Cache", "Committed", "Laws", "commit_batch"]
