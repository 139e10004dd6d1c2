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
    """``archives`` and ``py_files`` take our package to executors, ``conf`` is Spark's own; raises BadSetting."""
    from sparktrends.spark import Settings as SparkSettings

    table = settings.table("spark")
    if unknown := set(table) - set(_KNOWN):
        raise BadSetting(f"[spark] {', '.join(sorted(unknown))}", hint=f"there are {', '.join(_KNOWN)}")
    return SparkSettings(
        settings.spark_master,
        jars,
        scratch,
        ui_port,
        memory=str(table.get("memory", "1g")),
        py_files=_texts(table, "py_files"),
        archives=_texts(table, "archives"),
        java_options=java_options,
        more=_conf(table),
    )


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
