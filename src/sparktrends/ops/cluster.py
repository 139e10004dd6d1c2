"""How Spark is used, as the settings have it: ``SPARK_MASTER`` and the table ``[spark]`` of sparktrends.toml."""

from __future__ import annotations

import os
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparktrends.errors import BadSetting
from sparktrends.ops.jars import spark_home
from sparktrends.ops.java import Java, spark_env
from sparktrends.ops.settings import Settings

if TYPE_CHECKING:
    from sparktrends.spark import Settings as SparkSettings

_ANOTHERS = (
    *("PYSPARK_SUBMIT_ARGS", "PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET", "SPARK_CONF_DIR", "HADOOP_CONF_DIR"),
    *("SPARK_API_MODE", "SPARK_CONNECT_MODE_ENABLED", "SPARK_REMOTE", "SPARK_DIST_CLASSPATH", "YARN_CONF_DIR"),
)
"""Variables by which a person's own Spark is told where it is and what it shall do."""
_KNOWN = ("memory", "archives", "py_files", "conf")


def spark_settings(
    settings: Settings,
    jars: Sequence[Path],
    scratch: Path,
    ui_port: int | None = None,
    java_options: Sequence[str] = (),
) -> SparkSettings:
    """How the session of a process is made; raises BadSetting as `spark_table`."""
    from sparktrends.spark import Settings as SparkSettings

    return SparkSettings(
        settings.spark_master, jars, scratch, ui_port, java_options=java_options, **spark_table(settings)
    )


def enter_spark(settings: Settings, found: Java, environ: MutableMapping[str, str] = os.environ) -> None:
    """Make ``environ`` that of a process that starts Spark on this Java.

    Where Spark runs on this machine it is ours: nobody has checked the jars of another one, and under one of another
    release the stream dies at each start. In a container the image says where Spark is, on a cluster whoever runs it.
    """
    environ.update(spark_env(found, settings.env, settings.spark_local_ip))
    if settings.spark_master.startswith("local") and not settings.contained:
        for name in _ANOTHERS:
            environ.pop(name, None)
        environ["SPARK_HOME"] = str(spark_home())


def spark_table(settings: Settings) -> dict[str, Any]:
    """``[spark]`` as `sparktrends.spark.Settings` names it; raises BadSetting.

    ``archives`` and ``py_files`` take our package to executors, ``conf`` (``more``) is Spark's own.
    """
    table = settings.only("spark", *_KNOWN)
    return {
        "memory": str(table.get("memory", "1g")),
        "py_files": _texts(table, "py_files"),
        "archives": _texts(table, "archives"),
        "more": _conf(table),
    }


def _texts(table: Any, name: str) -> list[str]:
    found = table.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise BadSetting(f"[spark] {name} = {found!r}", hint='give a list of texts, ["…"]')
    return found


def _conf(table: Any) -> dict[str, str]:
    found = table.get("conf", {})
    if not isinstance(found, dict) or not all(name.startswith("spark.") for name in found):
        raise BadSetting("[spark.conf] holds something else than spark.…", hint='"spark.executor.memory" = "2g"')
    return {name: str(value) for name, value in found.items()}
