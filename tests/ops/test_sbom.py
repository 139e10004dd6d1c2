"""The parts list names every pinned package and every jar, with a hash."""

from __future__ import annotations

import re
from pathlib import Path

from sparktrends.ops.compose import beside
from sparktrends.ops.jars import read_lock
from sparktrends.ops.sbom import LOCKS, sbom


def test_every_package_and_jar_is_listed_once_with_its_hashes() -> None:
    components = sbom()["components"]
    purls = {component["purl"] for component in components}
    jars = {file for entries in read_lock().values() for file in entries}
    pins = {pin for lock in LOCKS for pin in re.findall(r"^(\S+?)(?:\[\S+\])?==(\S+)", beside(lock), re.MULTILINE)}
    assert len([purl for purl in purls if purl.startswith("pkg:pypi/")]) == len(pins) > 150
    assert len(components) == len(purls)
    assert {purl.partition("file_name=")[2] for purl in purls if "file_name=" in purl} == jars
    assert [component["purl"] for component in components if not component["hashes"]] == []
    assert "pkg:npm/plotly.js-finance-dist-min@4.1.0" in purls
    assert any(purl.startswith("pkg:pypi/psycopg@3") for purl in purls)


def test_a_package_says_which_locks_name_it() -> None:
    of = {part["name"]: {said["value"] for said in part.get("properties", [])} for part in sbom()["components"]}
    assert of["psycopg"] >= {"requirements.txt"}
    assert of["hatchling"] == {"requirements-build.txt"}
    assert of["apache-airflow-core"] == {"deploy/airflow/requirements.txt"}


def test_every_lock_file_is_audited() -> None:
    root = Path(__file__).resolve().parents[2]
    (audited,) = re.findall(r"^LOCKS := (.*)$", (root / "Makefile").read_text(), re.MULTILINE)
    files = [*root.glob("requirements*.txt"), *(root / "deploy").rglob("requirements*.txt")]
    there = {str(file.relative_to(root)) for file in files}
    assert set(audited.split()) == there
    assert "pip-audit --strict" in (root / "Makefile").read_text(), "who reaches no advisory data has found nothing"
    assert set(LOCKS) == there - {"requirements-dev.txt"}
