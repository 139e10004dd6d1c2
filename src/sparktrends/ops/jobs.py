"""The jobs of the daily run with everything they need: each says in a sentence what it did, and what is missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparktrends.batch import flatten, score, tag
from sparktrends.batch.fetch import Outcome, Provider
from sparktrends.batch.fetch_run import Job, fetch, fetch_stretches, tally
from sparktrends.batch.limits import limits_of
from sparktrends.batch.load import Loader
from sparktrends.batch.plan import Stretch, by_oldest_day, chosen_symbols, day_of, stretches
from sparktrends.batch.profile import profile_day
from sparktrends.batch.quality import run as judge_day
from sparktrends.batch.reading import FLATTENED
from sparktrends.batch.reporting import unreported_days, write_report
from sparktrends.batch.retention import Month, log_begin, restore, retain
from sparktrends.batch.trends import Trend
from sparktrends.batch.truth import run as compare_day
from sparktrends.bus.producer import Producer
from sparktrends.bus.reader import Reader
from sparktrends.errors import Fenced, SparkTrendsError
from sparktrends.ops import daily as composing
from sparktrends.ops import java
from sparktrends.ops.channels import all_channels
from sparktrends.ops.cluster import enter_spark, spark_settings
from sparktrends.ops.endpoints import Endpoints
from sparktrends.ops.home import Home
from sparktrends.ops.mood import chosen_of
from sparktrends.ops.settings import Settings
from sparktrends.sources import PROVIDERS
from sparktrends.sources.base import Ask, Source
from sparktrends.store import daily_calls, payloads
from sparktrends.store.queries import next_offsets
from sparktrends.store.session import Session
from sparktrends.telemetry import Clock

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from sparktrends.spark import Executors

_STATEMENT_S = 600.0
_LOOK_S = 0.25
_LOADER_S = 60.0
TAPELESS = [name for name, source in PROVIDERS.items() if not source.tape]
"""Providers that carry no trades."""
Progress = Callable[[str, int, int], None]
"""Hears what was done, how many that makes, and of how many."""
STORED_S = 60.0
"""How long to wait for the stream to store the bars that were sent."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a job did: a sentence, the same as fields, and what another run has to bring."""

    words: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Backfill:
    """Which bars to fetch again: of the providers' configured symbols, or of those named; both days included;
    ``again``: also what was refused before."""

    providers: Sequence[tuple[Provider, Sequence[Ask]]]
    interval: str
    first: date
    last: date
    today: date
    symbols: Sequence[str] | None = None
    again: bool = False

    def unasked(self) -> list[str]:
        """What nobody can be asked for, in sentences: named symbols, or all when no provider is asked for bars."""
        calls = self.calls()
        if not calls and self.symbols is None:
            names = ", ".join(provider.source.name for provider, _ in self.providers) or "nobody"
            return [f"{names}: asked for no symbol's bars; [daily] calls says whom to ask for what"]
        asked = {symbol for _, of in calls for call in of for symbol in call.symbols}
        left = [f"nobody can be asked for {symbol}" for symbol in self.symbols or () if symbol not in asked]
        return left + [words for provider, chosen in self._chosen() for words in self._beyond(provider.source, chosen)]

    def calls(self) -> list[tuple[Provider, list[Stretch]]]:
        """The calls of each provider that has bars of this interval."""
        span = (self.interval, self.first, self.last, self.today)
        return [(provider, stretches(provider.source, chosen, *span)) for provider, chosen in self._chosen()]

    def _chosen(self) -> list[tuple[Provider, tuple[str, ...]]]:
        found = []
        for provider, asks in self.providers:
            configured = [s for ask in asks if ask.what == "bars" for s in ask.symbols]
            if chosen := chosen_symbols(provider.source, list(dict.fromkeys(configured)), self.symbols):
                found.append((provider, chosen))
        return found

    def _beyond(self, source: Source, symbols: Sequence[str]) -> Iterator[str]:
        for oldest, of in by_oldest_day(source, symbols, self.interval, self.today).items():
            if self.first < oldest:
                yield f"{source.name} has bars of {self.interval} from {oldest} on only: {', '.join(of)}"


