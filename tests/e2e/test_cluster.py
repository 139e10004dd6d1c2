"""Settings alone move the product to clusters, and what dies there costs nothing either."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from e2e.cluster import Cluster, cluster
from e2e.product import Product, until
from e2e.test_kills import check_nothing_lost_or_doubled, end, settle
from sparktrends.bus.admin import Admin
from sparktrends.ops.jars import Resolver

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1500)]

LOAD = ("--source", "simulator", "--symbols", "50", "--rate", "1000")
START_S = 240.0


@pytest.fixture
def both(resolver: Resolver) -> Iterator[tuple[Cluster, Product]]:
    with cluster(resolver) as (made, env), Product.fresh(env) as product:
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
