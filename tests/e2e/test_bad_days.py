"""What goes wrong around the product: one sentence that says what and what to do, and nothing half-done."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from e2e.product import Product, until
from sparktrends.ops import jars
from sparktrends.ops.ports import any_free

pytestmark = pytest.mark.e2e

TRADES = "ts,price,size,symbol\n" + "".join(f"{1700000000 + n},1.5,2,A\n" for n in range(50))


@pytest.fixture
def product() -> Iterator[Product]:
    with Product.fresh() as made:
        yield made


@pytest.fixture
def nowhere() -> dict[str, str]:
    """The environment of a machine without network."""
    there = f"http://127.0.0.1:{any_free()}"
    return {"HTTPS_PROXY": there, "HTTP_PROXY": there, "https_proxy": there, "http_proxy": there}


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "other columns.csv": (b"when,what\n1,2\n", "when"),
    "a bad row.csv": ((TRADES + "1700000100,-1,2,A\n" + "1700000101,1,2,A\n").encode(), "52"),
    "cut.csv.gz": (gzip.compress(TRADES.encode())[:60], "cut.csv.gz"),
    "no.parquet": (b"PAR1 it is not", "no.parquet"),
    "empty.csv": (b"", "empty.csv"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_used_stops_before_anything_starts(product: Product, name: str) -> None:
    content, named = BAD_FILES[name]
    (product.folder / name).write_bytes(content)
    refused = product.run("up", "--source", name, "--exit-when-done", "--json", code=1, seconds=60)
    assert named in refused.sentence()
    assert refused.out == ""
    assert not (product.home / "kafka" / "formatted").exists()
    assert not product.processes()


def test_a_file_that_is_not_there_is_wrong_use(product: Product) -> None:
    assert "there is no source and no file 'nope.csv'" in product.run("up", "--source", "nope.csv", code=2).sentence()
    assert not product.processes()


def test_an_external_database_that_does_not_answer_is_exit_3(product: Product) -> None:
    env = {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(any_free()), "POSTGRES_PASSWORD": "not-to-be-seen"}
    refused = product.run("up", "--source", "simulator", code=3, env=env)
    assert "PostgreSQL does not answer" in refused.sentence()
    assert "not-to-be-seen" not in refused.err + refused.out
    assert not product.processes()


@pytest.mark.slow
def test_an_external_broker_that_does_not_answer_is_exit_3(product: Product) -> None:
    there = f"127.0.0.1:{any_free()}"
    refused = product.run("up", "--source", "simulator", code=3, env={"KAFKA_BOOTSTRAP": there})
    assert f"no Kafka broker answers at {there}" in refused.sentence()
    assert not product.processes()


@pytest.mark.slow
def test_the_first_run_without_network_is_exit_3(product: Product, nowhere: dict[str, str]) -> None:
    env = {**nowhere, "XDG_CACHE_HOME": str(product.home / "cache")}
    refused = product.run("up", code=3, env=env, seconds=120)
    assert "which the first start on a machine needs: connect it to the internet" in refused.sentence()
    assert not product.processes()


def test_ctrl_c_during_the_first_download_ends_at_once_and_leaves_nothing(product: Product) -> None:
    cache = product.home / "cache"
    with socket.socket() as silent:
        # A proxy that takes the call and says nothing: the download lasts as long as the test wants.
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        there = f"http://127.0.0.1:{silent.getsockname()[1]}"
        proxied = {"HTTPS_PROXY": there, "https_proxy": there}
        up = product.start("up", "--json", env={"XDG_CACHE_HOME": str(cache), **proxied})
        until(lambda: list(cache.glob("sparktrends/jars/.fetch-*/ivy.xml")), 60, lambda: up.err)
        assert up.stop(signal.SIGINT, seconds=30) == 0, up.err
    assert up.json()["started"] is False
    assert "Traceback" not in up.err
    assert list(cache.glob("sparktrends/jars/.fetch-*")) == []
    assert [folder for folder in cache.glob("sparktrends/jars/*") if folder.is_dir()] == []
    until(lambda: not product.processes(), 60, lambda: product.processes())


def test_a_cache_that_cannot_be_used_is_said(product: Product) -> None:
    (product.folder / "cache").write_text("a file where a folder should be")
    refused = product.run("up", code=2, env={"XDG_CACHE_HOME": str(product.folder / "cache")}, seconds=60)
    assert "make it yours, or name another folder with XDG_CACHE_HOME" in refused.sentence()
    assert not product.processes()


@pytest.fixture
def damaged_cache(product: Product, cache: Path, resolver: jars.Resolver) -> Path:
    """A copy of the user's cache in which one byte of a jar of the broker is another; hard links save the copying."""
    resolver.ensure()
    copy = product.home / "cache" / "sparktrends"
    shutil.copytree(cache, copy, copy_function=_link)
    jar = next(iter(copy.glob("jars/broker-*/kafka-clients-*.jar")))
    content = bytearray(jar.read_bytes())
    content[len(content) // 2] ^= 1
    jar.unlink()
    jar.write_bytes(content)
    return copy


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.mark.slow
def test_a_jar_with_one_flipped_bit_is_never_run(
    product: Product, damaged_cache: Path, nowhere: dict[str, str]
) -> None:
    env = {**nowhere, "XDG_CACHE_HOME": str(damaged_cache.parent)}
    refused = product.run("up", code=3, env=env, seconds=120)
    assert "the jars of the broker cannot be downloaded" in refused.sentence()
    assert re.search(
        r"kafka-clients-\S+\.jar is not the file that jars\.lock names: fetching the broker again", refused.err
    )
    assert not product.processes()


@pytest.fixture
def in_small_disk(product: Product) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the product with its home on a disk of 64 MB that nobody else sees."""
    disk = product.home / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=64m,mode=711 none "{disk}" && exec "$@"'
    around = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c", mount, "sh"]
    try:
        if subprocess.run([*around, "true"], capture_output=True).returncode:
            pytest.skip("no mount namespace of one's own on this machine")
    except FileNotFoundError:
        pytest.skip("unshare is not installed")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [*around, sys.executable, "-m", "sparktrends.ops.cli", "--home", str(disk / "home"), *words]
        return subprocess.run(argv, cwd=product.folder, env=product.env, capture_output=True, text=True, timeout=120)

    return run


def test_a_full_disk_is_said_before_anything_starts(
    product: Product, in_small_disk: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    refused = in_small_disk("up", "--json")
    assert refused.returncode == 3
    assert refused.stdout == ""
    last = refused.stderr.splitlines()[-1]
    assert last.startswith("sparktrends: only 0.1 GB are free on the disk of ")
    assert "name a folder on another disk with --home" in last
    assert not product.processes()


@pytest.mark.slow
def test_ctrl_c_while_starting_ends_in_order(product: Product) -> None:
    up = product.start("up", "--source", "simulator")
    until(lambda: "starting broker and database" in up.err, 60, lambda: up.err)
    assert up.stop(signal.SIGINT) == 0, up.err
    assert "Traceback" not in up.err
    until(lambda: not product.processes(), 60, lambda: product.processes())


def test_a_stale_lock_does_not_keep_anybody_out(product: Product) -> None:
    (product.home / "run" / "owner").write_text(str(psutil.Process().pid))
    (product.home / "run" / "stack.json").write_text('{"kafka": "127.0.0.1:1", "postgres_port": 1}')
    assert "nothing runs" in product.run("status", code=3).sentence()
    (product.home / "run" / "stack.json").write_text('{"kafka": "127.0')
    assert "nothing runs" in product.run("status", code=3).sentence()
