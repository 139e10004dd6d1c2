"""A home that was saved, lost and restored stands where it stood, and goes on from there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from e2e.product import Product

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_a_restored_home_passes_the_audit_and_goes_on(tmp_path: Path) -> None:
    week = ("up", "--source", "demo", "--speed", "max", "--exit-when-done", "--json")
    with Product.fresh() as product:
        stored = product.run(*week, seconds=300).json()
        assert stored["trades"] > 10_000
        product.run("backup", str(tmp_path / "saved"))
        for part in ("kafka", "postgres", "run"):
            shutil.rmtree(product.home / part)
        product.run("restore", str(tmp_path / "saved"))
        assert product.audit()["counts"]["trades"] == stored["trades"]
        again = product.run(*week, seconds=300).json()
        assert again["trades"] == stored["trades"]  # the recording is known already: nothing is doubled
        product.audit()
        assert product.run("doctor", "--json").json()["ok"]
