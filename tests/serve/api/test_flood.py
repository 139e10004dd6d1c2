"""Who asks well waits no longer because others ask badly; the API and its callers are processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from serve.api.world import World
from sparktrends.ops.bench.callers import BAD_RATE
from sparktrends.ops.ports import any_free

SECONDS = 15
PESTER = """
import json, sys
from sparktrends.ops.bench.callers import BAD_RATE, pester
print(json.dumps(pester(sys.argv[1], BAD_RATE, {})))
"""
ASK = """
import http.client, json, sys, time
connection, waited = http.client.HTTPConnection(sys.argv[1].removeprefix("http://"), timeout=30), []
began = time.perf_counter() + 1
while len(waited) < 40 * {}:
    due = began + len(waited) / 40
    time.sleep(max(0, due - time.perf_counter()))
    connection.request("GET", "/api/v1/bars?symbol=BTC/USD&limit=10")
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200 and len(json.loads(body)["data"]) == 10, body
    waited.append((time.perf_counter() - due) * 1e3)
print(json.dumps(sorted(waited)))
"""
"""Forty a second on one connection, each waiting since it was due."""


@contextmanager
def _api(world: World, home: Path) -> Iterator[str]:
    """`sparktrends api` for that database, which refuses nobody for asking often: its address."""
    (home / "sparktrends.toml").write_text("[api]\nrate = 1e6\nburst = 1e6\n")
    owner, reader = conninfo_to_dict(world.owner), conninfo_to_dict(world.reader)
    names = {"HOST": "host", "PORT": "port", "DB": "dbname", "USER": "user", "PASSWORD": "password"}
    env = {f"POSTGRES_{name}": str(owner[key]) for name, key in names.items()} | {
        "POSTGRES_READER_PASSWORD": str(reader["password"]),
        "KAFKA_BOOTSTRAP": "127.0.0.1:1",
    }
    command = [str(Path(sys.executable).parent / "sparktrends"), "--home", str(home), "api", "--port", str(any_free())]
    with subprocess.Popen(command, cwd=home, env={**os.environ, **env}, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            told = process.stderr.readline()
            assert told.startswith("API on http://"), told + process.stderr.read()
            yield told.split()[2].removesuffix("/api/v1")
        finally:
            process.terminate()


@pytest.mark.e2e
@pytest.mark.slow
def test_beside_a_thousand_bad_requests_a_second_who_asks_well_waits_a_tenth_of_a_second_at_most(
    world: World, tmp_path: Path
) -> None:
    with _api(world, tmp_path) as url:
        flood, callers = (
            subprocess.Popen([sys.executable, "-c", text, url], stdout=subprocess.PIPE, text=True)
            for text in (PESTER.format(SECONDS + 4), ASK.format(SECONDS))
        )
        with flood, callers:
            waited = json.loads(callers.communicate(timeout=120)[0])
            heard = json.loads(flood.communicate(timeout=120)[0])
    assert sum(heard.values()) == BAD_RATE * (SECONDS + 4)
    assert heard.keys() == {"400", "404", "415", "422"}
    p50, p99 = waited[len(waited) // 2], waited[int(len(waited) * 0.99)]
    print(f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {waited[-1]:.1f} ms")
    assert p99 <= 100
