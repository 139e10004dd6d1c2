"""Past days again without a provider: rows from the archive, and minutes rebuilt from the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

from pyarrow import RecordBatch

from sparktrends.batch import rebuild
from sparktrends.batch.rebuild import Rebuild
from sparktrends.batch.repair import SHARD, Wanted
from sparktrends.batch.retention import Part, archived, restore
from sparktrends.bus.reader import Reader
from sparktrends.commit import Laws
from sparktrends.model import MINUTE, SECOND
from sparktrends.ops.analysing import Analyses
from sparktrends.ops.jobs import Done, Jobs, Progress, months_done
from sparktrends.ops.laws import agreed_limits
from sparktrends.store.analysis_rows import TEMPORARY_METRICS
from sparktrends.store.writer import Writer


def from_archive(jobs: Jobs, part: Part, progress: Progress) -> Done:
    """Archived bars and their metrics into the tables; rows that are there stay as they are."""
    files, found = archived(jobs.archive, part.touches), set[str]()

    def rows_of(batch: RecordBatch) -> RecordBatch:
        kept = part.of(batch)
        found.update(kept["symbol"].unique().to_pylist())
        return kept

    months = []
    for number, one in enumerate(restore(jobs.session, jobs.archive, part.touches, rows_of), 1):
        months.append(one)
        words = f"{one.month:%Y-%m} {one.table} {one.interval}: {one.rows:,} rows brought back"
        progress(words, number, len(files))
    days = f"from {part.first} to {part.last}"
    missing = [f"the archive has nothing of {symbol} {days}" for symbol in part.symbols if symbol not in found]
    if not found and not missing:
        missing = [f"the archive has nothing {days}"]
    return months_done(months, "brought back", missing)


def from_log(jobs: Jobs, wanted: Wanted, progress: Progress) -> Done:
    """Minutes as the log has them, with longer bars, metrics and signals; what is right already is left alone."""
    limits = agreed_limits(jobs.settings, jobs.where.owner_dsn)
    laws = Laws(limits, Analyses(jobs.settings, limits)())
    fold = rebuild.by_spark(jobs.spark, jobs.where.kafka, limits, progress)
    minutes = written = months = 0
    with (
        Reader(jobs.where.kafka) as log,
        closing(Writer(jobs.where.owner_dsn, SHARD, [TEMPORARY_METRICS])) as writer,
    ):
        work = Rebuild(writer, log, fold, laws, jobs.clock)
        for made in work.run(wanted):
            minutes, written, months = minutes + made.minutes, written + made.written, months + 1
            progress(f"{made.month:%Y-%m} {' '.join(made.key)}: {made.written:,} minutes written", made.number, made.of)
    words = f"{written:,} of {minutes:,} minutes written, in {months} months of series"
    return Done(words, {"months": months, "minutes": minutes, "written": written}, tuple(_not_in_log(work, wanted)))


def _not_in_log(work: Rebuild, wanted: Wanted) -> Iterator[str]:
    """What cannot be made of the log: symbols that no trade was of, and minutes whose records it no longer has."""
    known = {symbol for _, symbol in work.known}
    yield from (f"no trade of {symbol} is known" for symbol in wanted.symbols if symbol not in known)
    for (source, symbol), (first, last) in work.known.items():
        since, until = max(wanted.since, first), min(work.begin, wanted.until, last + MINUTE)
        if since < until:
            yield f"{source} {symbol} from {_at(since)} to {_at(until)}: the log no longer has all of it"


def _at(micros: int) -> str:
    return f"{datetime.fromtimestamp(micros / SECOND, UTC):%Y-%m-%d %H:%M}"
