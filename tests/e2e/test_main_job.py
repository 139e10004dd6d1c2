"""The main job: a recording at full speed through the whole product, and what a person can then ask of it."""

# ruff: noqa: S608 - statements of this file, put together from its own constants
from __future__ import annotations

import contextlib
import io
import os
import re
import socket
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import psutil
import psycopg
import pytest

from e2e.product import Command, Product, until
from sparktrends.ops import jars
from sparktrends.ops.home import Home
from sparktrends.sources.replay import DEMO_MEMBER

pytestmark = pytest.mark.e2e

RECORDS, TRADES, PRICES, BARS, EMPTY = 100_000, 99_982, 18, 9_399, 204
WHOLE = ("trades", "bars", "signals", "alerts", "quarantined", "late", "lag_s", "processes")
KEY = "source = 'bitstamp~replay' AND symbol = 'BTC/USD' AND interval = '1m'"


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with Product.fresh() as made:
        yield made


@pytest.fixture(scope="module")
def first(product: Product) -> dict[str, Any]:
    """The summary of a run that ended by itself."""
    return product.run("up", "--speed", "max", "--exit-when-done", "--json", seconds=180).json()


@pytest.fixture(scope="module")
def command(product: Product, first: dict[str, Any]) -> Iterator[Command]:
    """The same command in the same home, running on; the ports that broker and database had are somebody else's, and a
    `.env` still names them."""
    own = {name: product.wanted[name] for name in ("kafka", "postgres")}
    written = {
        "KAFKA_BOOTSTRAP": f"127.0.0.1:{own['kafka']}",
        "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_PORT": own["postgres"],
        "POSTGRES_USER": "sparktrends_reader",
        "POSTGRES_PASSWORD": Home.open(product.home).secrets().reader,
    }
    (product.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in written.items()))
    (product.folder / ".env").chmod(0o600)
    with contextlib.ExitStack() as squatting:
        for number in own.values():
            squatter = squatting.enter_context(socket.socket())
            # Connections that a part ended linger on its port for a minute; nobody listens there.
            squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            squatter.bind(("127.0.0.1", number))
            squatter.listen()
        made = product.up("--speed", "max")
        until(lambda: product.pid("stream") and not product.pid("ingest"), 120, lambda: product.log("ingest"))
    yield made
    assert made.stop() == 0
    assert "Traceback" not in made.err
    assert not product.processes()


@pytest.fixture(scope="module")
def second(product: Product, command: Command) -> Product:
    """The home in which that command runs."""
    return product


@pytest.fixture(scope="module")
def trades(resolver: jars.Resolver) -> pl.DataFrame:
    """The recording as it lies in the jar: ts in seconds, price and amount as text; row is its place."""
    (jar,) = resolver.ensure([jars.DEMO])[jars.DEMO]
    content = zipfile.ZipFile(jar).read(DEMO_MEMBER)
    frame = pl.read_csv(io.BytesIO(content), infer_schema=False).with_row_index("row")
    return frame.with_columns(pl.col("timestamp").cast(pl.Int64))


