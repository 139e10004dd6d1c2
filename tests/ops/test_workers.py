"""What our own processes are started with."""

from __future__ import annotations

from pathlib import Path

from sparktrends.ops.home import Home
from sparktrends.ops.workers import Worker, keeping_bytecode


def test_bytecode_is_kept_in_the_cache_when_it_must_not_lie_beside_the_sources() -> None:
    found = keeping_bytecode({"PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": "/c", "A": "b"})
    assert found == {"PYTHONPYCACHEPREFIX": "/c/sparktrends/bytecode", "XDG_CACHE_HOME": "/c", "A": "b"}


def test_an_ordinary_environment_stays_as_it_is() -> None:
    assert keeping_bytecode({"A": "b"}) == {"A": "b"}


def test_a_worker_is_our_own_command_with_its_home(tmp_path: Path) -> None:
    spec = Worker("stream", ["stream", "--shard", "1/2"], Home(tmp_path), {"A": "b"}, tmp_path).spec()
    assert list(spec.argv[3:]) == ["--home", str(tmp_path), "stream", "--shard", "1/2"]
    assert spec.env["A"] == "b"
    assert spec.output == tmp_path / "logs" / "stream.log"


def test_a_worker_keeps_the_address_at_which_a_cluster_calls_it(tmp_path: Path) -> None:
    spec = Worker("stream", ["stream"], Home(tmp_path), {"SPARK_LOCAL_IP": "10.0.0.7"}, tmp_path).spec()
    assert spec.env["SPARK_LOCAL_IP"] == "10.0.0.7"
