"""What the settings files say, read once before anything is started: a wrong one ends `up` with its sentence.

Otherwise the process that needs it would die, be started again and die, while all others run. What the stream reads
(indicators, detectors, rules) it refuses itself, and `up` then ends with its sentence too.
"""

from __future__ import annotations

from sparktrends.alerts.channels import Tools, build
from sparktrends.alerts.transport import guarded_post
from sparktrends.batch.limits import limits_of as days_kept
from sparktrends.net import AddressGuard
from sparktrends.ops.analysing import rules_path, tags_of
from sparktrends.ops.answering import api_table
from sparktrends.ops.channels import channel_blocks, operational_channels
from sparktrends.ops.cluster import spark_table
from sparktrends.ops.exchanges import exchanges_of
from sparktrends.ops.feeding import source_of
from sparktrends.ops.laws import limits_of
from sparktrends.ops.mood import chosen_of
from sparktrends.ops.ports import WANTED
from sparktrends.ops.settings import Settings
from sparktrends.sources import PROVIDERS
from sparktrends.telemetry import Clock


def require_good_settings(settings: Settings, clock: Clock) -> None:
    """Raises BadSetting for the first that is wrong."""
    settings.wanted_ports(WANTED)
    if settings.external().kafka:
        settings.kafka_security()
    settings.seconds("stale_after_s")
    settings.only("daily", "calls")
    limits_of(settings)
    days_kept(settings.table("retention"))
    rules_path(settings)
    tags_of(settings)
    exchanges_of(settings)
    operational_channels(settings)
    api_table(settings)
    spark_table(settings)
    chosen_of(settings)
    for provider in PROVIDERS:
        source_of(provider, settings)
    if settings.table("sandbox"):
        from sparktrends.ops.commands.twin import require_table  # here: it loads the twin, for few

        require_table(settings)
    post = guarded_post(clock, AddressGuard(settings.allowed_hosts))
    build(channel_blocks(settings), Tools(post, clock, lambda _: None))
