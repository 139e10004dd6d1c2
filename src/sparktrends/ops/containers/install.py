"""What the Spark image has beside the application: ``python -m sparktrends.ops.containers.install /opt``.

Below that folder: ``java`` (a runtime), ``spark`` (pyspark's own), and on Spark's class path, so on that of driver and
executors alike, the connector's jars and PostgreSQL's JDBC driver, each checked against ``jars.lock``.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from sparktrends.errors import NotFound
from sparktrends.ops import jars, java
from sparktrends.ops.home import default_cache


def install(folder: Path) -> None:
    """Fetch what is missing and lay it out."""
    cache = default_cache(os.environ)
    runtime = java.find(os.environ, cache)
    found = jars.Resolver(runtime, cache, os.environ).ensure([jars.CONNECTOR, jars.JDBC])
    spark = spark_folder()
    for jar in (jar for paths in found.values() for jar in paths):
        # Not a copy: what runs is what every start compares with the lock.
        (spark / "jars" / jar.name).symlink_to(jar)
    (folder / "java").symlink_to(runtime.home)
    (folder / "spark").symlink_to(spark)


def spark_folder() -> Path:
    """Where pyspark lies, which is a whole Spark; raises NotFound without it."""
    spec = importlib.util.find_spec("pyspark")
    for folder in spec.submodule_search_locations or [] if spec else []:
        return Path(folder)
    raise NotFound("pyspark is not installed", hint="install the requirements again")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m sparktrends.ops.containers.install FOLDER")
    install(Path(sys.argv[1]))