def expected_bars(trades: pl.DataFrame) -> list[tuple[Any, ...]]:
    """start (minutes since 1970), open, high, low, close, volume, turnover, trades: by Polars, from the file alone."""
    digits = pl.Decimal(38, 12)
    frame = (
        trades.with_columns(pl.col("price").cast(digits), pl.col("amount").cast(digits))
        .filter(pl.col("amount") > 0)
        # 24 decimals do not fit into Polars' products: whole units do, as text they stay exact.
        .with_columns(
            turnover=pl.struct("price", "amount").map_elements(
                lambda r: str(r["price"] * r["amount"]), return_dtype=pl.String
            )
        )
        .sort("timestamp", "row")
        .group_by(minute=pl.col("timestamp") // 60, maintain_order=True)
        .agg(
            open=pl.col("price").first(),
            high=pl.col("price").max(),
            low=pl.col("price").min(),
            close=pl.col("price").last(),
            volume=pl.col("amount").sum(),
            turnover=pl.col("turnover"),
            trades=pl.len(),
        )
        .sort("minute")
    )
    return [(*row[:6], sum(map(Decimal, row[6]), Decimal()), row[7]) for row in frame.iter_rows()]


def test_the_summary_counts_exactly_what_was_recorded(first: dict[str, Any], trades: pl.DataFrame) -> None:
    sizes = trades["amount"].cast(pl.Float64)
    assert (len(trades), (sizes > 0).sum(), (sizes == 0).sum()) == (RECORDS, TRADES, PRICES)
    assert {name: first[name] for name in ("trades", "bars", "late", "quarantined", "behind", "lag_s")} == {
        "trades": TRADES, "bars": BARS, "late": 0, "quarantined": 0, "behind": 0, "lag_s": 0,
    }  # fmt: skip
    assert first["seconds"] > first["storing_s"] > 0
    assert first["new_trades"] == first["trades"]
    assert first["trades_per_s"] > 0


def test_after_its_end_nothing_runs(product: Product, first: dict[str, Any]) -> None:
    assert not product.processes()
    assert "nothing runs" in product.run("status", code=3).sentence()
    assert "nothing runs" in product.run("down").out


def test_a_taken_port_is_replaced_and_said(product: Product, command: Command) -> None:
    taken = product.wanted["postgres"]
    assert f"port {taken} is taken: postgres listens on" in command.err
    assert product.where().database.port != taken


def test_a_second_up_in_the_same_home_is_refused(second: Product, command: Command) -> None:
    refused = second.run("up", code=1, seconds=60).sentence()
    assert refused.startswith(f"sparktrends: {second.home} is in use by process {command.process.pid}: stop it")
    assert second.pid("stream")
    assert second.pid("kafka")


def test_stored_bars_are_those_that_polars_makes_of_the_file(second: Product, trades: pl.DataFrame) -> None:
    stored = second.sql(
        "SELECT (extract(epoch FROM start) / 60)::bigint, open, high, low, close, volume, turnover, trades, vwap,"
        f" state, revision, origin FROM market.bars WHERE {KEY} AND trades > 0 ORDER BY start",
        reader=True,
    )
    assert [row[:8] for row in stored] == expected_bars(trades)
    assert {row[9:] for row in stored} == {("final", 0, "trades")}
    assert all(abs(row[8] * row[5] - row[6]) <= row[5] * Decimal("0.5e-18") for row in stored)


def test_a_minute_without_a_trade_is_a_row_that_says_so(second: Product) -> None:
    empty = second.sql(
        "SELECT DISTINCT open, high, low, close, vwap, volume, state, reason FROM market.bars"
        f" WHERE {KEY} AND trades = 0"
    )
    assert empty == [(None, None, None, None, None, Decimal(0), "final", "no_trade")]
    counted = second.sql(f"SELECT count(*), min(start), max(start) FROM market.bars WHERE {KEY} AND trades = 0")[0]
    assert counted[0] == EMPTY
    assert datetime(2013, 11, 25, tzinfo=UTC) < counted[1] < counted[2] < datetime(2013, 12, 2, tzinfo=UTC)


def test_a_second_start_publishes_nothing_again(second: Product, first: dict[str, Any]) -> None:
    second.wait_folded()
    # The ingest process ends by itself when its recording is through: then nothing more can come.
    until(lambda: second.pid("stream") and not second.pid("ingest"), 60, "the recording does not end")
    assert second.published() == first["published"]
    assert second.log("ingest").count('"published": 0, ') == 1
    assert second.log("ingest").count(f'"published": {RECORDS}, ') == 1


def test_the_audit_is_clean_and_has_seen_every_record(second: Product, first: dict[str, Any]) -> None:
    report = second.audit()
    assert report["ok"]
    assert report["counts"] == {
        "trades": TRADES, "prices": PRICES, "heartbeats": first["published"] - RECORDS,
        "bars": 0, "late": 0, "quarantined": 0,
    }  # fmt: skip
    assert report["bars_checked"] == BARS + EMPTY
    assert sum(span["records"] for span in report["spans"]) == first["published"]


def test_an_altered_a_dropped_and_a_doubled_row_are_named(second: Product) -> None:
    minutes = ["2013-11-26 10:00+00", "2013-11-27 11:00+00", "2013-11-28 12:00+00"]
    altered, dropped, doubled = minutes
    kept = "CREATE TABLE core.kept AS SELECT * FROM core.bars WHERE interval = '1m' AND start = ANY(%s::timestamptz[])"
    second.sql(kept, minutes)
    # A row cannot be there twice with the key in place: what a broken index would let in is tried without it.
    second.sql("ALTER TABLE core.bars DROP CONSTRAINT bars_pkey")
    second.sql("UPDATE core.bars SET close = close + 0.000000000001 WHERE interval = '1m' AND start = %s", altered)
    second.sql("DELETE FROM core.bars WHERE interval = '1m' AND start = %s", dropped)
    second.sql("INSERT INTO core.bars SELECT * FROM core.bars WHERE interval = '1m' AND start = %s", doubled)
    try:
        report = second.audit(code=1)
    finally:
        second.sql("DELETE FROM core.bars WHERE interval = '1m' AND start = ANY(%s::timestamptz[])", minutes)
        second.sql("INSERT INTO core.bars SELECT * FROM core.kept")
        second.sql("DROP TABLE core.kept")
        second.sql("ALTER TABLE core.bars ADD CONSTRAINT bars_pkey PRIMARY KEY (series, interval, start)")
    told = "\n".join(f"{finding['kind']} {finding['key']}" for finding in report["findings"])
    assert report["findings_total"] == len(minutes), told
    assert all(minute[:16] in told.replace("T", " ") for minute in minutes), told


def test_status_says_in_whole_numbers_what_runs(second: Product) -> None:
    second.wait_folded()
    status = second.run("status", "--json").json()
    assert all(type(status[name]) is int for name in WHOLE)
    assert (status["trades"], status["bars"], status["lag_s"]) == (TRADES, BARS, 0)
    running = {process["name"] for process in status["process_list"] if process["running"]}
    assert {"kafka", "postgres", "stream"} <= running
    assert status["processes"] == len(running)
    assert f"{TRADES:,} trades in {BARS:,} bars" in second.run("status").out


def test_env_names_the_running_stack(second: Product) -> None:
    values = dict(line.split("=", 1) for line in second.run("env").out.splitlines())
    assert re.fullmatch(r"127\.0\.0\.1:\d+", values["KAFKA_BOOTSTRAP"])
    assert values["POSTGRES_USER"] == "sparktrends_reader"
    with psycopg.connect(
        host=values["POSTGRES_HOST"],
        port=values["POSTGRES_PORT"],
        dbname=values["POSTGRES_DB"],
        user=values["POSTGRES_USER"],
        password=values["POSTGRES_PASSWORD"],
    ) as connection:
        assert connection.execute(f"SELECT count(*) FROM bars WHERE {KEY} AND trades > 0").fetchone() == (BARS,)
    owner = dict(line.split("=", 1) for line in second.run("env", "--owner").out.splitlines())
    assert owner["POSTGRES_USER"] == "sparktrends"
    assert owner["POSTGRES_PASSWORD"] != values["POSTGRES_PASSWORD"]


def test_addresses_of_this_home_in_a_dotenv_are_still_embedded(second: Product, command: Command) -> None:
    moved = second.record["postgres_port"], second.record["kafka"]
    assert moved[0] != second.wanted["postgres"]
    assert moved[1] != f"127.0.0.1:{second.wanted['kafka']}"
    assert f"KAFKA_BOOTSTRAP=127.0.0.1:{second.wanted['kafka']} is where this home's broker was" in command.err
    assert (second.folder / ".env").exists()
    assert second.run("status", "--json").json()["trades"] == TRADES
    (second.folder / ".env").write_text(second.run("env").out)
    (second.folder / ".env").chmod(0o600)
    try:
        assert second.run("status", "--json").json()["trades"] == TRADES
    finally:
        (second.folder / ".env").unlink()


def test_the_reader_sees_market_and_nothing_else(second: Product) -> None:
    seen = second.sql(
        "SELECT DISTINCT table_schema FROM information_schema.table_privileges"
        " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')",
        reader=True,
    )
    assert seen == [("market",)]
    for statement in (
        "SELECT * FROM core.bars",
        "SELECT * FROM raw.payloads",
        "SELECT * FROM core.ledger",
        "SELECT core.ensure_month('bars', '2013-11-01')",
        "CREATE TABLE public.mine (a int)",
        "SET default_transaction_read_only = off; DELETE FROM core.bars",
    ):
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)):
            second.sql(statement, reader=True)


