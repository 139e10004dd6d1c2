"""The parts list names every pinned package and every jar, with a hash."""

from __future__ import annotations

import re

from sparktrends.ops.compose import beside
from sparktrends.ops.jars import read_lock
from sparktrends.ops.sbom import sbom


def test_every_package_and_jar_is_listed_once_with_its_hashes() -> None:
    components = sbom()["components"]
    purls = {component["purl"] for component in components}
    jars = {file for entries in read_lock().values() for file in entries}
    pins = re.findall(r"^\S+==", beside("requirements.txt"), re.MULTILINE)
    assert len([purl for purl in purls if purl.startswith("pkg:pypi/")]) == len(pins) > 50
    assert {purl.partition("file_name=")[2] for purl in purls if "file_name=" in purl} == jars
    assert [component["purl"] for component in components if not component["hashes"]] == []
    assert "pkg:npm/plotly.js-finance-dist-min@4.1.0" in purls
    assert any(purl.startswith("pkg:pypi/psycopg@3") for purl in purls)