@dataclass
class Jobs:
    """The jobs over one stack. ``say`` hears of progress. Close it: it may hold Spark."""

    settings: Settings
    where: Endpoints
    clock: Clock
    say: Callable[[str], None] = lambda _: None
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Jobs:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @cached_property
    def session(self) -> Session:
        """The connection to the database."""
        made = Session(self.where.owner_dsn, "batch", _STATEMENT_S)
        self._open.callback(made.close)
        return made

    @property
    def spark(self) -> SparkSession:
        """The Spark session of all jobs of this process, made by the first that has something to do.

        Raises Unavailable where a cluster has no executor for it within a minute, waited for once.
        """
        session, executors = self._spark
        executors.wait()
        return session

    @cached_property
    def _spark(self) -> tuple[SparkSession, Executors]:
        from sparktrends import spark

        home, found = Home.open(self.settings.home), java.find(self.settings.env, self.settings.cache)
        enter_spark(self.settings, found)
        made = spark.session("sparktrends batch", spark_settings(self.settings, (), home.scratch / "batch"))
        self._open.callback(made.stop)
        return made, spark.Executors(made)

    def fetch(self, job: Job, sandbox_port: int = 0) -> Done:
        """Ask providers for what the day still needs."""
        producer = Producer(self.where.kafka)
        outcomes = []
        try:
            with composing.http(self.settings, self.clock, sandbox_port) as client:
                for outcome in fetch(job, self.session, producer, composing.fetcher(client)):
                    outcomes.append(outcome)
                    self.say(_words(outcome))
        finally:
            producer.close()
        counts = tally(outcomes)
        told = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
        left = [_words(outcome) for outcome in outcomes if outcome.state != "done"]
        left += [f"nobody can be asked for {symbol} on {job.day}" for symbol in job.nobodys()]
        words = f"calls: {told or 'none was left to make'}{self._refused(job)}"
        return Done(words, {"day": job.day, **counts}, tuple(left))

    def _refused(self, job: Job) -> str:
        """What a person who has extended a plan has to know."""
        with self.session.transaction() as cursor:
            number = daily_calls.refused(cursor, [provider.source.name for provider, _ in job.providers], job.day)
        return f"; refused, and asked again only with --again: {number}" if number else ""

    def backfill(self, wanted: Backfill, sandbox_port: int = 0, progress: Progress = lambda *_: None) -> Done:
        """Bars of a stretch of time from providers, by way of the log: metrics follow. Goes on where it was stopped.

        ``progress`` hears what was asked, how many calls that makes, and of how many.
        """
        producer, outcomes = Producer(self.where.kafka), []
        try:
            with composing.http(self.settings, self.clock, sandbox_port) as client:
                for provider, calls in wanted.calls():
                    asking, today = composing.fetcher(client), day_of(self.clock())
                    made = fetch_stretches(provider, calls, self.session, producer, asking, today, again=wanted.again)
                    for number, outcome in enumerate(made, 1):
                        outcomes.append(outcome)
                        progress(_words(outcome), number, len(calls))
        finally:
            producer.close()
        counts = tally(outcomes)
        left = tuple(_words(outcome) for outcome in outcomes if outcome.state != "done")
        left += tuple(wanted.unasked())
        loaded, flattened = self.load(), self.flatten()
        words = f"{counts['done']} calls made; {loaded.words}; {flattened.words}"
        fields = {**counts, "load": dict(loaded.fields), "flatten": dict(flattened.fields)}
        return Done(words, fields, left + loaded.missing + flattened.missing)

    def load(self, *, accept_gap: bool = False) -> Done:
        """Store the answers that lie in the log."""
        deadline = time.monotonic() + _LOADER_S
        while True:
            try:
                with Loader(self.where.kafka, self.where.owner_dsn, accept_gap=accept_gap) as loader:
                    loaded = loader.run()
                break
            except Fenced:  # `up` loads as well: when it has let go, what is left is ours
                if time.monotonic() > deadline:
                    raise
        aside = f"{loaded.quarantined:,} set aside in quarantine"
        words = f"{loaded.stored:,} payloads stored" + (f", {aside}" if loaded.quarantined else "")
        return Done(words, asdict(loaded), (aside,) if loaded.quarantined else ())

    def flatten(self, wait_s: float = STORED_S) -> Done:
        """Make typed rows of the answers that nobody has read."""
        with self.session.transaction() as cursor:
            waiting = payloads.waiting(cursor)
        if not waiting:
            return Done("no payload waits to be read", {"payloads": 0})
        producer = Producer(self.where.kafka)
        try:
            found = flatten.flatten(self.session, producer, flatten.by_spark(self.spark))
        finally:
            producer.close()
        behind = self._wait_stored(producer.positions, wait_s) if found.sent else 0
        fields = {**asdict(found), "payloads": found.payloads, "not_stored_yet": behind}
        return Done(_flattened_words(found), fields, tuple(_flattened_missing(found, behind)))

    def sentiment(self) -> Done:
        """Score the stories that the present model has not scored."""
        chosen = chosen_of(self.settings)
        model = chosen.scorer().name
        if not score.waiting(self.session, model):
            return Done("every story is scored", {"scored": 0, "model": model})
        found = score.score_news(self.session, score.by_spark(self.spark, chosen), model=model)
        return Done(f"{found:,} stories scored by {model}", {"scored": found, "model": model})

    def trends(self, day: date) -> Done:
        """Tag the day, and again those of the week before of which something came since."""
        stale = tag.stale_days(self.session, day)
        for past in stale:
            self._tag(past)
        if gone := tag.archived_news(self.session, day):
            restore = "sparktrends batch restore --table news --month"
            left = tuple(f"news of {month:%Y-%m} are in the archive: {restore} {month:%Y-%m}" for month in gone)
            return Done(f"{day} stays as it was told", {"day": day, "tagged": 0, "again": stale}, left)
        found = self._tag(day)
        fields = {"day": day, "tagged": len(found), "again": stale}
        lacking = tag.ask_again(self.session, day)
        left = tuple(f"{source} has no price of {symbol} for {day}" for source, symbol in lacking)
        if found:
            again = f", and again for {', '.join(map(str, stale))}" if stale else ""
            return Done(f"{len(found)} series tagged for {day}{again}", fields, left)
        if not tag.prices_expected(self.session, day):
            return Done(f"no market of our symbols was open on {day}", fields, left)
        words = f"no symbol has prices of {day}"
        return Done(words, fields, (words, *left))

    def _tag(self, day: date) -> list[Trend]:
        # By a function of its own: Spark is started only where there is something to tag.
        return tag.tag_day(self.session, day, lambda subjects: tag.by_spark(self.spark)(subjects))

    def profiles(self, day: date) -> Done:
        """Make the volume profile of every session that ended on the day."""
        made = profile_day(self.session, day)
        return Done(f"{made} volume profiles of {day}", {"day": day, "made": made})

    def quality(self, day: date) -> Done:
        """Judge the data of the day. A low score is no missing part: an operational alert tells of it."""
        found = judge_day(self.where.owner_dsn, self.where.kafka, day, self.clock(), tapeless=TAPELESS)
        worst = f", the worst {found[0].score:.1f}" if found else ""
        scores = {f"{series.source} {series.symbol}": series.score for series in found}
        return Done(f"{len(found)} series judged for {day}{worst}", {"day": day, "scores": scores})

    def truth(self, day: date, symbols: Sequence[str] | None = None) -> Done:
        """Hold streamed bars against those of providers. A difference is no missing part: no other run mends it."""
        found = compare_day(self.session, day, self.clock(), symbols or (), TAPELESS)
        wrong = sum(one.wrong for one in found)
        told = f", {wrong} contradicted by their own provider" if wrong else ""
        series = [asdict(one) for one in found]
        return Done(f"{len(found)} series compared for {day}{told}", {"day": day, "wrong": wrong, "series": series})

    def report(self, day: date) -> Done:
        """Write the report of the day, and put its summary into the outbox once; and again the reports of the week
        before whose trends were made again."""
        for past in unreported_days(self.session, day):
            self._report(past)
        found = self._report(day)
        if not found:
            return Done(f"nothing to report of {day}", {"day": day, "files": []})
        files = [str(file) for file in found]
        return Done(f"report of {day}: {', '.join(files)}", {"day": day, "files": files})

    def _report(self, day: date) -> list[Path]:
        with self.session.transaction() as cursor:
            notes = [f"{s} {what} of {symbols}: {why}" for s, what, symbols, _, why in daily_calls.missing(cursor, day)]
        folder = Home.open(self.settings.home).reports
        channels = tuple(all_channels(self.settings))
        return write_report(self.session, day, folder, notes, channels, self.clock())

    def retention(self, today: date) -> Done:
        """Archive the months that are over the limits of ``[retention]``."""
        limits = limits_of(self.settings.table("retention"))

        def logged_since() -> date:
            with Reader(self.where.kafka) as log:
                return log_begin(log, today)

        return self._months(retain(self.session, self.archive, limits, today, logged_since), "archived")

    def restore(self, table: str, interval: str, month: str) -> Done:
        """Put archived months back; empty words mean all. What the archive does not have is missing."""
        wanted = (table, interval, month)
        done = self._months(
            restore(self.session, self.archive, lambda *told: all(map(_matches, wanted, told))), "restored"
        )
        if done.fields["months"]:
            return done
        return replace(done, missing=(f"the archive has nothing of {' '.join(filter(None, wanted)) or 'any month'}",))

    @property
    def archive(self) -> Path:
        """Where archived months lie."""
        return Home.open(self.settings.home).archive

    def _months(self, made: Iterable[Month], what: str) -> Done:
        months = []
        for one in made:
            self.say(f"{' '.join(filter(None, (one.table, one.interval)))} {one.month:%Y-%m}: {one.rows:,} rows {what}")
            months.append(one)
        return months_done(months, what)

    def daily(self, job: Job, sandbox_port: int = 0) -> Done:
        """All of them: a part that fails is named, and the others do what they can."""
        # In this order: each works on what those before it have stored.
        parts: dict[str, Callable[[], Done]] = {
            "fetch": lambda: self.fetch(job, sandbox_port),
            "load": self.load,
            "flatten": self.flatten,
            "sentiment": self.sentiment,
            "trends": lambda: self.trends(job.day),
            "profiles": lambda: self.profiles(job.day),
            "quality": lambda: self.quality(job.day),
            "truth": lambda: self.truth(job.day),
            "report": lambda: self.report(job.day),
        }
        fields: dict[str, Any] = {}
        missing: list[str] = []
        for name, part in parts.items():
            try:
                done = part()
            except SparkTrendsError as error:
                done = Done(f"failed: {error}", {"error": str(error)}, (str(error),))
            self.say(f"{name}: {done.words}")
            fields[name] = dict(done.fields)
            missing += [f"{name}: {item}" for item in done.missing]
        words = f"{job.day} is complete" if not missing else f"{job.day} is not complete: {len(missing)} things missing"
        return Done(words, {"day": job.day, **fields, "missing": missing}, tuple(missing))

    def _wait_stored(self, positions: Mapping[tuple[str, int], int], seconds: float) -> int:
        """Wait until the ledger has passed these positions of the log; how many records are still before it."""
        deadline = time.monotonic() + seconds
        while (behind := self._behind(positions)) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        return behind

    def _behind(self, positions: Mapping[tuple[str, int], int]) -> int:
        with self.session.transaction() as cursor:
            stands = next_offsets(cursor.connection)
        return sum(max(0, end - stands.get(place, 0)) for place, end in positions.items())