def test_psql_topics_and_checks_say_that_all_is_well(second: Product) -> None:
    # What the shell says of other databases is not meant for this one.
    foreign = {"PGSERVICE": "of somebody else", "PGSSLMODE": "require", "PGHOSTADDR": "192.0.2.1"}
    asked = second.run("psql", "-Atc", f"SELECT count(*) FROM bars WHERE {KEY} AND trades > 0", env=foreign)
    assert asked.out.strip() == str(BARS)
    assert second.run("topics", "--json").json() == {"applied": False, "changes": []}
    for what in ("kafka", "database", "stream"):
        assert second.run("check", what, "--json").json() == {"check": what, "ok": True, "problem": ""}
    assert second.run("check", "ingest", "--json", code=1).json()["problem"]


def test_everything_listens_on_loopback_only(second: Product) -> None:
    listening = set()
    for process in second.processes():
        with contextlib.suppress(psutil.NoSuchProcess):  # a backend of the database comes and goes
            listening |= {c.laddr.ip for c in process.net_connections("inet") if c.status == "LISTEN"}
    assert listening
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_no_password_is_on_a_command_line_or_in_a_log(second: Product) -> None:
    where = second.where().database
    words = ""
    for process in second.processes():
        with contextlib.suppress(psutil.NoSuchProcess):  # a backend of the database comes and goes
            words += " ".join(process.cmdline())
    logs = "".join(file.read_text(errors="replace") for file in (second.home / "logs").iterdir() if file.is_file())
    for secret in (where.owner_password, where.reader_password):
        assert len(secret) >= 16
        assert secret not in words + logs


