"""How Spark is used, as the settings have it: ``SPARK_MASTER`` and the table ``[spark]`` of sparktrends.toml."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparktrends.errors import BadSetting
from sparktrends.ops.settings import Settings

if TYPE_CHECKING:
    from sparktrends.spark import Settings as SparkSettings

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
