"""A migrated database with a small market in it, an API on it, and a server where sockets are needed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from sparktrends.model import stable_id
from sparktrends.serve.api import Api, ApiConfig
from sparktrends.serve.api.server import Server
from sparktrends.telemetry import Clock, system_clock

START = datetime(2024, 5, 1, tzinfo=UTC)
SERIES = [("binance", "BTC/USD"), ("binance", "ETH/USD"), ("demo~sim", "BTC/USD")]
HOSTILE = '=HYPERLINK("http://x")<script>alert(1)</script>'


@dataclass
class World:
    """The database (``owner`` may do everything, ``reader`` is the product's) and what a test puts into it."""

    owner: str = field(repr=False)
    reader: str = field(repr=False)
    commits: dict[str, int] = field(default_factory=dict)

    def run(self, statement: str, *words: Any) -> list[tuple[Any, ...]]:
        """What a statement finds."""
        with psycopg.connect(self.owner, autocommit=True) as connection:
            cursor = connection.execute(statement, words)
            return cursor.fetchall() if cursor.description else []

    def config(self, **more: Any) -> ApiConfig:
        """The API's, on a free port."""
        return ApiConfig(self.reader, self.owner, **{"port": 0, "rate": 1e6, "burst": 1e6, **more})

    def market(self, minutes: int = 30) -> None:
        """Bars of each series, metrics of the first, two signals and an alert."""
        self.run("SELECT core.ensure_month(t, '2024-05-01') FROM unnest(ARRAY['bars', 'metrics']) t")
        self.run(
            "INSERT INTO core.series (source, symbol) SELECT * FROM unnest(%s::text[], %s::text[])",
            [s for s, _ in SERIES],
            [s for _, s in SERIES],
        )
        for number in (1, 2, 3):
            self.run(_STATE, number)
            self.run(_BARS, number, START, minutes)
        self.run(_METRICS)
        for name, retracted in (("price_move", None), ("gone", START)):
            self.signal(stable_id(name), name, retracted)
        self.run(
            "INSERT INTO core.alerts (id, rule, series, start, severity, title, channels) "
            "VALUES (%s, 'jump', 1, %s, 'warning', %s, '{console}')",
            stable_id("alert"),
            START,
            HOSTILE,
        )

    def signal(self, id_: str, name: str = "price_move", retracted: datetime | None = None) -> None:
        """One signal of the first series."""
        self.run(
            "INSERT INTO core.signals VALUES (%s, 1, '1m', %s, 'anomaly', %s, 'up', 6.5, 'warning', "
            "'{\"z\": 6.5}', now(), %s)",
            id_,
            START,
            name,
            retracted,
        )

    def commit(self, keys: list[tuple[int, int]], shard: str = "1/1", signals: tuple[str, ...] = ()) -> int:
        """One commit that changed (series, minute) bars: each becomes one trade richer."""
        number = self.commits[shard] = self.commits.get(shard, 0) + 1
        starts = [int((START + timedelta(minutes=minute)).timestamp()) * 1_000_000 for _, minute in keys]
        series = [s for s, _ in keys]
        with psycopg.connect(self.owner) as connection:
            connection.execute(_TOUCH, {"series": series, "starts": starts})
            connection.execute(
                "INSERT INTO core.shards VALUES (%s, %s) ON CONFLICT (shard) DO UPDATE SET commit = excluded.commit",
                (shard, number),
            )
            connection.execute(
                "INSERT INTO core.changes VALUES (%s, %s, clock_timestamp(), %s, %s, %s, %s)",
                (shard, number, series, ["1m"] * len(keys), starts, list(signals)),
            )
            connection.execute("SELECT pg_notify('sparktrends_changes', %s)", (f"{shard}:{number}",))
        return number


_STATE = """
INSERT INTO core.series_state (series, version, clock, first_minute, last_minute) VALUES (%s, 1, 1, 1, 1)
"""
_BARS = """
INSERT INTO core.bars (series, interval, start, open, high, low, close, volume, turnover, vwap, trades, after_final,
    statuses, state, updated_at)
SELECT %s, '1m', %s + n * interval '1 minute', 100.5, 101, 99.000000000000000001, 100 + n, 2.50, 251.25, 100.5, 3,
    0, 1, 'final', now()
FROM generate_series(0, %s - 1) n
"""
_METRICS = """
INSERT INTO core.metrics (series, interval, start, rsi_14, sma_20, warm, revision, final, updated_at)
SELECT series, interval, start, 55.5, 'NaN', true, 0, true, now() FROM core.bars WHERE series = 1
"""
_TOUCH = """
UPDATE core.bars b SET trades = trades + 1, updated_at = clock_timestamp()
FROM unnest(%(series)s::integer[], %(starts)s::bigint[]) AS k(series, start)
WHERE b.series = k.series AND b.interval = '1m' AND b.start = core.at(k.start)
"""


_STAND = """
UPDATE core.series_state SET updated_at = now(), last_minute = (extract(epoch FROM %(start)s::timestamptz
    + interval '29 minutes') * 1000000)::bigint, clock = (extract(epoch FROM now()) * 1000000)::bigint
WHERE series <= 3
"""


def stand(world: World) -> None:
    """The first series' feed is dead, the second's exchange closed, the third's market quiet."""
    with psycopg.connect(world.owner, autocommit=True) as connection:
        connection.execute(_STAND, {"start": START})
    newest = START + timedelta(minutes=29)
    for number, reason in ((1, "feed_stale"), (3, "no_trade")):
        world.run("UPDATE core.bars SET reason = %s WHERE series = %s AND start = %s", reason, number, newest)
    world.run("INSERT INTO core.gaps VALUES (2, %s, %s, 'closed')", newest, newest + timedelta(minutes=1))


@contextmanager
def serving(world: World, clock: Clock = system_clock, **more: Any) -> Iterator[tuple[Api, str]]:
    """An API on a socket: (it, its address)."""
    config = world.config(**more)
    api = Api(config, clock)
    server = Server(api.app, config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield api, f"http://127.0.0.1:{server.port}"
    finally:
        api.close()
        server.stop()
        thread.join(60)
