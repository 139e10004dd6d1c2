"""Both images, built from the Dockerfiles without a container engine, and what runs in them."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer

from e2e.images import APP, DATA, HOME, OWNED, OWNER, SPARK, Images, built
from e2e.product import Product, services, until
from sparktrends import __version__
from sparktrends.ops import ports
from sparktrends.ops.jars import Resolver
from sparktrends.ops.ports import LOOPBACK
from sparktrends.ops.supervise import tied

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(3600)]

SPARKTRENDS = "/opt/venv/bin/sparktrends"
DEMO = ("up", "--no-pages", "--speed", "max", "--exit-when-done", "--json")
TRADES, BARS = 99_982, 9_399
PACKED = ("zstd", "snappy")


@pytest.fixture(scope="module")
def images() -> Iterator[Images]:
    with built() as made:
        yield made


def test_the_application_knows_itself_and_is_nobody_special(images: Images) -> None:
    assert __version__ in images.run(APP, SPARKTRENDS, "--version")
    assert images.run(APP, "/usr/bin/id").startswith("uid=65532(")
    assert json.loads(images.run(APP, SPARKTRENDS, "doctor", "--json"))["ok"]
    rules = (
        'printf \'[[rule]]\nname = "dear"\nwhen = "close > 100"\n\' > rules.toml && sparktrends rules check rules.toml'
    )
    assert images.run(APP, "/bin/sh", "-c", rules) == "rules.toml: every rule is good"


def test_the_application_plays_the_demo(images: Images) -> None:
    summary = json.loads(images.run(APP, SPARKTRENDS, *DEMO, seconds=900))
    assert (summary["trades"], summary["bars"], summary["quarantined"]) == (TRADES, BARS, 0)


def test_nothing_of_this_machine_is_in_an_image(images: Images) -> None:
    for image in (APP, SPARK):
        # Sources and settings of the build lie in its first stage; the user's folder is made by us.
        found = images.run(image, "/bin/sh", "-c", "for it in /etc/pip.conf /src; do test ! -e $it || echo $it; done")
        assert found == ""


def test_somebody_elses_image_is_given_the_folder_of_its_user(images: Images) -> None:
    assert images.run(OWNED, "/usr/bin/stat", "-c", "%u:%g", DATA) == OWNER
    assert images.run(OWNED, "/usr/bin/id", "-u") == OWNER.partition(":")[0]


def test_what_spark_runs_is_what_a_start_checks(images: Images) -> None:
    links = images.run(SPARK, "/bin/sh", "-c", "find /opt/spark/jars/ -type l -name '*kafka*' -exec readlink -e {} +")
    assert "spark-sql-kafka" in links
    assert all(place.startswith("/opt/cache/") for place in links.splitlines())


@contextmanager
def running(argv: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(tied(argv), stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.kill()  # unshare is deaf to being asked; its child dies with it
        process.wait(60)


def test_the_runner_folds_on_a_cluster_of_its_image_and_writes_no_root(
    images: Images, tmp_path: Path, resolver: Resolver
) -> None:
    port, page = ports.any_free(), ports.any_free()
    env = {"SPARK_LOCAL_IP": LOOPBACK, "SPARK_LOCAL_DIRS": "/tmp/spark"}
    master = f"spark://{LOOPBACK}:{port}"
    deploy = ["/opt/spark/bin/spark-class", "org.apache.spark.deploy"]
    daemons = {
        "master": f"{deploy[1]}.master.Master --host {LOOPBACK} --port {port} --webui-port {page}",
        "worker": f"{deploy[1]}.worker.Worker --cores 2 --memory 1g --work-dir /tmp/work {master}",
    }
    logs = {name: tmp_path / name for name in (*daemons, "runner")}
    with ExitStack() as stack:
        for name, words in daemons.items():
            argv = images.confined(SPARK, deploy[0], *words.split(), env=env, like=f"spark-{name}")
            stack.enter_context(running(argv, logs[name]))
        until(lambda: alive_workers(page), 120, lambda: logs["worker"].read_text()[-3000:])
        product = stack.enter_context(Product.fresh())
        stack.enter_context(services(product, resolver))
        product.run("ingest", "--source", "demo", "--speed", "max")
        for kind in PACKED:
            publish_packed(product.where().kafka.bootstrap, kind)
        lines = product.run("env", "--owner").out.splitlines()
        stores = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        env_of_runner = {**stores, **env, "SPARK_MASTER": master}
        argv = images.confined(SPARK, SPARKTRENDS, "stream", env=env_of_runner, like="runner")
        stack.enter_context(running(argv, logs["runner"]))
        until(product.folded, 240, lambda: logs["runner"].read_text()[-5000:])
        product.wait_folded()
        trades = "SELECT sum(trades)::bigint FROM market.bars WHERE interval = '1m' AND "
        assert product.sql(f"{trades} source <> 'packed~sim'") == [(TRADES,)]
        assert product.sql(f"{trades} source = 'packed~sim'") == [(10 * len(PACKED),)]
    touched = images.confined(SPARK, "/bin/sh", "-c", f"touch /tmp/a {HOME}/a && ! touch /opt/a 2>/dev/null")
    assert subprocess.run(touched).returncode == 0


def publish_packed(kafka: str, kind: str) -> None:
    """Ten trades of a symbol of this name, as somebody else's producer packs them."""
    producer = Producer({"bootstrap.servers": kafka, "compression.type": kind})
    trade = {"source": "packed~sim", "symbol": kind, "ts": time.time_ns() // 1000, "price": "1", "size": "1"}
    for number in range(10):
        producer.produce("raw.trades", json.dumps({**trade, "id": str(number), "note": "packed " * 50}), kind)
    assert producer.flush(60) == 0


def alive_workers(page: int) -> int:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{page}/json/", timeout=60) as answer:
            return int(json.load(answer)["aliveworkers"])
    except OSError:
        return 0