def test_a_restarted_part_is_another_process_and_the_bars_stay(second: Product) -> None:
    before = second.pid("postgres")
    assert "was restarted" in second.run("restart", "postgres").out
    assert second.pid("postgres") not in (None, before)
    assert second.run("restart", "nothing", code=1).err.startswith("sparktrends: no part is called nothing")
    assert os.path.exists(second.home / "run" / "stack.json")


@pytest.mark.slow
def test_the_readmes_command_shows_a_recording_and_twenty_simulated_symbols_until_down() -> None:
    series = "SELECT source, count(DISTINCT symbol) FROM market.bars WHERE state = 'forming' GROUP BY source ORDER BY 1"
    with Product.fresh() as product:
        up = product.up()
        wanted = [("bitstamp~replay", 1), ("simulator~sim", 20)]
        until(lambda: product.sql(series) == wanted, 180, lambda: product.log("stream")[-2000:])
        assert product.run("status", "--json").json()["disk_used_bytes"] > 10e6
        assert product.run("down").err == ""
        assert up.wait() == 0, up.err
        assert not product.processes()


@pytest.mark.slow
def test_a_parquet_of_bars_is_taken_over_as_it_is() -> None:
    start, cents = datetime(2024, 1, 1, tzinfo=UTC), ("2", "9", "1", "5")
    rows = [
        (start + timedelta(minutes=n), *(Decimal(f"{100 + n}.{each}") for each in cents), Decimal("2.5"))
        for n in range(300)
    ]
    names = ("start", "open", "high", "low", "close", "volume")
    stored = f"SELECT {', '.join(names)} FROM market.bars WHERE interval = '1m' ORDER BY start"
    with Product.fresh() as product:
        pl.DataFrame(rows, schema=names, orient="row").write_parquet(product.folder / "minutes.parquet")
        up = product.up("--source", "minutes.parquet", "--speed", "max")
        until(lambda: len(product.sql(stored)) == len(rows), 120, lambda: product.log("stream")[-2000:])
        assert product.sql(stored) == rows
        assert up.stop() == 0, up.err
