"""A database with an outbox, a clock that tests move, and receivers: what the tests of this room stand on."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import psycopg

from alerts.receivers import PlainPost
from fault_seed import SEED
from sparktrends.alerts.channels import Channel, Tools, build
from sparktrends.alerts.dispatch import Policy, Surroundings, Worker
from sparktrends.model import MINUTE, SECOND, Alert, Resolution
from sparktrends.store.conditions import Conditions
from sparktrends.store.connect import connect
from sparktrends.store.deliveries import Limits, Outbox
from sparktrends.store.outbox import insert_alerts, resolve_alerts, retract_alerts

NOW = 1_800_000_000 * SECOND
"""The time at which every test begins, µs UTC."""


@dataclass
class World:
    """A migrated database, a clock that tests move, and what is written to the console."""

    dsn: str = field(repr=False)
    now: int = NOW
    console: list[str] = field(default_factory=list)
    random: random.Random = field(default_factory=lambda: random.Random(SEED))
    opened: list[Any] = field(default_factory=list)

    def clock(self) -> int:
        """The time of the test."""
        return self.now

    def later(self, seconds: float) -> None:
        """Move the clock."""
        self.now += int(seconds * SECOND)

    def alert(self, rule: str = "jump", minute: int = 0, **more: Any) -> Alert:
        """An alert of the bar that ended ``minute`` minutes ago."""
        usual = {"source": "binance", "symbol": "BTC/USD", "channels": ("console", "hook"), "values": {"z": 6.5}}
        start = self.now - (minute + 1) * MINUTE
        given = {"interval": "1m", "start": start, "severity": "warning", "title": "moved 5 %", **usual, **more}
        return Alert(rule, **given)

    def insert(self, *alerts: Alert, filled: tuple[str, ...] = ()) -> None:
        """Commit alerts now."""
        with connect(self.dsn) as connection, connection.cursor() as cursor:
            ids = {(a.source, a.symbol): self._series(cursor, a.source, a.symbol) for a in alerts}
            insert_alerts(cursor, alerts, ids, self.now, filled)

    def retract(self, *alerts: Alert) -> None:
        """Take alerts back now."""
        with connect(self.dsn) as connection, connection.cursor() as cursor:
            retract_alerts(cursor, [a.id for a in alerts], self.now)

    def resolve(self, *alerts: Alert, tell: bool = False) -> None:
        """Their condition ended at the bar after theirs."""
        over = [Resolution(a.rule, a.source, a.symbol, a.interval, a.start, a.start + MINUTE, tell) for a in alerts]
        with connect(self.dsn) as connection, connection.cursor() as cursor:
            resolve_alerts(cursor, "1m", over, {}, self.now)

    def judge_again(self, alert: Alert) -> None:
        """A revision finds that it goes on."""
        with connect(self.dsn) as connection, connection.cursor() as cursor:
            series = self._series(cursor, alert.source, alert.symbol)
            resolve_alerts(cursor, "1m", [], {series: alert.start}, self.now)

    def rows(self, statement: str, *words: Any) -> list[tuple[Any, ...]]:
        """What a statement finds."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement, words)
            return cursor.fetchall() if cursor.description else []

    def deliveries(self, channel: str = "hook") -> list[tuple[str, str]]:
        """(kind, state) of every delivery of a channel."""
        return self.rows("SELECT kind, state FROM core.deliveries WHERE channel = %s ORDER BY kind, alert", channel)

    def worker(self, channel: Channel, **limits: Any) -> Worker:
        """A loop to be stepped by hand."""
        return self._opened(Worker(channel, Policy(Limits(**limits), poll_s=5.0), self.around()))

    def around(self) -> Surroundings:
        """What comes in from outside."""
        return Surroundings(self.dsn, self.clock, self.random, "test")

    def conditions(self) -> Conditions:
        """The operational side."""
        return self._opened(Conditions(self.dsn))

    def outbox(self) -> Outbox:
        """The dispatcher's side."""
        return self._opened(Outbox(self.dsn))

    def channel(self, name: str, post: PlainPost | None = None, **block: str) -> Channel:
        """A channel of its settings."""
        tools = Tools(post or PlainPost(), self.clock, self.console.append)
        return next(made for made in build({name: block} if block else {}, tools) if made.name == name)

    def hook(self, port: int, post: PlainPost | None = None) -> Channel:
        """The webhook ``hook`` to a receiver."""
        address = f"http://127.0.0.1:{port}/hook"
        return self.channel("hook", post, kind="webhook", url=address, secret="a-shared-secret-0123")

    def channel_with_timeout(self, port: int, seconds: float) -> Channel:
        """The webhook with less patience than a test has."""
        return self.hook(port, PlainPost(seconds))

    def run(self, worker: Worker, seconds: float) -> None:
        """Step a worker through some seconds of the test's clock, never two steps at one time."""
        end = self.now + int(seconds * SECOND)
        while self.now < end:
            self.later(max(worker.step(), 0.001))

    @staticmethod
    def _series(cursor: Any, source: str, symbol: str) -> int:
        cursor.execute(
            "INSERT INTO core.series (source, symbol) VALUES (%s, %s) "
            "ON CONFLICT (source, symbol) DO UPDATE SET symbol = excluded.symbol RETURNING id",
            (source, symbol),
        )
        return int(cursor.fetchone()[0])

    def _opened(self, thing: Any) -> Any:
        self.opened.append(thing)
        return thing

    def close(self) -> None:
        """Close every connection."""
        for thing in self.opened:
            thing.close()
