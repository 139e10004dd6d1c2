"""The jobs of the daily run, each killed while it writes and run again: the tables of a day that nobody disturbed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
import pytest

from batch.test_flatten import COMPANY, company, kline
from batch.test_tag import NOON_S, YESTERDAY
from batch.world import finnhub_story, news_request, store_payloads
from e2e.product import Product, services, until
from sparktrends.ops import jars

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

JOBS = (
    ("core.readings", ("flatten", "--wait", "180")),
    ("core.mentions", ("sentiment",)),
    ("core.days_told", ("trends", "--date", str(YESTERDAY))),
    ("core.days_told", ("report", "--date", str(YESTERDAY))),
)
"""Each job behind a table that its transaction comes to last, or nearly: who holds it stops the job in the middle."""
TABLES = (
    *("core.news", "core.mentions", "core.story_ids", "core.companies", "core.readings", "core.payload_rejects"),
    *("core.known_news", "market.daily_prices", "market.metrics", "core.daily_trends", "core.alerts"),
    "core.deliveries",
)
TIMES = ["updated_at", "known_at", "scored_at", "created_at", "due_at", "correlation"]
"""What tells one run of the same work from another."""
HELD_UP = "SELECT pid FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid)) AND backend_xid IS NOT NULL"
"""Who has written something, has not committed it, and waits for this connection."""


def test_jobs_that_were_killed_while_they_wrote_make_the_same_tables(resolver: jars.Resolver) -> None:
    undisturbed, killed = (day(resolver, kill=kill) for kill in (False, True))
    assert all(undisturbed.values()), undisturbed
    assert killed == undisturbed


def day(resolver: jars.Resolver, *, kill: bool) -> Mapping[str, Any]:
    """A day from its answers to its report; with ``kill`` each job is first killed in the middle."""
    with Product.fresh() as product, services(product, resolver):
        give_answers(product)
        for table, words in JOBS:
            if kill:
                before = rows(product)
                kill_while_it_writes(product, table, *words)
                assert rows(product) == before
            if words[0] == "flatten":  # not before: bars that the killed job sent may come twice
                product.start("stream")
            product.run("batch", *words, seconds=300)
        reports = {file.suffix: file.read_text() for file in (product.home / "reports").iterdir()}
        return {**rows(product), **reports}


def give_answers(product: Product) -> None:
    days = range(-60, 0)
    store_payloads(
        product.where().owner_dsn,
        ("binance", {"symbol": "BTC/USDT"}, [kline(n, str(9 + n % 3)) for n in days]),
        ("binance", {"symbol": "ETH/USDT"}, [kline(n, str(9 + n % 2)) for n in days]),
        ("finnhub", COMPANY, company()),
        ("finnhub", news_request("BTC/USD"), [finnhub_story(1, "Bitcoin jumps on record profit", NOON_S), {"id": 2}]),
    )


def kill_while_it_writes(product: Product, table: str, *words: str) -> None:
    """Type the command, and kill it when its transaction has written and waits for ``table``."""
    with psycopg.connect(product.where().owner_dsn) as holder:
        holder.execute(f"LOCK TABLE {table} IN SHARE MODE")
        command = product.start("batch", *words)
        here = holder.info.backend_pid
        until(lambda: product.ask(HELD_UP, here) or command.process.poll() is not None, 180, lambda: command.err)
        pid = product.ask(HELD_UP, here)
        command.process.kill()
        assert command.wait() == -9, command.out + command.err
    gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = %s"
    until(lambda: product.ask(gone, pid), 60, "the database has not noticed that the job is dead")


def rows(product: Product) -> dict[str, list[Any]]:
    told = "SELECT (to_jsonb(t) - %s::text[])::text FROM {} t ORDER BY 1"
    return {table: product.sql(told.format(table), TIMES) for table in TABLES}
