"""The single processes, as `up` starts them on one machine and an operator on many."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import click

from sparktrends import telemetry
from sparktrends.bus.connection import Connection, wait_ready
from sparktrends.bus.kafka import Producer, Reader
from sparktrends.ingest.kept import Kept
from sparktrends.ingest.places import Places
from sparktrends.ingest.playback import Playback, Track
from sparktrends.ingest.publish import Publisher
from sparktrends.ingest.run import Config as LiveConfig
from sparktrends.ingest.run import Ingest
from sparktrends.model import MINUTE
from sparktrends.net import JsonFile, Redactor, Secret
from sparktrends.ops import feeding, jars, java, troubles
from sparktrends.ops.channels import all_channels, told_outside
from sparktrends.ops.classes import KeptClasses
from sparktrends.ops.cluster import enter_spark, spark_settings
from sparktrends.ops.commands.context import Context, pass_context, print_json, stop_event
from sparktrends.ops.commands.sources import Choice, source_options, tracks_of
from sparktrends.ops.compiling import PARTS
from sparktrends.ops.endpoints import endpoints
from sparktrends.ops.exposition import expose
from sparktrends.ops.home import Home
from sparktrends.ops.laws import limits_of
from sparktrends.ops.ports import LOOPBACK
from sparktrends.ops.settings import Settings

if TYPE_CHECKING:
    from sparktrends.spark import Settings as SparkSettings


_log = logging.getLogger(__name__)


@click.command()
@click.option("--shard", default="1/1", show_default=True, help="Take a share of the partitions: K/N.")
@click.option("--accept-gap", is_flag=True, help="Record a gap in the log as lost, and go on behind it.")
@click.option("--max-records", default=1_000_000, show_default=True, help="Most records of one batch.")
@pass_context
def stream(context: Context, shard: str, accept_gap: bool, max_records: int) -> None:
    """Fold the log into bars with Spark until stopped."""
    from sparktrends import spark
    from sparktrends.ops.analysing import Analyses
    from sparktrends.streaming.figures import spark_figures
    from sparktrends.streaming.publish import OutPublisher, publishing
    from sparktrends.streaming.run import Stream, StreamConfig, share_of
    from sparktrends.streaming.scan import warm_scanner

    settings, stopping = context.settings, stop_event()
    telemetry.configure_logging(Redactor(map(Secret, settings.secrets())))
    share_of(shard)
    where, home = endpoints(settings), Home.open(settings.home)
    scratch = home.scratch / f"stream-{shard.replace('/', '-of-')}"
    limits = limits_of(settings)
    config = StreamConfig(
        where.kafka,
        where.owner_dsn,
        scratch,
        limits,
        shard=shard,
        accept_gap=accept_gap,
        max_records=max_records,
    )
    # What is compiled is loaded while Java starts.
    with ThreadPoolExecutor(1) as beside:
        analyses = beside.submit(Analyses, settings, limits)
        beside.submit(warm_scanner)
        session = spark.session("sparktrends", _spark_settings(settings, home))
    stop_event(stopping)  # a Spark session takes Ctrl-C for itself
    expose(settings, "stream", {"spark": lambda: spark_figures(session)})
    running = Stream(config, session, stopping, analyses.result(), executors=spark.Executors(session))
    publisher = OutPublisher(where.kafka, where.owner_dsn, shard, threading.Event())
    try:
        with publishing(publisher, failed=stopping.set):
            running.run()
    finally:
        spark.close(session)


@click.command(hidden=True)
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@pass_context
def prepare(context: Context, parts: tuple[str, ...]) -> None:
    """Compile what is not kept yet; `up` runs this while jars are fetched, an image build may."""
    for part in parts:
        PARTS[part](context.settings)


def _spark_settings(settings: Settings, home: Home) -> SparkSettings:
    found = java.find(settings.env, settings.cache)
    enter_spark(settings, found)
    connector = jars.Resolver(found, settings.cache, settings.env).ensure([jars.CONNECTOR])[jars.CONNECTOR]
    port = settings.env.get("SPARKTRENDS_PORT_SPARK_UI", "")
    options: list[str] = []
    if settings.spark_master.startswith("local"):
        classes = KeptClasses.of("spark", found, [*connector, *jars.of_spark()], settings.cache)
        options = classes.options if classes else []
    return spark_settings(settings, connector, home.scratch, int(port) if port else None, options)


@click.command()
@source_options
@pass_context
def ingest(context: Context, choice: Choice) -> None:
    """Take data in from the given sources and publish it until stopped (or until a recording ends)."""
    settings, stopping = context.settings, stop_event()
    telemetry.configure_logging(Redactor(map(Secret, settings.secrets())))
    where = endpoints(settings)
    feeders = choice.feeders(settings, feeding.sandbox_port(settings) if choice.sandbox else 0)
    tracks = tracks_of(settings, telemetry.system_clock, choice)
    for words in (words for track in tracks for words in track.recording.remarks):
        _log.warning("%s", words)
    expose(settings, "ingest")
    wait_ready(where.kafka, 60)
    home, future = Home.open(settings.home), limits_of(settings).future
    if not feeders:
        print_json(_play(where.kafka, tracks, home, stopping, future))
        return
    hosts = (*feeding.allowed_hosts(settings), *((LOOPBACK,) * choice.sandbox))
    told = all_channels(settings) if told_outside(settings, live=not choice.sandbox) else ["console"]
    config = LiveConfig(where.kafka, home.run, feeders, hosts, where.owner_dsn, told)
    with ThreadPoolExecutor(1) as beside:
        # A producer belongs to one thread: recordings are played by another one than the live sources.
        played = beside.submit(_play, where.kafka, tracks, home, stopping, future) if tracks else None
        if played:
            played.add_done_callback(lambda future: stopping.set() if future.exception() else None)
        try:
            published = Ingest(config, telemetry.system_clock, random.Random(), _log.info).run(stopping)
        finally:
            stopping.set()
        recorded = played.result() if played else {"published": 0}
    print_json({"published": sum(published.values()) + int(str(recorded["published"])), "sources": published})


def _play(
    kafka: Connection, tracks: list[Track], home: Home, stopping: threading.Event, future: int = MINUTE
) -> dict[str, object]:
    def say(sentences: Sequence[str]) -> None:
        for words in sentences:
            _log.info("%s", words)
        troubles.tell_recorded(home, sentences, telemetry.system_clock())

    producer, places = Producer(kafka), Places(Kept(JsonFile(home.run / "recordings.json")))
    playback = Playback(
        tracks, Publisher(producer), telemetry.system_clock, stopping, say=say, places=places, future=future
    )
    try:
        with Reader(kafka) as reader:
            summary = playback.run(reader)
    finally:
        producer.close()
    return {"published": summary.published, "seconds": round(summary.seconds, 3), "done": summary.done}
