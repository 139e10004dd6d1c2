"""Settings alone move the product to clusters, and what dies there costs nothing either."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

import pytest

from e2e.cluster import Cluster, cluster
from e2e.product import Product, until
from e2e.test_kills import check_nothing_lost_or_doubled, end, settle
from sparktrends.bus.admin import Admin
from sparktrends.ops import java
from sparktrends.ops.compiling import PARTS
from sparktrends.ops.jars import Resolver

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1500)]

LOAD = ("--source", "simulator", "--symbols", "50", "--rate", "1000")
START_S = 240.0
THIRD = """
import sys
from pathlib import Path
from sparktrends import spark
made = spark.session("third", spark.Settings(sys.argv[1], [], Path(sys.argv[2])))
try:
    spark.Executors(made, patience_s=5).wait()
finally:
    made.stop()
"""
"""An application for which nobody is left."""
SHARES = """
SELECT mod(partition, 2), sum(records)::bigint FROM core.ledger WHERE topic = 'raw.trades' GROUP BY 1 ORDER BY 1
"""


@pytest.fixture(scope="module")
def running(resolver: Resolver) -> Iterator[tuple[Cluster, Mapping[str, str]]]:
    with cluster(resolver) as found:
        yield found


@pytest.fixture
def both(running: tuple[Cluster, Mapping[str, str]]) -> Iterator[tuple[Cluster, Product]]:
    made, env = running
    with Product.fresh(env) as product:
        yield made, product


def test_the_death_of_any_part_of_a_cluster_loses_and_doubles_nothing(both: tuple[Cluster, Product]) -> None:
    made, product = both
    up = product.up(*LOAD)
    until(lambda: product.folded() > 2_000, START_S, lambda: product.log("stream")[-2000:])
    described = Admin(product.where().kafka)._describe(["raw.trades"])["raw.trades"]
    assert {len(partition.replicas) for partition in described.partitions} == {3}
    recovered: dict[str, float] = {}
    for name in ("broker-2", "worker-1", "master", "stream"):
        recovered[name] = seconds_to_go_on(made, product, name)
    print(json.dumps({"recovered_s": recovered}))
    settle(product)
    check_nothing_lost_or_doubled(product)
    end(product, up)


def test_two_shards_share_the_cluster_and_who_finds_nobody_is_told(both: tuple[Cluster, Product]) -> None:
    made, product = both
    # The two workers have a core each.
    with (product.folder / "sparktrends.toml").open("a") as file:
        file.write('\n[spark.conf]\n"spark.cores.max" = 1\n')
    product.run("migrate")
    product.run("prepare", *PARTS, seconds=300)
    before = dict(product.sql(SHARES))
    ingest = product.start("ingest", *LOAD)
    shards = [product.start("stream", "--shard", shard) for shard in ("1/2", "2/2")]

    def said() -> str:
        return "\n".join(command.err[-2000:] for command in (ingest, *shards))

    def moved() -> bool:
        shares = dict(product.sql(SHARES))
        return shares.keys() == {0, 1} and all(shares[of] > before.get(of, 0) + 1_000 for of in shares)

    until(moved, START_S, said)
    env = {**os.environ, **java.spark_env(made.resolver.java, os.environ)}
    argv = [sys.executable, "-c", THIRD, made.master, str(product.folder / "third")]
    third = subprocess.run(argv, env=env, cwd=product.folder, capture_output=True, text=True, timeout=120)
    assert "has given no executor for 5 s" in third.stderr, third.stderr[-3000:]
    assert ingest.stop(signal.SIGTERM) == 0, ingest.err[-3000:]
    product.wait_folded()
    for shard in shards:
        assert shard.stop(signal.SIGTERM) == 0, shard.err[-3000:]
    assert product.audit()["ok"]


def seconds_to_go_on(made: Cluster, product: Product, name: str) -> float:
    """Kill a part; how long it took until the ledger had 2,000 records more. What died is started again then."""
    stands, began = product.folded(), time.monotonic()
    if name == "stream":
        product.kill(name)
    else:
        made.kill(name)
    until(lambda: product.folded() > stands + 2_000, START_S, lambda: f"{name}: {product.log('stream')[-3000:]}")
    took = round(time.monotonic() - began, 1)
    if name != "stream":
        made.start(name)
    return took
