"""From a folded batch to a committed one. The stream, repair and backfill write bars, metrics and signals only here."""

from __future__ import annotations

from sparktrends.commit.analysis import Analysis
from sparktrends.commit.batch import Committed, commit_batch, fold_in, replace_minutes
from sparktrends.commit.cache import Cache
from sparktrends.commit.sessions import Sessions
from sparktrends.commit.step import Laws

__all__ = ["Analysis", "Cache", "Committed", "Laws", "Sessions", "commit_batch", "fold_in", "replace_minutes"]
