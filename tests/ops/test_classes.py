"""Java's classes are kept at its first orderly end, used from then on, and never taken half-written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sparktrends.ops.classes import KeptClasses
from sparktrends.ops.jars import BROKER, Resolver
from sparktrends.ops.java import Java

WHOLE = bytes.fromhex("a8ab0bf0") + b"classes"


@pytest.fixture
def installed(tmp_path: Path) -> Java:
    (tmp_path / "java").mkdir()
    (tmp_path / "java" / "release").write_text('JAVA_VERSION="17.0.1"\n')
    return Java(tmp_path / "java", 17)


def kept(java: Java, cache: Path, *jars: Path) -> KeptClasses:
    found = KeptClasses.of("kafka", java, jars, cache)
    assert found is not None
    return found


def left_behind(classes: KeptClasses, content: bytes) -> Path:
    """What a run leaves that was told to write."""
    option = next(option for option in classes.options if "ArchiveClassesAtExit" in option)
    path = Path(option.partition("=")[2])
    path.write_bytes(content)
    return path


def test_what_a_run_left_is_used_by_the_next(installed: Java, tmp_path: Path) -> None:
    classes = kept(installed, tmp_path)
    assert classes.reading == []
    left_behind(classes, WHOLE)
    assert f"-XX:SharedArchiveFile={classes.file}" in classes.options
    assert [path.name for path in classes.file.parent.iterdir()] == [classes.file.name]


def test_what_a_killed_run_left_is_not_taken(installed: Java, tmp_path: Path) -> None:
    classes = kept(installed, tmp_path)
    half = left_behind(classes, bytes(4096))
    assert classes.reading == []
    left_behind(classes, WHOLE)
    assert classes.reading
    assert not half.exists()


def test_other_jars_and_another_java_have_files_of_their_own(installed: Java, tmp_path: Path) -> None:
    jar = tmp_path / "a.jar"
    jar.write_bytes(b"one")
    first = kept(installed, tmp_path, jar).file
    os.utime(jar, (1, 1))
    second = kept(installed, tmp_path, jar).file
    (installed.home / "release").write_text('JAVA_VERSION="17.0.2"\n')
    assert len({first, second, kept(installed, tmp_path, jar).file}) == 3


def test_files_of_old_versions_go(installed: Java, tmp_path: Path) -> None:
    for number in range(5):
        (installed.home / "release").write_text(f'JAVA_VERSION="17.0.{number}"\n')
        classes = kept(installed, tmp_path)
        left_behind(classes, WHOLE)
        assert classes.reading
        os.utime(classes.file, (number, number))
    assert len(list(classes.file.parent.iterdir())) <= 3


def test_the_bundled_runtime_keeps_none(installed: Java, tmp_path: Path) -> None:
    assert KeptClasses.of("kafka", Java(installed.home, 21, bundled=True), [], tmp_path) is None


@pytest.mark.e2e
def test_java_writes_and_takes_them(resolver: Resolver, tmp_path: Path) -> None:
    if resolver.java.bundled:
        pytest.skip("the bundled runtime keeps no classes")
    jars = resolver.ensure([BROKER])[BROKER]
    classes = kept(resolver.java, tmp_path, *jars)

    def run(*more: str) -> str:
        path = ":".join(map(str, jars))
        command = [resolver.java.executable, *classes.options, *more, "-cp", path]
        done = subprocess.run(
            [*command, "kafka.tools.StorageTool", "random-uuid"], capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout

    assert len(run().split()) == 1  # nothing beside the answer
    assert classes.reading
    assert "kafka.tools.StorageTool source: shared objects file" in run("-Xlog:class+load")
