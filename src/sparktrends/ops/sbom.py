"""The parts list in CycloneDX 1.6, from the locks alone: ``python -m sparktrends.ops.sbom > sbom.json``.

Python packages with the SHA-256 of each of their files, jars and what browsers get with their SHA-512. A package says
which lock files name it: what only builds, or runs Airflow, is no part of the product's own environment. The same locks
give the same bytes.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from sparktrends import __version__
from sparktrends.ops import jars
from sparktrends.ops.compose import beside

LOCKS = ("requirements.txt", "requirements-build.txt", "deploy/airflow/requirements.txt")
"""What is shipped, what makes the packages of it, and the environment of Airflow."""
_PINNED = re.compile(r"^([\w.\[\],-]+)==([^\s;\\]+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def sbom() -> dict[str, Any]:
    """The whole document."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "sparktrends", "version": __version__}},
        "components": [*_packages(), *_jars(), *_vendored()],
    }


def _packages() -> Iterator[dict[str, Any]]:
    """Each version once, whichever locks name it."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for lock in LOCKS:
        for name, version, hashes in _pins(beside(lock)):
            purl = f"pkg:pypi/{name}@{version}"
            listed = found.setdefault((name, version), {**_component(name, version, purl, hashes), "properties": []})
            listed["properties"].append({"name": "sparktrends:lock", "value": lock})
    yield from found.values()


def _pins(lock: str) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    found = list(_PINNED.finditer(lock))
    ends = [match.start() for match in found[1:]] + [len(lock)]
    for match, end in zip(found, ends, strict=True):
        name = re.sub(r"\[.*\]", "", match[1]).lower()
        yield name, match[2], [("SHA-256", digest) for digest in _HASH.findall(lock[match.start() : end])]


def _jars() -> Iterator[dict[str, Any]]:
    for entries in jars.read_lock().values():
        for file, entry in entries.items():
            name, _, version = file.removesuffix(".jar").rpartition("-")
            yield _component(
                name, version, f"pkg:generic/{name}@{version}?file_name={file}", [("SHA-512", entry.sha512)]
            )


def _vendored() -> Iterator[dict[str, Any]]:
    for entry in json.loads(files("sparktrends.serve.dashboard").joinpath("vendored", "vendored.json").read_text()):
        yield _component(entry["name"], entry["version"], entry["purl"], [("SHA-512", entry["sha512"])])


def _component(name: str, version: str, purl: str, hashes: list[tuple[str, str]]) -> dict[str, Any]:
    listed = [{"alg": algorithm, "content": digest} for algorithm, digest in hashes]
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "hashes": listed}


if __name__ == "__main__":
    json.dump(sbom(), sys.stdout, indent=1)
    sys.stdout.write("\n")