def months_done(made: Sequence[Month], what: str, missing: Sequence[str] = ()) -> Done:
    """What became of months of the archive."""
    rows = sum(month.rows for month in made)
    fields = {"rows": rows, "months": [asdict(month) for month in made]}
    return Done(f"{rows:,} rows of {len(made)} months {what}", fields, tuple(missing))


def _matches(wanted: str, told: str) -> bool:
    return wanted in ("", told)


def _words(outcome: Outcome) -> str:
    call = outcome.call
    symbols = ", ".join(call.symbols[:3]) + (" …" if len(call.symbols) > 3 else "")
    why = f": {outcome.reason}" if outcome.reason else ""
    return f"{call.day} {call.source} {call.what} {symbols} {outcome.state}{why}"


def _flattened_words(found: flatten.Flattened) -> str:
    return (
        f"{found.payloads:,} payloads read: {found.news:,} news, {found.bars:,} bars, {found.companies:,} companies, "
        f"{found.actions:,} splits and dividends, {found.prices:,} prices; {found.rejects:,} records set aside"
    )


def _flattened_missing(found: flatten.Flattened, behind: int) -> Iterable[str]:
    errors = {outcome: number for outcome, number in found.outcomes.items() if outcome != FLATTENED}
    if errors:
        yield "answers without data: " + ", ".join(f"{number} {outcome}" for outcome, number in errors.items())
    if behind:
        yield f"{behind:,} bars and prices wait for the stream: does it run?"
