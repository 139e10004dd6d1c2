"""What the settings say of Spark reaches the session."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparktrends.errors import BadSetting
from sparktrends.ops.cluster import enter_spark, spark_settings
from sparktrends.ops.java import Java, spark_env
from sparktrends.ops.settings import load
from sparktrends.spark import config


def of(tmp_path: Path, text: str) -> dict[str, str]:
    (tmp_path / "sparktrends.toml").write_text(text)
    settings = load({"SPARK_MASTER": "spark://m:7077"}, tmp_path, tmp_path / "home")
    return config(spark_settings(settings, [Path("/c.jar")], tmp_path / "scratch"))


def test_archives_take_the_package_to_executors_and_conf_has_the_last_word(tmp_path: Path) -> None:
    said = of(
        tmp_path,
        '[spark]\nmemory = "2g"\narchives = ["env.tar.gz#env"]\n[spark.conf]\n"spark.executor.memory" = "3g"\n'
        '"spark.sql.shuffle.partitions" = 8\n',
    )
    assert said["spark.archives"] == "env.tar.gz#env"
    assert (said["spark.driver.memory"], said["spark.executor.memory"]) == ("2g", "3g")
    assert said["spark.sql.shuffle.partitions"] == "8"
    assert said["spark.jars"] == "/c.jar"


OTHERS = {"SPARK_HOME": "/nowhere", "PYSPARK_SUBMIT_ARGS": "--master x pyspark-shell", "SPARK_REMOTE": "sc://h"}


def entered(tmp_path: Path, **named: str) -> dict[str, str]:
    environ = {**OTHERS, "SPARK_CONF_DIR": "/c", "HADOOP_CONF_DIR": "/h", "PATH": "/bin"}
    enter_spark(load(named, tmp_path, tmp_path / "home"), Java(Path("/j"), 17), environ)
    return environ


def test_another_spark_of_the_shell_has_no_say_on_this_machine(tmp_path: Path) -> None:
    environ = entered(tmp_path)
    assert (Path(environ.pop("SPARK_HOME")) / "bin" / "spark-submit").exists()
    assert environ.pop("PATH") == "/bin"
    assert environ == spark_env(Java(Path("/j"), 17), {})


@pytest.mark.parametrize("named", [{"SPARK_MASTER": "spark://m:7077"}, {"SPARKTRENDS_CONTAINER": "1"}])
def test_on_a_cluster_and_in_a_container_spark_is_where_it_is_said(tmp_path: Path, named: dict[str, str]) -> None:
    environ = entered(tmp_path, **named)
    assert OTHERS.items() <= environ.items()
    assert environ["JAVA_HOME"] == "/j"


@pytest.mark.parametrize("text", ["[spark]\ncores = 2", '[spark]\narchives = "a"', '[spark.conf]\n"log4j" = 1'])
def test_what_spark_would_not_understand_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadSetting, match="spark"):
        of(tmp_path, text)
