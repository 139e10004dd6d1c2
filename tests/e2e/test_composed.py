"""Every service of the Compose files that can be had here, run for real: its command, its check, what it is given."""

from __future__ import annotations

import json
import re
import secrets
import signal
from typing import Any

import pytest

from e2e.composed import BASE, CLUSTER, PRODUCTION, ROOT, Machine, asked, machine
from e2e.product import until
from sparktrends.ops.jars import Resolver

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200)]

OURS = ("ingest", "runner", "alerts", "follow", "api", "dashboard")
FOLDED = "SELECT coalesce(sum(records), 0) FROM core.ledger"
BARS_OF = "SELECT count(*) FROM market.bars WHERE symbol = '{}'"
PACKED = ("zstd", "snappy", "gzip", "lz4")
PUBLISH = """
import json, sys, time
from confluent_kafka import Producer
where, *kinds = sys.argv[1:]
for kind in kinds:
    producer = Producer({"bootstrap.servers": where, "compression.type": kind})
    now = time.time_ns() // 1000
    trade = {"source": "packed~sim", "symbol": kind, "ts": now, "price": "1", "size": "1", "note": "packed " * 50}
    for number in range(10):
        producer.produce("raw.trades", json.dumps({**trade, "id": str(number)}), kind)
    assert producer.flush(60) == 0, kind
"""
"""Publishes to a broker a symbol for each way of packing: small records are sent as they are if that is shorter."""
ENTERED = "SELECT usename FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE client_addr IS NOT NULL AND {} ssl"


def told(*files: str) -> dict[str, str]:
    """A `.env` as docs/cluster.md has it filled in."""
    return {**{name: secrets.token_hex(24) for name in asked(*files)}, "KAFKA_CLUSTER_ID": CLUSTER}


def scraped(of: Machine) -> dict[str, str]:
    """What Prometheus says of each of our processes."""
    targets = json.loads(of.fetch("http://127.0.0.1:9090/api/v1/targets") or '{"data": {"activeTargets": []}}')
    return {target["labels"]["process"]: target["health"] for target in targets["data"]["activeTargets"]}


def showing(of: Machine, metric: str) -> list[str]:
    """The processes of which Prometheus has a metric."""
    said = json.loads(of.fetch(f"http://127.0.0.1:9090/api/v1/query?query={metric}") or '{"data": {"result": []}}')
    return [series["metric"]["process"] for series in said["data"]["result"]]


@pytest.mark.parametrize("files", [(BASE,), (BASE, PRODUCTION)], ids=["one machine", "production"])
def test_services_start_as_the_files_say_and_do_their_work(files: tuple[str, ...], resolver: Resolver) -> None:
    with machine(resolver, told(*files), *files) as of:
        for name in (*OURS, "spark-worker", "prometheus"):
            of.start(name)
        for name in (*OURS, "spark-worker", "prometheus"):
            of.wait_healthy(name)
        until(lambda: int(of.ask(FOLDED).stdout) > 1_000, 240, lambda: of.running["runner"].err[-4000:])
        until(lambda: set(scraped(of).values()) == {"up"}, 60, lambda: scraped(of))
        assert scraped(of).keys() == {"ingest", "stream", "alerts", "batch", "api", "dashboard"}
        for metric in ("sparktrends_lag_seconds", "sparktrends_disk_free_bytes"):
            until(lambda: showing(of, metric) == ["alerts"], 60, lambda: showing(of, metric))  # noqa: B023
        assert json.loads(of.fetch("http://spark-master:8081/json/"))["aliveworkers"] == 1
        assert "SIM" in of.fetch("http://127.0.0.1:8000/api/v1/symbols")
        executors_keep_quiet(of)
        the_master_comes_back(of)
        if PRODUCTION not in files:
            records_may_be_packed(of)
        assert not of.inside("kafka", "**/*gc.log*")
        if PRODUCTION in files:
            only_with_tls(of)
            assert "Kafka Server started" in of.running["kafka"].out
            assert not of.inside("kafka", "logs/*")
            a_password_is_changed(of)
        audit = of.run("setup", "audit", "--json")
        assert json.loads(audit.stdout)["ok"], audit.stdout + audit.stderr
        for name in OURS:
            # The grace that Compose gives them is what the files say.
            grace = float(of.of[name]["stop_grace_period"].removesuffix("s"))
            assert of.running[name].stop(signal.SIGTERM, grace) == 0, of.running[name].err[-4000:]
            assert not of.healthy(name)


