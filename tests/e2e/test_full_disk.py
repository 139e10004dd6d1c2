"""The disk fills up while everything runs: it says so, waits, and goes on when there is room again."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from e2e.product import Product, until
from e2e.test_kills import check_nothing_lost_or_doubled, end, settle
from embedded import temporary_home

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

LOAD = ("--source", "simulator", "--symbols", "20", "--rate", "500")
START_S = 150.0


@pytest.fixture
def product() -> Iterator[Product]:
    """A product whose home lies on a disk of its own."""
    with small_disk() as disk:
        inner = Product(disk)
        try:
            yield inner
        finally:
            for process in inner.processes():
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(inner.processes(), timeout=60)


@contextmanager
def small_disk() -> Iterator[Path]:
    """One that `make faults` has mounted for somebody who is not root, or one that root mounts."""
    if there := os.environ.get("SPARKTRENDS_SMALL_DISK"):
        yield Path(there)
        return
    with temporary_home() as around:
        disk = around.path / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=2200m,mode=711", "none", str(disk)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("no disk can be mounted here")
        try:
            yield disk
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(file: Path) -> None:
    """Take all the room that is left."""
    with file.open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(bytes(2**20))


def test_a_disk_that_fills_up_while_running_costs_nothing(product: Product) -> None:
    up = product.up(*LOAD)
    until(lambda: product.folded() > 2_000, START_S, lambda: product.log("stream")[-2000:])
    ballast = product.home / "ballast"
    fill(ballast)
    until(lambda: "disk" in up.err, 120, lambda: up.err[-2000:])
    # Whatever still finds a byte takes it, until nothing moves.
    fill(product.home / "more-ballast")
    ballast.unlink()
    (product.home / "more-ballast").unlink()
    until(lambda: product.pid("kafka") and product.pid("postgres"), START_S, lambda: up.err[-2000:])
    stands: int = until(product.folded, START_S, "the database does not answer")
    until(lambda: product.folded() > stands + 1_000, START_S, lambda: up.err[-2000:] + product.log("stream")[-2000:])
    settle(product)
    check_nothing_lost_or_doubled(product)
    end(product, up)
