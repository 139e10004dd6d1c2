"""What a process says when it fails shows no secret, whoever raised the error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparktrends.ops.settings import NAMES

CANARY = "canary-88c2d1"
# As Spark's launcher fails: with the client's options in the words of the error.
FAILING = """
import sys
from py4j.protocol import Py4JError
from sparktrends import errors, spark
from sparktrends.ops import analysing, cli
from sparktrends.ops.commands import processes
from sparktrends.streaming import scan

def fail(*_):
    raise {kind}('could not start with sasl.password {canary} and url https://x.example/{canary}')

processes._spark_settings = fail
analysing.Analyses = lambda *_: None
scan.warm_scanner = lambda: None
cli.main(["--home", sys.argv[1], "stream"])
"""


@pytest.mark.parametrize("kind", ["Py4JError", "errors.Unavailable"])
def test_an_error_of_sparks_shows_no_secret_in_the_streams_log(tmp_path: Path, kind: str) -> None:
    mine = {"KAFKA_BOOTSTRAP": "127.0.0.1:1", "KAFKA_SASL_USERNAME": "stream", "KAFKA_SASL_PASSWORD": CANARY}
    env = {name: value for name, value in os.environ.items() if name not in NAMES}
    argv = [sys.executable, "-c", FAILING.format(kind=kind, canary=CANARY), str(tmp_path / "home")]
    said = subprocess.run(
        argv,
        env={**env, **mine, "POSTGRES_HOST": "127.0.0.1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert said.returncode != 0
    assert "could not start with sasl.password ***" in said.stderr
    assert CANARY not in said.stderr + said.stdout


def test_what_nobody_caught_in_a_thread_shows_no_secret_either() -> None:
    words = (
        "import threading; from sparktrends import telemetry; from sparktrends.net import Redactor, Secret\n"
        f"telemetry.configure_logging(Redactor([Secret('{CANARY}')]))\n"
        f"thread = threading.Thread(target=lambda: int('{CANARY}')); thread.start(); thread.join()"
    )
    said = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=120, check=True)
    assert '"level": "CRITICAL"' in said.stderr
    assert "invalid literal" in said.stderr
    assert CANARY not in said.stderr
