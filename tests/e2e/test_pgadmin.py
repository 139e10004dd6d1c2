"""pgAdmin from its PyPI package, with the files that its container is given: the server is there and opens unasked.

Needs an environment with pgAdmin, or its `bin` in SPARKTRENDS_PGADMIN: `python -m venv .venv-pgadmin`, and in it
`pip install "pgadmin4==9.*"` (which compiles against `libkrb5-dev`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from e2e.product import until
from sparktrends.ops import compose, ports
from sparktrends.ops.containers.services import SERVER
from sparktrends.ops.ports import LOOPBACK
from sparktrends.ops.supervise import bare_env, tied
from sparktrends.store.migrate import set_reader_password

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("SPARKTRENDS_PGADMIN", ROOT / ".venv-pgadmin" / "bin"))
EMAIL, PASSWORD, READER = "someone@example.com", "long-enough-for-pgadmin", "reader-of-a-test"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not (BIN / "python").exists(), reason="no pgAdmin here: see this file"),
]


class PgAdmin:
    """A pgAdmin in server mode in a folder of its own, prepared as the entry point of its image does it."""

    def __init__(self, folder: Path, server: dict[str, Any]) -> None:
        self.port = ports.any_free()
        self._folder, self._data = folder, folder / "data"
        (package,) = (BIN.parent / "lib").glob("python*/site-packages/pgadmin4")
        self._package = package
        settings = {"DATA_DIR": str(self._data), "DEFAULT_SERVER": LOOPBACK, "DEFAULT_SERVER_PORT": self.port}
        more = "".join(f"{name} = {value!r}\n" for name, value in settings.items())
        (folder / "config_distro.py").write_text(compose.files()["deploy/containers/pgadmin.conf"] + more)
        (folder / "servers.json").write_text(json.dumps({"Servers": {"1": SERVER | server}}))
        self._run("setup-db")
        self._run("load-servers", str(folder / "servers.json"), "--user", EMAIL)
        store = self._data / "storage" / EMAIL.replace("@", "_")
        store.mkdir(parents=True, exist_ok=True)
        (store / ".pgpass").write_text(f"{server['Host']}:{server['Port']}:*:sparktrends_reader:{READER}\n")
        (store / ".pgpass").chmod(0o600)

    @contextmanager
    def running(self) -> Iterator[httpx.Client]:
        """Somebody who has logged in."""
        with (self._folder / "log").open("wb") as log:
            argv = tied([str(BIN / "python"), str(self._package / "pgAdmin4.py")])
            process = subprocess.Popen(argv, env=self._env(), stdout=log, stderr=log)
        try:
            with httpx.Client(base_url=f"http://{LOOPBACK}:{self.port}", follow_redirects=True, timeout=60) as client:
                until(lambda: self._answers(client), 120, lambda: (self._folder / "log").read_text()[-3000:])
                self._log_in(client)
                yield client
        finally:
            process.kill()
            process.wait(20)

    def _answers(self, client: httpx.Client) -> bool:
        try:
            return client.get("/misc/ping").status_code == 200
        except httpx.TransportError:
            return False

    def _log_in(self, client: httpx.Client) -> None:
        page = client.get("/login").text
        (token,) = set(re.findall(r'csrfToken"?\s*:\s*"([^"]+)"', page))
        form = {"email": EMAIL, "password": PASSWORD, "csrf_token": token, "internal_button": "Login"}
        answer = client.post("/authenticate/login", data=form)
        assert answer.status_code == 200, answer.text[:500]
        script = client.get("/browser/js/utils.js").text
        client.headers["X-pgA-CSRFToken"] = re.findall(r"pgAdmin\['csrf_token'\] = '([^']+)'", script)[0]

    def _run(self, *words: str) -> None:
        argv = [str(BIN / "python"), str(self._package / "setup.py"), *words]
        done = subprocess.run(argv, env=self._env(), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr

    def _env(self) -> dict[str, str]:
        told = {"PGADMIN_SETUP_EMAIL": EMAIL, "PGADMIN_SETUP_PASSWORD": PASSWORD}
        return {**bare_env(os.environ), **told, "CONFIG_DISTRO_FILE_PATH": str(self._folder / "config_distro.py")}


def test_the_readers_server_is_there_and_opens_without_a_question(database: str, tmp_path: Path) -> None:
    set_reader_password(database, READER)
    at = psycopg.conninfo.conninfo_to_dict(database)
    server = {"Host": str(at["host"]), "Port": int(at["port"] or 0), "MaintenanceDB": at["dbname"]}
    pgadmin = PgAdmin(tmp_path, server)
    with pgadmin.running() as client:
        (found,) = client.get("/browser/server/nodes/1/").json()["result"]
        assert found["label"] == "SparkTrends"
        opened = client.post(f"/browser/server/connect/1/{found['_id']}")
        assert opened.status_code == 200, opened.text
        assert opened.json()["data"]["connected"] is True
        names = [node["label"] for node in client.get(f"/browser/database/nodes/1/{found['_id']}/").json()["data"]]
        assert at["dbname"] in names