def executors_keep_quiet(of: Machine) -> None:
    """What they log lies in memory: they tell how they began, and nothing of each batch."""
    folded = int(of.ask(FOLDED).stdout)
    said = [file.stat().st_size for file in of.inside("spark-worker", "work/*/*/stderr")]
    assert said
    until(lambda: int(of.ask(FOLDED).stdout) > folded + 1_000, 60, "nothing is folded")
    files = of.inside("spark-worker", "work/*/*/stderr")
    assert [file.stat().st_size for file in files] == said, [file.read_text()[-3000:] for file in files]


def the_master_comes_back(of: Machine) -> None:
    """It knows its worker and the application again: the executors that were there go on."""
    executors = of.inside("spark-worker", "work/*/*/stderr")
    of.restart("spark-master")
    of.wait_healthy("spark-master")
    until(lambda: master(of)["status"] == "ALIVE" and master(of)["activeapps"], 60, lambda: master(of))
    folded = int(of.ask(FOLDED).stdout)
    until(lambda: int(of.ask(FOLDED).stdout) > folded + 1_000, 60, lambda: of.running["runner"].err[-4000:])
    assert of.inside("spark-worker", "work/*/*/stderr") == executors


def master(of: Machine) -> dict[str, Any]:
    """What the master says of itself."""
    said: dict[str, Any] = json.loads(of.fetch("http://spark-master:8081/json/"))
    return said


def records_may_be_packed(of: Machine) -> None:
    """However a producer packs its records, broker and executors can read them."""
    of.python(PUBLISH, "kafka:9092", *PACKED)
    for kind in PACKED:
        until(lambda: int(of.ask(BARS_OF.format(kind)).stdout), 60, lambda: of.running["runner"].err[-4000:])  # noqa: B023


def a_password_is_changed(of: Machine) -> None:
    """As docs/cluster.md says it, for one account of the broker: the new one opens it, the old one does not."""
    written = re.search(r"exec -T kafka sh -euc '(.+?)' sh", (ROOT / "docs" / "cluster.md").read_text(), re.DOTALL)
    assert written
    told = of.of["ingest"]["environment"]
    old, new = told["KAFKA_SASL_PASSWORD"], secrets.token_hex(24)
    done = of.enter("kafka", "sh", "-euc", written[1], "sh", "ingest", said=f"{new}\n")
    assert done.returncode == 0, done.stdout + done.stderr
    refused = of.run("ingest", "check", "kafka")
    assert "does not accept this account" in refused.stdout + refused.stderr, refused.stdout + refused.stderr
    assert old not in refused.stdout + refused.stderr
    told["KAFKA_SASL_PASSWORD"] = new
    # Once inside, it is told which topics there are; those that this account may not see are missing to it.
    entered = of.run("ingest", "check", "kafka")
    assert "out.bars" in entered.stdout, entered.stdout + entered.stderr


def only_with_tls(of: Machine) -> None:
    """Who is in the database came over TLS and with an account of its own, and nobody gets in without."""
    entered = set(of.ask(ENTERED.format("")).stdout.split())
    assert entered >= {f"sparktrends_{name}" for name in ("stream", "alerts", "batch", "reader")}
    assert of.ask(ENTERED.format("NOT")).stdout == ""
    refused = of.ask("SELECT 1", sslmode="disable")
    assert "no encryption" in refused.stderr
    authority = of.folder / "certificates" / "ca.crt"
    named = {"sslmode": "verify-full", "sslrootcert": str(authority)}
    assert of.ask("SELECT 1", **named).stdout == "1\n"
    assert "does not match host name" in of.ask("SELECT 1", host="127.0.0.1", **named).stderr
