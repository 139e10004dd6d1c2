"""The session: on loopback, in UTC, without secrets, and its settings reach Spark."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sparktrends import spark
from sparktrends.errors import Unavailable
from sparktrends.ops.cluster import enter_spark
from sparktrends.ops.jars import CONNECTOR, Resolver
from sparktrends.ops.settings import load

PROGRAM = """
import json, sys
from pathlib import Path
import psutil
from sparktrends import spark
made = spark.session("test", spark.Settings("local[2]", [Path(p) for p in sys.argv[2:]], Path(sys.argv[1]), ui_port=0))
java = [p for p in psutil.Process().children(recursive=True) if p.name() == "java"]
print(json.dumps({
    "addresses": sorted({c.laddr.ip for p in java for c in p.net_connections("tcp") if c.status == "LISTEN"}),
    "zone": made.sql("SELECT current_timezone()").first()[0],
    "partitions": made.conf.get("spark.sql.shuffle.partitions"),
    "python": made.sparkContext.parallelize([0], 1).map(lambda _: sys.executable).first(),
    "kafka": made._jvm.Thread.currentThread().getContextClassLoader().loadClass(
        "org.apache.spark.sql.kafka010.KafkaSourceProvider"
    ).getSimpleName(),
    "files": made._jsc.hadoopConfiguration().get("fs.file.impl"),
}))
made.stop()
"""


def settings(**more: object) -> spark.Settings:
    return spark.Settings(**{"master": "local[2]", "jars": [], "scratch": Path("/s"), **more})  # type: ignore[arg-type]


def test_on_this_machine_everything_is_on_loopback() -> None:
    made = spark.config(settings())
    assert made["spark.driver.bindAddress"] == made["spark.driver.host"] == "127.0.0.1"


def test_a_cluster_must_reach_the_driver_and_gets_our_packages() -> None:
    made = spark.config(settings(master="spark://h:7077", py_files=["a.whl", "b.zip"], archives=["env.tar.gz#env"]))
    assert "spark.driver.bindAddress" not in made
    assert made["spark.submit.pyFiles"] == "a.whl,b.zip"
    assert made["spark.archives"] == "env.tar.gz#env"


def test_no_user_interface_unless_asked_for() -> None:
    assert spark.config(settings())["spark.ui.enabled"] == "false"
    assert spark.config(settings(ui_port=8081))["spark.ui.port"] == "8081"


def test_the_last_word_is_the_callers() -> None:
    made = spark.config(settings(more={"spark.sql.adaptive.enabled": "true"}))
    assert made["spark.sql.adaptive.enabled"] == "true"


@pytest.mark.parametrize(
    "name", ["db.password", "FINNHUB_API_KEY", "slack.webhook", "kafka.sasl.jaas.config", "api-key"]
)
def test_names_of_secrets_are_redacted(name: str) -> None:
    assert re.search(spark.SECRET_KEYS, name)
    assert not re.search(spark.SECRET_KEYS, "spark.sql.shuffle.partitions")


class Cluster:
    """A session's context, as far as one asks whether anybody works for it; ``executors`` at each look."""

    def __init__(self, executors: list[int], master: str = "spark://h:7077", **conf: str) -> None:
        self.master, self.now, self._looks, self._executors = master, 0.0, 0, executors
        self._conf = {name.replace("_", "."): value for name, value in conf.items()}
        self.sparkContext = self._jsc = self

    def getConf(self) -> dict[str, str]:
        return self._conf

    def sc(self) -> Any:
        return self

    def getExecutorMemoryStatus(self) -> Any:
        there = self._executors[min(self._looks, len(self._executors) - 1)]
        self._looks += 1
        return SimpleNamespace(size=lambda: there + 1)  # the driver is one

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def executors_of(cluster: Cluster) -> spark.Executors:
    return spark.Executors(cast(Any, cluster), patience_s=60, clock=cluster.clock)


def test_a_session_waits_for_its_first_executor_and_not_for_ever() -> None:
    busy = Cluster([0])
    with pytest.raises(Unavailable, match=r"spark://h:7077 has given no executor for 60 s: .*spark\.cores\.max"):
        executors_of(busy).wait(busy.pause)
    assert 60 < busy.now < 61
    soon = Cluster([0, 0, 0, 1])
    executors_of(soon).wait(soon.pause)
    assert soon.now < 1


def test_a_session_is_deserted_when_nobody_came_back_for_a_minute() -> None:
    cluster = Cluster([1, 0, 0, 1, 0, 0])
    executors, found = executors_of(cluster), []
    for at in (10, 20, 60, 80, 130, 150):
        cluster.now = at
        found.append(executors.deserted())
    # It came back at 80.
    assert found == [False, False, False, False, False, True]
    with pytest.raises(Unavailable):
        executors.require()


@pytest.mark.parametrize(
    "cluster",
    [
        Cluster([0], "local[2]"),
        Cluster([0], "k8s://h:6443"),
        Cluster([0], "spark://h:7077", spark_dynamicAllocation_enabled="true"),
    ],
)
def test_where_executors_come_in_their_own_time_none_is_missed(cluster: Cluster) -> None:
    executors = executors_of(cluster)
    cluster.now = 1e6
    assert executors.there()
    assert not executors.deserted()


@pytest.mark.e2e
def test_a_real_session_is_as_it_was_asked_to_be(resolver: Resolver, tmp_path: Path) -> None:
    jars = [str(jar) for jar in resolver.ensure([CONNECTOR])[CONNECTOR]]
    # Another Spark of the shell has no say.
    env = {**os.environ, "SPARK_HOME": "/nowhere", "SPARK_REMOTE": "sc://nowhere", "PYSPARK_SUBMIT_ARGS": "--help"}
    enter_spark(load({}, tmp_path, tmp_path), resolver.java, env)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "scratch"), *jars]
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout.splitlines()[-1])
    assert {address.removeprefix("::ffff:") for address in said.pop("addresses")} == {"127.0.0.1"}
    assert said == {
        "zone": "UTC",
        "partitions": "2",
        "python": sys.executable,
        "kafka": "KafkaSourceProvider",
        "files": "org.apache.hadoop.fs.RawLocalFileSystem",
    }
    # Nothing is left where the person stood.
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]
