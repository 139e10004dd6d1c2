"""Jars are what the lock says, at every start, or nothing starts."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from sparktrends.errors import BadSetting, DiskFull, IntegrityError, Unavailable
from sparktrends.ops import jars
from sparktrends.ops.java import Java

IVY = """#!/bin/sh
echo run >> {folder}/runs
for last; do :; done
mkdir -p "${{last%/*}}" && cp {folder}/offered/* "${{last%/*}}" || exit 1
for jar in {folder}/offered/*; do
  echo "downloading https://repository/a/${{jar##*/}} ..."
  echo "[SUCCESSFUL ] a"
done
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with an Ivy that offers two jars, and the lock of them."""
    offered = tmp_path / "offered"
    offered.mkdir()
    lines = []
    for name in ("a-1.jar", "b-2.jar"):
        (offered / name).write_bytes(name.encode() * 100)
        lines.append(f"demo {name} 700 {hashlib.sha512(name.encode() * 100).hexdigest()}\n")
    (tmp_path / "lock").write_text("# comment\n" + "".join(lines))
    ivy(tmp_path, IVY)
    return tmp_path


def ivy(shop: Path, script: str) -> None:
    (shop / "bin").mkdir(exist_ok=True)
    (shop / "bin" / "java").write_text(script.format(folder=shop))
    (shop / "bin" / "java").chmod(0o755)


def resolver(shop: Path, told: list[jars.Progress] | None = None) -> jars.Resolver:
    tell = (lambda _: None) if told is None else told.append
    return jars.Resolver(Java(shop, 17), shop / "cache", {}, progress=tell, lock=shop / "lock")


def runs(shop: Path) -> int:
    return (shop / "runs").read_text().count("run")


def test_jars_are_fetched_once_and_then_found(shop: Path) -> None:
    first = resolver(shop).ensure(["demo"])["demo"]
    assert [path.name for path in first] == ["a-1.jar", "b-2.jar"]
    assert resolver(shop).ensure(["demo"])["demo"] == first
    assert runs(shop) == 1


def test_progress_counts_files_and_bytes(shop: Path) -> None:
    told: list[jars.Progress] = []
    resolver(shop, told).ensure(["demo"])
    assert [(p.files, p.all_files, p.size, p.all_size) for p in told] == [
        (0, 2, 0, 1400),
        (1, 2, 700, 1400),
        (2, 2, 1400, 1400),
    ]


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_harmed_jar_is_fetched_anew(shop: Path, harm: str) -> None:
    jar = resolver(shop).ensure(["demo"])["demo"][0]
    content = bytearray(jar.read_bytes())
    content[350] ^= 1
    {"flip": lambda: jar.write_bytes(content), "cut": lambda: jar.write_bytes(content[:-1]), "remove": jar.unlink}[
        harm
    ]()
    assert resolver(shop).ensure(["demo"])["demo"][0].read_bytes() == b"a-1.jar" * 100
    assert runs(shop) == 2


def test_what_stays_wrong_is_refused_by_name(shop: Path) -> None:
    (shop / "offered" / "b-2.jar").write_bytes(b"evil")
    with pytest.raises(IntegrityError, match=r"b-2\.jar is not the file that jars\.lock names, also after"):
        resolver(shop).ensure(["demo"])


def test_without_network_one_sentence(shop: Path) -> None:
    ivy(shop, "#!/bin/sh\necho x >> {folder}/runs\necho 'java.net.UnknownHostException: repository'\nexit 1\n")
    with pytest.raises(Unavailable, match="first start on a machine needs: connect it to the internet") as caught:
        resolver(shop).ensure(["demo"])
    assert "\n" not in str(caught.value)
    assert not list((shop / "cache" / "jars").glob("demo-*/"))


def test_a_full_disk_is_said(shop: Path) -> None:
    ivy(shop, "#!/bin/sh\necho 'java.io.IOException: No space left on device'\nexit 1\n")
    with pytest.raises(DiskFull, match="free 300 MB"):
        resolver(shop).ensure(["demo"])


def test_a_silent_network_is_given_up(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "_SILENCE", 0.2)
    ivy(shop, "#!/bin/sh\nexec sleep 600\n")
    with pytest.raises(Unavailable, match="cannot be downloaded"):
        resolver(shop).ensure(["demo"])


def test_a_download_ends_when_nobody_waits_for_it(shop: Path) -> None:
    ivy(shop, "#!/bin/sh\necho run >> {folder}/runs\nexec sleep 600\n")
    made = replace(resolver(shop), stopping=lambda: (shop / "runs").exists() and runs(shop) == 1)
    with pytest.raises(Unavailable, match="the download was interrupted: the next start fetches what is missing"):
        made.ensure(["demo"])
    assert runs(shop) == 1
    assert not list((shop / "cache" / "jars").glob(".fetch-*"))
    ivy(shop, IVY)
    assert len(resolver(shop).ensure(["demo"])["demo"]) == 2


def test_who_waits_for_another_start_can_be_stopped(shop: Path) -> None:
    ivy(shop, "#!/bin/sh\necho run >> {folder}/runs\nexec sleep 600\n")
    over = threading.Event()
    first = replace(resolver(shop), stopping=over.is_set)
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(first.ensure, ["demo"])
        while not (shop / "runs").exists():
            time.sleep(0.05)
        with pytest.raises(Unavailable, match="interrupted"):
            replace(resolver(shop), stopping=lambda: True).ensure(["demo"])
        over.set()
        with pytest.raises(Unavailable, match="interrupted"):
            fetching.result(60)
    assert runs(shop) == 1


def test_a_cache_that_cannot_be_written_is_said(shop: Path) -> None:
    (shop / "cache").write_text("a file where a folder should be")
    with pytest.raises(BadSetting, match="XDG_CACHE_HOME") as caught:
        resolver(shop).ensure(["demo"])
    assert str(caught.value).startswith(f"the cache {shop / 'cache'} cannot be written (")


def test_two_starts_at_once_fetch_once(shop: Path) -> None:
    starts = [threading.Thread(target=lambda: resolver(shop).ensure(["demo"])) for _ in range(4)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert runs(shop) == 1


def test_rests_of_a_killed_download_vanish(shop: Path) -> None:
    rest = shop / "cache" / "jars" / ".fetch-demo-old"
    rest.mkdir(parents=True)
    resolver(shop).ensure(["demo"])
    assert not rest.exists()


@pytest.mark.parametrize(
    ("env", "options"),
    [
        ({}, []),
        ({"HTTPS_PROXY": "http://u:p@proxy:3128"}, ["-Dhttps.proxyHost=proxy", "-Dhttps.proxyPort=3128"]),
        ({"https_proxy": "http://proxy"}, ["-Dhttps.proxyHost=proxy", "-Dhttps.proxyPort=8080"]),
        ({"HTTPS_PROXY": "proxy.corp:3128"}, ["-Dhttps.proxyHost=proxy.corp", "-Dhttps.proxyPort=3128"]),
    ],
)
def test_a_proxy_is_told_to_java_without_its_password(env: dict[str, str], options: list[str]) -> None:
    assert jars._proxy(env) == options


def test_a_proxy_with_no_number_for_a_port_is_one_sentence() -> None:
    with pytest.raises(BadSetting, match="HTTPS_PROXY is no address"):
        jars._proxy({"HTTPS_PROXY": "http://proxy:many"})


def test_the_lock_covers_every_recipe_and_names_what_was_asked_for() -> None:
    lock = jars.read_lock()
    assert set(lock) == set(jars.RECIPES)
    for name, recipe in jars.RECIPES.items():
        assert {f"{module}-{revision}.jar" for _, module, revision in recipe.wanted} <= set(lock[name])
    assert all(re.fullmatch("[0-9a-f]{128}", entry.sha512) for entries in lock.values() for entry in entries.values())


def test_the_connector_brings_nothing_that_spark_has() -> None:
    there = {re.sub(r"-\d.*", "", path.name) for path in jars._ivy().parent.glob("*.jar")}
    brought = {re.sub(r"-\d[\d.]*\.jar", "", name) for name in jars.read_lock()[jars.CONNECTOR]}
    assert not brought & there


@pytest.mark.e2e
def test_the_real_jars_are_what_the_lock_says(stack_jars: dict[str, tuple[Path, ...]]) -> None:
    lock = jars.read_lock()
    assert set(stack_jars) == {jars.BROKER, jars.CONNECTOR, jars.DEMO}
    assert {name: len(paths) for name, paths in stack_jars.items()} == {name: len(lock[name]) for name in stack_jars}


@pytest.fixture
def stack_jars(resolver: jars.Resolver) -> dict[str, tuple[Path, ...]]:
    """All three sets in the user's cache."""
    return resolver.ensure()


@pytest.mark.e2e
@pytest.mark.slow
def test_the_bundled_java_downloads_through_the_systems_certificates(tmp_path: Path) -> None:
    from sparktrends.ops import java

    found = java.bundled(os.environ, tmp_path)
    assert jars.Resolver(found, tmp_path, dict(os.environ)).ensure([jars.DEMO])[jars.DEMO][0].exists()
