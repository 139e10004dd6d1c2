"""Past days again without a provider: rows from the archive, and minutes rebuilt from the log."""

from __future__ import annotations

from contextlib import closing

from sparktrends.batch import rebuild
from sparktrends.batch.rebuild import Rebuild
from sparktrends.batch.repair import SHARD, Wanted
from sparktrends.batch.retention import Part, restore
from sparktrends.bus.reader import Reader
from sparktrends.commit import Laws
from sparktrends.ops.analysing import Analyses
from sparktrends.ops.jobs import Done, Jobs, Progress
from sparktrends.ops.laws import limits_of
from sparktrends.store.analysis_rows import TEMPORARY_METRICS
from sparktrends.store.writer import Writer


def from_archive(jobs: Jobs, part: Part) -> Done:
    """Archived bars and their metrics into the tables; rows that are there stay as they are."""
    return jobs.months(restore(jobs.session, jobs.archive, part.touches, part.of), "brought back")


def from_log(jobs: Jobs, wanted: Wanted, progress: Progress) -> Done:
    """Minutes as the log has them, with longer bars, metrics and signals; what is right already is left alone."""
    limits = limits_of(jobs.settings)
    laws = Laws(limits, Analyses(jobs.settings, limits)())
    fold = rebuild.by_spark(jobs.spark, jobs.where.kafka, limits)
    minutes = written = months = 0
    with (
        Reader(jobs.where.kafka) as log,
        closing(Writer(jobs.where.owner_dsn, SHARD, [TEMPORARY_METRICS])) as writer,
    ):
        for made in Rebuild(writer, log, fold, laws, jobs.clock).run(wanted):
            minutes, written, months = minutes + made.minutes, written + made.written, months + 1
            progress(f"{made.month:%Y-%m} {' '.join(made.key)}: {made.written:,} minutes written", made.number, made.of)
    words = f"{written:,} of {minutes:,} minutes written, in {months} months of series"
    return Done(words, {"months": months, "minutes": minutes, "written": written})
