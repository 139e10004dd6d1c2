"""The container files: equal to the template, valid, confined, without a default secret, with commands that exist."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import jsonschema
import psycopg
import pytest
import yaml

from e2e import composed
from sparktrends.errors import BadSetting
from sparktrends.ops import accounts, compose, sbom
from sparktrends.ops.cli import main
from sparktrends.ops.containers import install
from sparktrends.ops.containers.secured_broker import ADMIN
from sparktrends.ops.containers.services import _FORGETTING, _REMEMBERED, BUILDERS
from sparktrends.ops.containers.shape import writing
from sparktrends.ops.jars import Resolver
from sparktrends.ops.java import Java
from sparktrends.ops.postgres_server import psql
from sparktrends.ops.settings import NAMES, load
from sparktrends.ops.up import PARTS
from sparktrends.spark import Settings

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "tests" / "deploy" / "compose-spec.json"
"""The Compose specification's own schema (compose-go 2.4.9, Apache 2.0)."""
WANTED = {
    "postgres": {5434}, "kafka": {9094}, "kafka-ui": {8085}, "pgadmin": {5050}, "spark-master": {7077, 8081},
    "spark-worker": set(), "runner": set(), "ingest": set(), "alerts": set(), "follow": set(),
    "api": {8000}, "dashboard": {8501}, "airflow": {8080}, "prometheus": {9090}, "grafana": {3000}, "setup": set(),
}  # fmt: skip
"""Service → ports on this machine, as the issue names them."""
SPARKTRENDS = "/opt/venv/bin/sparktrends"
VARIABLE = re.compile(r"\$\{(\w+)(:?[-?])?([^}]*)\}")


def services(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = document["services"]
    return found


@pytest.mark.parametrize("path", compose.files())
def test_the_file_in_the_repository_is_what_the_template_makes(path: str) -> None:
    assert (ROOT / path).read_text() == compose.files()[path], "python -m sparktrends.ops.compose"


@pytest.mark.parametrize("path", ["docker-compose.yml", "docker-compose.prod.yml"])
def test_compose_files_keep_to_the_specification(path: str) -> None:
    rules = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))
    rules.validate(yaml.safe_load((ROOT / path).read_text()))


def test_documents_name_volumes_that_are_there_and_productions_beside_them() -> None:
    text = (ROOT / "docs" / "cluster.md").read_text()
    named = re.findall(r"`market_(\w+)`", text)
    pairs = re.findall(r"`market_(\w+)`[^`]{1,40}`market-production-(\w+)`", text)
    assert pairs == [(name, name) for name in named]
    for name in named:
        assert (compose.base()["name"], name in compose.base()["volumes"]) == ("market", True)
        assert compose.production()["volumes"][name]["name"] == f"market-production-{name}"


def test_services_and_ports_are_those_that_people_know() -> None:
    found = {
        name: {int(port.split(":")[1]) for port in service.get("ports", ())}
        for name, service in services(compose.base()).items()
    }
    assert found == WANTED
    assert services(compose.base())["postgres"]["container_name"] == "market-postgres"


@pytest.mark.parametrize("name", WANTED)
def test_a_container_may_do_nothing_it_need_not(name: str) -> None:
    service = services(compose.base())[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "pgadmin" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert service["deploy"]["resources"]["limits"].keys() == {"memory", "cpus", "pids"}
    assert name == "setup" or "healthcheck" in service
    volumes = {volume.split(":")[0] for volume in service.get("volumes", ())}
    assert {name for name in volumes if not name.startswith("./")} <= compose.base()["volumes"].keys()
    assert all((ROOT / name).exists() for name in volumes if name.startswith("./"))


def variables(text: str) -> Iterator[tuple[str, str, str]]:
    return ((found[1], found[2] or "", found[3]) for found in VARIABLE.finditer(text))


@pytest.mark.parametrize("document", [compose.base(), compose.production()], ids=["base", "production"])
def test_what_a_container_is_given_is_a_file_that_is_there(document: dict[str, Any]) -> None:
    # Compose refuses a `content` for a service whose root is read-only: "`file` is the sole supported option".
    files = {name: config["file"].removeprefix("./") for name, config in document["configs"].items()}
    assert set(files.values()) <= compose.project().keys() & compose.files().keys()
    assert not [name for name, path in files.items() if VARIABLE.search(compose.files()[path])]
    base = {*compose.base()["configs"], *files}
    given = [config for service in services(document).values() for config in service.get("configs", ())]
    assert {config["source"] for config in given} <= base
    assert all(config.keys() == {"source", "target"} for config in given)


def test_a_container_writes_what_is_secret_into_its_own_memory(tmp_path: Path) -> None:
    texts = {f"{tmp_path}/a/one": "a 'b' \"c\" $d %s\\n\n", f"{tmp_path}/a/two": "2"}
    made = writing(texts, ["sh", "-c", 'cat "$1"; ls -l "$1"; env', "sh", f"{tmp_path}/a/one"])
    script = [word.replace("$$", "$") for word in made["entrypoint"]]
    done = subprocess.run(script, env={**os.environ, **made["environment"]}, capture_output=True, text=True, check=True)
    assert {path: Path(path).read_text() for path in texts} == texts
    assert done.stdout.startswith(texts[f"{tmp_path}/a/one"] + "-rw-------")
    assert "FILE_1" not in done.stdout


def test_no_secret_has_a_default() -> None:
    asked = {
        name: kind for path in compose.files() for name, kind, _ in variables(compose.files()[path]) if "yml" in path
    }
    secrets = {name for name in asked if re.search("PASSWORD|SECRET", name)}
    assert secrets >= {"POSTGRES_PASSWORD", "POSTGRES_READER_PASSWORD", "POSTGRES_SUPERUSER_PASSWORD", "SPARK_SECRET"}
    assert {name for name in secrets if asked[name] != ":?"} == set()
    # Keys of providers may be left out, and then are empty.
    defaults = {n: d for n, kind, d in variables(compose.files()["docker-compose.yml"]) if kind == ":-"}
    assert {defaults[name] for name in defaults if name.endswith(("_KEY", "WEBHOOK"))} == {""}


def test_what_has_to_be_set_stands_in_the_example() -> None:
    example = compose.files()[".env.example"]
    for path in ("docker-compose.yml", "docker-compose.prod.yml"):
        needed = {name for name, kind, _ in variables(compose.files()[path]) if kind == ":?"}
        assert [name for name in needed if f"{name}=" not in example] == []


def test_production_takes_every_image_by_a_digest_that_a_person_pins() -> None:
    overlay = services(compose.production())
    begun = {
        value: name
        for service in overlay.values()
        for name, value in service.get("build", {}).get("args", {}).items()
        if name.endswith(("BASE", "IMAGE"))
    }
    assert {VARIABLE.sub(r"\1", value) for value in begun} == {
        f"{name}_IMAGE" for name in ("PYTHON", "PYTHON_DEV", "POSTGRES", "KAFKA")
    }
    assert all(re.fullmatch(r"\$\{[A-Z_]+_IMAGE:\?.*sha256.*\}", value) for value in begun)
    # Whatever else runs there is built here.
    assert {service["image"] for service in overlay.values() if "image" in service} <= built(compose.production())
    assert overlay.keys() - {"kafka-format", "accounts"} <= services(compose.base()).keys()


def test_production_gives_each_of_our_services_an_account_of_its_own() -> None:
    overlay = services(compose.production())
    entered = {name: service["environment"] for name, service in overlay.items() if name in {*ours(), "airflow"}}
    users = {name: values["KAFKA_SASL_USERNAME"] for name, values in entered.items()}
    assert users.pop("setup") == ADMIN
    assert users["follow"] == users["airflow"] == "batch"
    assert set(users.values()) == set(accounts.NAMES) - {"audit"}
    for name, user in users.items():
        own = entered[name]
        assert own["POSTGRES_USER"] == accounts.PREFIX + user
        assert own["KAFKA_SASL_PASSWORD"] == own["POSTGRES_PASSWORD"] == f"${{{user.upper()}_PASSWORD:?set it in .env}}"
        assert overlay[name]["depends_on"] == {"accounts": {"condition": "service_completed_successfully"}}
    made = overlay["kafka-format"]["environment"]["FILE_2"]
    assert re.findall(r"name=(\w+)", made) == [ADMIN, *accounts.NAMES]


PROVIDERS = {"FINNHUB_API_KEY", "TWELVE_DATA_API_KEY", "ALPHA_VANTAGE_API_KEY"}
OWNER, READER = "POSTGRES_PASSWORD", "POSTGRES_READER_PASSWORD"
SECRETS = {
    "postgres": {"POSTGRES_SUPERUSER_PASSWORD", OWNER}, "kafka": set(), "kafka-ui": set(), "prometheus": set(),
    "pgadmin": {"PGADMIN_PASSWORD", READER}, "grafana": {"GRAFANA_PASSWORD"}, "spark-master": {"SPARK_SECRET"},
    "spark-worker": {"SPARK_SECRET"}, "setup": {OWNER, READER}, "runner": {OWNER, "SPARK_SECRET"}, "follow": {OWNER},
    "ingest": {OWNER, "BINANCE_API_KEY", *PROVIDERS}, "alerts": {OWNER, "SLACK_WEBHOOK"}, "api": {OWNER, READER},
    "dashboard": {OWNER, READER}, "airflow": {OWNER, *PROVIDERS},
}  # fmt: skip
"""Service → the secrets that it is given on one machine."""
BROKER, EACH = "KAFKA_ADMIN_PASSWORD", {accounts.secret_of(name) for name in accounts.NAMES}
"""The broker's administrator, and each service's own password."""
SECURED = {
    **SECRETS,
    # Who makes the accounts; the controllers of the running broker know each other by certificate.
    "postgres": SECRETS["postgres"] | EACH, "kafka-format": {BROKER} | EACH, "kafka": {BROKER},
    "setup": {OWNER, READER, BROKER}, "accounts": {OWNER, BROKER}, "runner": {"STREAM_PASSWORD", "SPARK_SECRET"},
    "follow": {"BATCH_PASSWORD"}, "ingest": {"INGEST_PASSWORD", "BINANCE_API_KEY", *PROVIDERS},
    "alerts": {"ALERTS_PASSWORD", "SLACK_WEBHOOK"}, "api": {"API_PASSWORD", READER},
    "dashboard": {"DASHBOARD_PASSWORD", READER}, "airflow": {"BATCH_PASSWORD", *PROVIDERS},
}  # fmt: skip
"""Service → the secrets that it is given in production."""


def secrets_of(service: dict[str, Any]) -> set[str]:
    """The variables of `.env` that hold a secret and reach this container in any way."""
    named = {name for name, *_ in variables(yaml.safe_dump(service, width=10**6))}
    return {name for name in named if re.search("PASSWORD|SECRET|_KEY|WEBHOOK", name)}


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """A service of both files, as Compose merges them: variables and builds by name, the rest is the overlay's."""
    both = {key: {**base.get(key, {}), **over.get(key, {})} for key in ("environment", "build")}
    return {**base, **over, **{key: values for key, values in both.items() if values}}


def test_a_service_is_given_the_secrets_that_it_needs_and_no_other() -> None:
    base, overlay = services(compose.base()), services(compose.production())
    assert {name: secrets_of(service) for name, service in base.items()} == SECRETS
    names = base.keys() | overlay.keys()
    assert {name: secrets_of(merged(base.get(name, {}), overlay.get(name, {}))) for name in names} == SECURED


def test_no_door_of_productions_broker_is_open_to_strangers() -> None:
    text = services(compose.production())["kafka"]["environment"]["FILE_1"]
    told = dict(line.split("=", 1) for line in text.splitlines())
    assert told["listener.security.protocol.map"] == "INSIDE:SASL_SSL,OUTSIDE:SASL_SSL,CONTROLLER:SSL"
    assert told["listener.name.controller.ssl.client.auth"] == "required"
    assert told["allow.everyone.if.no.acl.found"] == "false"
    assert "StandardAuthorizer" in told["authorizer.class.name"]


def test_production_enters_the_database_by_a_certificate_that_it_checks_and_nobody_without_tls() -> None:
    overlay = services(compose.production())
    words = overlay["postgres"]["command"]
    base = services(compose.base())["postgres"]["command"]
    assert words[: len(base)] == base, "Compose replaces a command"
    told = dict(word.split("=", 1) for word in words[2::2])
    assert told["ssl"] == "on"
    ways = [line.split() for line in compose.files()["deploy/containers/pg_hba.conf"].splitlines()]
    assert [way[0] for way in ways] == ["local", "hostssl"]
    assert all(way[-1] == "scram-sha-256" for way in ways)
    # What these settings name is what the container is given.
    mounted = {volume["target"] for volume in overlay["postgres"]["volumes"]}
    mounted |= {config["target"] for config in overlay["postgres"]["configs"]}
    assert {told["ssl_cert_file"], told["ssl_key_file"], told["hba_file"]} <= mounted
    for name in {*ours(), "airflow", "accounts"}:
        authority = overlay[name]["environment"]["POSTGRES_SSLROOTCERT"]
        assert authority in {volume["target"] for volume in given_certificates(overlay[name])}, name
    pgadmin = overlay["pgadmin"]
    assert '"sslmode": "verify-full"' in pgadmin["environment"]["FILE_2"]
    assert pgadmin["environment"]["PGSSLROOTCERT"] in {volume["target"] for volume in given_certificates(pgadmin)}


def given_certificates(service: dict[str, Any]) -> list[dict[str, Any]]:
    """The files of `certificates` that a container finds."""
    return [volume for volume in service.get("volumes", ()) if not isinstance(volume, str)]


def test_the_certificates_that_production_reads_are_made_as_documented(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    block = re.search(
        r"^(sh -eu <<'end'\n.+?\nend)$", (ROOT / "docs" / "cluster.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert block
    (tmp_path / "bin").mkdir()
    sudo = tmp_path / "bin" / "sudo"
    sudo.write_text("#!/bin/sh\n")
    sudo.chmod(0o755)
    env, clone = {"PATH": f"{sudo.parent}:{os.environ['PATH']}"}, tmp_path / "clone"
    clone.mkdir()
    subprocess.run(["sh", "-c", block[1]], cwd=clone, env=env, check=True, capture_output=True)
    # What git ignores, so the authority's key too.
    assert [path.name for path in clone.iterdir()] == ["certificates"]
    for name in ("kafka", "postgres"):
        argv = ["openssl", "verify", "-CAfile", "ca.crt", "-verify_hostname", name, f"{name}.pem"]
        subprocess.run(argv, cwd=clone / "certificates", check=True, capture_output=True)
    mounted = [volume for service in services(compose.production()).values() for volume in given_certificates(service)]
    assert {volume["source"] for volume in mounted} == {
        f"./certificates/{name}" for name in ("ca.crt", "kafka.pem", "postgres.pem")
    }
    for volume in mounted:
        mode = (clone / volume["source"]).stat().st_mode & 0o777
        assert mode == (0o644 if volume["source"].endswith("ca.crt") else 0o600)
        # Else Docker makes a folder of that name, and it is root's.
        assert (volume["type"], volume["read_only"], volume["bind"]) == ("bind", True, {"create_host_path": False})
    again = subprocess.run(["sh", "-c", block[1]], cwd=clone, env=env, check=False, capture_output=True)
    assert again.returncode != 0, "another authority would be put over one in use"


def test_no_image_has_the_modes_of_a_clone() -> None:
    for name in ("app", "spark", "airflow", "owned"):
        last = compose.files()[f"deploy/images/{name}.Dockerfile"].rpartition("\nFROM ")[2]
        assert all("--from=" in line for line in last.splitlines() if line.startswith("COPY")), name


@pytest.mark.parametrize("files", [(composed.BASE,), (composed.BASE, composed.PRODUCTION)], ids=["one", "production"])
def test_every_script_of_a_new_database_lies_where_the_entry_point_of_its_image_looks(files: tuple[str, ...]) -> None:
    told = dict.fromkeys(composed.asked(*files), "x")
    run = composed.initdb_scripts(composed.services(told, *files)["postgres"])
    assert [Path(target).name for target in run] == ["10-owner.sql", "20-accounts.sql"][: len(files)]


def test_a_stopped_database_asks_its_sessions_to_leave_and_has_the_time_for_it() -> None:
    # SIGTERM would have it wait for the pools of all others, until it is killed; Chainguard's image names no signal.
    for document in (compose.base(), compose.production()):
        told = {**services(compose.base())["postgres"], **services(document)["postgres"]}
        assert (told["stop_signal"], told["stop_grace_period"]) == ("SIGINT", "60s")


@pytest.mark.parametrize("during", ["db", "standalone"])
def test_airflow_hears_the_signal_while_it_prepares_and_while_it_runs(tmp_path: Path, during: str) -> None:
    program = tmp_path / "airflow"
    program.write_text(
        f"#!{sys.executable}\nimport sys, time\nprint(sys.argv[1], flush=True)\n"
        "time.sleep({'db': 1, 'standalone': 60}.get(sys.argv[1], 0))\n"
    )
    program.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    entry = services(compose.base())["airflow"]["entrypoint"]
    with subprocess.Popen(entry, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        said = []
        while not said or said[-1] != during:
            said.append(process.stdout.readline().strip())
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
        assert process.wait(20) in (130, -signal.SIGINT)


def test_airflow_is_stopped_by_the_signal_on_which_it_ends_its_tasks() -> None:
    # `airflow standalone` ends its parts on Ctrl-C alone; at a SIGTERM it dies, and its tasks with it.
    airflow = services(compose.base())["airflow"]
    assert airflow["stop_signal"] == "SIGINT"
    assert airflow["entrypoint"][-1].endswith("&& exec airflow standalone")
    assert airflow["stop_grace_period"] == services(compose.base())["follow"]["stop_grace_period"]


def built(overlay: dict[str, Any] | None = None) -> set[str]:
    """The images that are built from this repository, each by one service."""
    both = services(compose.base()) | {
        name: merged(services(compose.base()).get(name, {}), more)
        for name, more in (services(overlay) if overlay else {}).items()
    }
    made = [service["image"] for service in both.values() if "dockerfile" in service.get("build", {})]
    assert len(set(made)) == len(made)
    return set(made)


def test_an_image_is_built_once_and_after_the_one_that_it_begins_from() -> None:
    # Compose builds all at once and reads no Dockerfile: what one begins from is said in the file, or is not there yet.
    assert built() == set(BUILDERS)
    base = services(compose.base())
    for service in base.values():
        if build := service.get("build"):
            text = (ROOT / build["dockerfile"]).read_text()
            contexts = build.get("additional_contexts", {})
            named = set(re.findall(r"^FROM (\S+)", text, re.MULTILINE))
            assert {name for name in named if not name.startswith("$")} == contexts.keys()
            assert {"build" in base[of.removeprefix("service:")] for of in contexts.values()} <= {True}
            # A default that is an image of ours would be looked for at Docker Hub.
            assert "sparktrends" not in "".join(re.findall(r"^ARG .*$", text, re.MULTILINE))
    # The overlay gives arguments to who builds, and makes no second builder.
    assert built(compose.production()) >= built()


def test_production_keeps_its_data_apart_and_in_folders_of_their_users() -> None:
    base, overlay = compose.base(), compose.production()
    assert overlay["volumes"].keys() == base["volumes"].keys()
    assert all(volume["name"] == f"market-production-{name}" for name, volume in overlay["volumes"].items())
    for name, of in (("postgres", "postgres"), ("kafka", "kafka-format")):
        arguments = services(overlay)[of]["build"]["args"]
        (place,) = (
            target
            for source, target in (volume.split(":")[:2] for volume in services(base)[name]["volumes"])
            if source == name
        )
        assert arguments["FOLDER"] == place
        assert arguments["OWNER"] == services(overlay)[name]["user"] == services(overlay)[of]["user"]
        assert services(overlay)[name]["image"] == services(overlay)[of]["image"]
    assert services(overlay)["postgres"]["environment"]["PGDATA"].startswith(
        services(base)["postgres"]["volumes"][0].split(":")[1] + "/"
    )


SIZES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
SIZE = re.compile(r"(\d+)([kmg]?)")


def size(text: str) -> int:
    found = SIZE.fullmatch(text)
    assert found, text
    return int(found[1]) * SIZES[found[2]]


def heaps(name: str, service: dict[str, Any]) -> int:
    """What the Java programs of a container may take, and PostgreSQL's own memory."""
    told = service.get("environment", {})
    found = re.findall(r"-Xmx(\w+)", " ".join(str(told.get(key, "")) for key in ("KAFKA_HEAP_OPTS", "JAVA_OPTS")))
    found += [told[key] for key in ("SPARK_DAEMON_MEMORY",) if key in told]
    words = service.get("command", [])
    found += [words[words.index("--memory") + 1]] if "--memory" in words else []
    # A driver, its jobs' too; shared_buffers as PostgreSQL has it.
    found += {"runner": [Settings.memory], "airflow": [Settings.memory], "postgres": ["128m"]}.get(name, [])
    return sum(map(size, found))


@pytest.mark.parametrize("files", [1, 2], ids=["one machine", "production"])
def test_what_lies_in_memory_leaves_a_quarter_of_it_beside_the_heap(files: int) -> None:
    base, overlay = services(compose.base()), services(compose.production()) if files == 2 else {}
    for name in base.keys() | overlay.keys():
        service = merged(base.get(name, {}), overlay.get(name, {}))
        folders = [*base.get(name, {}).get("tmpfs", ()), *overlay.get(name, {}).get("tmpfs", ())]
        sizes = {
            folder: re.findall(r"\bsize=(\w+)", options) for folder, options in (one.split(":") for one in folders)
        }
        assert all(len(found) == 1 for found in sizes.values()), (name, sizes)
        taken = sum(size(found) for (found,) in sizes.values()) + size(service.get("shm_size", "0"))
        limit = size(service["deploy"]["resources"]["limits"]["memory"])
        assert taken + heaps(name, service) <= limit * 3 // 4, name
        if "spark" in service["image"] and "SPARK_CONF_DIR" in service.get("environment", {}):
            said = dict(line.split(maxsplit=1) for line in service["environment"]["FILE_1"].splitlines())
            kept = int(said["spark.executor.logs.rolling.maxSize"]) * (
                1 + int(said["spark.executor.logs.rolling.maxRetainedFiles"])
            )
            assert "rootLogger.level = warn\n" in service["environment"]["FILE_2"]
            # Two streams of words, of the executor that runs and of the one before it.
            assert 4 * kept < size("128m")


def test_the_broker_writes_no_log_into_its_root_and_none_that_grows() -> None:
    base, overlay = services(compose.base())["kafka"], services(compose.production())
    for service in (base, merged(base, overlay["kafka"]), overlay["kafka-format"]):
        assert service["environment"]["LOG_DIR"].startswith("/tmp/")
        assert service["environment"]["KAFKA_GC_LOG_OPTS"] == " ", "its script takes an empty one for none"
    (given,) = overlay["kafka"]["configs"]
    assert overlay["kafka"]["environment"]["KAFKA_LOG4J_OPTS"] == f"-Dlog4j2.configurationFile={given['target']}"
    assert "File" not in compose.files()[f"deploy/containers/{given['source']}"].replace("Files", "")


def test_the_scripts_of_another_image_of_kafka_may_lie_elsewhere() -> None:
    overlay = services(compose.production())
    for name, script in (("kafka", "kafka-server-start.sh"), ("kafka-format", "kafka-storage.sh")):
        assert f"${{KAFKA_SCRIPTS:-/usr/lib/kafka/bin}}/{script}" in overlay[name]["entrypoint"]
    assert "\n#KAFKA_SCRIPTS=/opt/kafka/bin\n" in compose.files()[".env.example"]


def test_a_source_that_ends_need_not_begin_again() -> None:
    restart = services(compose.base())["ingest"]["restart"]
    assert restart == "${SPARKTRENDS_INGEST_RESTART:-unless-stopped}"
    lines = compose.files()[".env.example"].splitlines()
    assert lines[lines.index("#SPARKTRENDS_SOURCE=demo") + 1] == "#SPARKTRENDS_INGEST_RESTART=on-failure"
    (offered,) = (line for line in lines if line.startswith("# What to take in:"))
    assert "demo" not in offered


def test_what_spark_runs_in_its_image_is_what_a_start_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, spark = tmp_path / "cache", tmp_path / "pyspark"
    (spark / "jars").mkdir(parents=True)
    cache.mkdir()
    jar = cache / "connector.jar"
    jar.write_bytes(b"as jars.lock has it")
    monkeypatch.setattr("sparktrends.ops.java.find", lambda *_: Java(tmp_path / "java", 17))
    monkeypatch.setattr(Resolver, "ensure", lambda *_: {"connector": (jar,)})
    monkeypatch.setattr(install, "spark_folder", lambda: spark)
    (tmp_path / "opt").mkdir()
    install.install(tmp_path / "opt")
    jar.write_bytes(b"one byte differs")
    assert (tmp_path / "opt" / "spark" / "jars" / "connector.jar").read_bytes() == b"one byte differs"


def ours() -> list[str]:
    return [
        name
        for name, service in services(compose.base()).items()
        if "sparktrends" in service["image"] and service.get("entrypoint", [SPARKTRENDS])[-1] == SPARKTRENDS
    ]


def test_our_processes_are_among_the_services() -> None:
    assert set(ours()) == {"setup", "ingest", "runner", "alerts", "follow", "api", "dashboard"}


def test_every_part_that_up_runs_has_a_container() -> None:
    words = {"batch": "batch follow", "stream": "stream", "ingest": "ingest"}
    run = [" ".join(services(compose.base())[name]["command"]) for name in ours()]
    assert [part for part in PARTS if not any(command.startswith(words.get(part, part)) for command in run)] == []


def test_a_folder_in_memory_belongs_to_the_user_of_its_container() -> None:
    for name, over in services(compose.production()).items():
        merged = {**services(compose.base()).get(name, {}), **over}
        # As Compose merges them: the overlay's after the base's, and the last word of one folder counts.
        said = [*services(compose.base()).get(name, {}).get("tmpfs", ()), *over.get("tmpfs", ())]
        owners = {folder: re.findall(r"uid=(\d+)", options) for folder, options in (one.split(":") for one in said)}
        if user := merged.get("user"):
            assert {uid for uids in owners.values() for uid in uids} <= {user.split(":")[0]}, name


def test_a_java_that_reads_records_may_load_what_unpacks_them() -> None:
    # zstd-jni and snappy-java write a library to java.io.tmpdir and map it; Docker mounts a tmpfs `noexec`.
    base, overlay = services(compose.base()), services(compose.production())
    both = {name: merged(base.get(name, {}), over) for name, over in {**base, **overlay}.items()}
    for name, service in both.items():
        folders = dict(one.split(":") for one in [*base.get(name, {}).get("tmpfs", ()), *service.get("tmpfs", ())])
        may = "exec" in folders["/tmp"].split(",") if "/tmp" in folders else False
        # The driver of the runner has its folder in the volume.
        assert may == (name in {"kafka", "kafka-format", "kafka-ui", "spark-worker"}), name


def test_a_master_remembers_in_a_volume_that_its_user_owns() -> None:
    master = services(compose.base())["spark-master"]
    (volume,) = master["volumes"]
    folder = volume.partition(":")[2]
    said = dict(line.split(maxsplit=1) for line in master["environment"]["FILE_1"].splitlines())
    assert said["spark.deploy.recoveryMode"] == "FILESYSTEM"
    assert said["spark.deploy.recoveryDirectory"].startswith(f"{folder}/")
    for name in ("spark-worker", "runner"):
        assert "recovery" not in services(compose.base())[name]["environment"]["FILE_1"]
    image = compose.files()["deploy/images/spark.Dockerfile"].rpartition("\nFROM ")[2]
    assert re.search(rf"^COPY .*--chown=65532:65532 \S+ {folder}$", image, re.MULTILINE)


def test_a_master_forgets_what_was_before_this_machine_started(tmp_path: Path) -> None:
    script = _FORGETTING.replace("$$", "$").replace(_REMEMBERED, str(tmp_path))
    kept = tmp_path / "recovery" / "worker_1"

    def start() -> str:
        argv = ["sh", "-euc", script, "sh", "echo", "the master"]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    assert start() == "the master\n"
    kept.parent.mkdir()
    kept.touch()
    start()
    assert kept.exists()
    (tmp_path / "of").write_text("another boot, or another Spark")
    start()
    assert not kept.exists()


def test_workers_can_be_several_for_each_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = services(compose.base())["spark-worker"]
    assert not {"hostname", "container_name", "ports"} & worker.keys()
    assert "spark-worker" not in json.dumps(worker)
    script = [word.replace("$$", "$") for word in worker["entrypoint"]]
    end = script.index("/opt/spark/bin/spark-class")
    told = {**os.environ, **worker["environment"], "FILE_1": "", "FILE_2": ""}
    done = subprocess.run([*script[:end], "env"], env=told, capture_output=True, text=True, check=True)
    said = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("SPARK_LOCAL_"))
    assert said["SPARK_LOCAL_IP"] == said["SPARK_LOCAL_HOSTNAME"] == os.uname().nodename
    # Its page listens at that name alone.
    asked: list[str] = []
    monkeypatch.setattr("urllib.request.urlopen", lambda url, **_: asked.append(url))
    exec(worker["healthcheck"]["test"][-1], {})
    page = worker["command"][worker["command"].index("--webui-port") + 1]
    assert asked == [f"http://{os.uname().nodename}:{page}/json/"]


def test_pgadmin_opens_the_database_that_the_settings_name() -> None:
    pgadmin = services(compose.base())["pgadmin"]
    path = pgadmin["environment"]["PGADMIN_SERVER_JSON_FILE"]
    assert f'> "{path}"' in pgadmin["entrypoint"][2]
    named = VARIABLE.sub(lambda found: "theirs" if found[1] == "POSTGRES_DB" else "", pgadmin["environment"]["FILE_2"])
    assert json.loads(named)["Servers"]["1"]["MaintenanceDB"] == "theirs"


@pytest.mark.parametrize("name", ours())
def test_a_command_of_ours_exists_and_takes_its_arguments(name: str) -> None:
    words = [VARIABLE.sub(lambda found: found[3], word) for word in services(compose.base())[name]["command"]]
    parent = click.Context(main)
    command = main.get_command(parent, words[0])
    assert command is not None, words
    command.make_context(words[0], words[1:], parent=parent)  # raises UsageError for an option that is not there


def test_containers_are_told_settings_that_exist() -> None:
    for name in ours():
        told = services(compose.base())[name]["environment"].keys()
        assert {
            word for word in told if not word.startswith(("SPARK_LOCAL", "FILE_")) and word != "SPARK_CONF_DIR"
        } <= NAMES.keys()


@contextmanager
def as_user(uid: int) -> Iterator[None]:
    """This process with the rights of a user and its group."""
    groups, mask = os.getgroups(), os.umask(0o022)
    os.setgroups([])
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
        os.umask(mask)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be the user of a container")
def test_the_settings_file_that_is_written_as_documented_is_read_in_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = re.search(
        r"docker compose run (.+?) -c '(.+?)' < sparktrends.toml", (ROOT / "docs" / "cluster.md").read_text(), re.DOTALL
    )
    assert told
    *_, entry, service = told[1].split()
    assert Path(entry).parent == Path(SPARKTRENDS).parent
    assert "home:/var/lib/sparktrends" in services(compose.base())[service]["volumes"]
    image = (ROOT / "deploy" / "images" / "app.Dockerfile").read_text()
    assert "\nWORKDIR /var/lib/sparktrends\n" in image
    uid = int(image.rpartition("\nUSER ")[2].partition(":")[0])

    volume = tmp_path / "home"
    volume.mkdir()
    os.chown(volume, uid, uid)
    monkeypatch.chdir(volume)
    # What `docker compose cp` would leave there, and has left there for some.
    stale = Path("sparktrends.toml")
    stale.touch(0o600)
    env = {"SPARKTRENDS_CONTAINER": "1"}
    assert load(env).tables == {}, "its owner reads it; and Python has all that it needs for that in memory"
    with as_user(uid), pytest.raises(BadSetting, match="cannot be read"):
        load(env)

    (tmp_path / "sparktrends.toml").write_text('[channels.ops]\nurl = "https://x.example/tiger"\n')
    (tmp_path / "sparktrends.toml").chmod(0o600)
    with (tmp_path / "sparktrends.toml").open() as file, as_user(uid):
        monkeypatch.setattr("sys.stdin", file)
        exec(told[2], {})
        assert "tiger" in str(load(env).secrets())
    assert [(path.name, path.stat().st_uid, path.stat().st_mode & 0o777) for path in volume.iterdir()] == [
        ("sparktrends.toml", uid, 0o600)
    ]


def test_a_new_project_has_all_that_its_containers_are_given() -> None:
    written = compose.project()
    bound = [volume.split(":")[0] for one in services(compose.base()).values() for volume in one.get("volumes", ())]
    wanted = [path.removeprefix("./") for path in bound if path.startswith("./")]
    assert len(wanted) >= 3
    assert all(any(name == path or name.startswith(f"{path}/") for name in written) for path in wanted), wanted


def test_files_of_the_repository_lie_in_the_wheel_too() -> None:
    put = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    packed = [source for source, to in put["force-include"].items() if to == f"sparktrends/ops/repository/{source}"]
    for name in (*compose._MOUNTED, *sbom.LOCKS):
        assert compose.beside(name) == (ROOT / name).read_text()
        assert any(name == source or name.startswith(f"{source}/") for source in packed), name


def test_the_images_superuser_has_a_name_that_no_owner_has() -> None:
    for service in (services(compose.base())["postgres"], services(compose.production())["postgres"]):
        told = {**services(compose.base())["postgres"]["environment"], **service["environment"]}
        assert told["POSTGRES_USER"] not in ("postgres", "sparktrends", *map(accounts.role_of, accounts.NAMES))
        # Else the image makes one of the superuser's name.
        assert told["POSTGRES_DB"] == "postgres"
    check = services(compose.base())["postgres"]["healthcheck"]["test"]
    assert check[-1] == told["POSTGRES_USER"]
    assert f"psql -U {told['POSTGRES_USER']} " in (ROOT / "docs" / "cluster.md").read_text()


@pytest.mark.e2e
@pytest.mark.parametrize("there", [False, True], ids=["a new database", "one that is there, as postgres is"])
def test_the_owner_that_the_container_makes_is_no_superuser_and_owns_its_database(superuser: str, there: bool) -> None:
    script = ROOT / "src" / "sparktrends" / "ops" / "containers" / "owner.sql"
    told = {"SPARKTRENDS_USER": "own'er", "SPARKTRENDS_PASSWORD": "p\"w'd $x", "SPARKTRENDS_DB": "of container"}
    argv = [str(psql()), superuser, "-v", "ON_ERROR_STOP=1", "-f", str(script)]
    with psycopg.connect(superuser, autocommit=True) as connection:
        if there:
            connection.execute('CREATE DATABASE "of container"')
        # Once more, too: what is there already is no error.
        for _ in range(2):
            subprocess.run(argv, env={**os.environ, **told}, check=True, capture_output=True)
        entered = {"user": "own'er", "password": told["SPARKTRENDS_PASSWORD"], "dbname": "of container"}
        psycopg.connect(**(psycopg.conninfo.conninfo_to_dict(superuser) | entered)).close()
        role = connection.execute("SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = %s", ("own'er",))
        assert role.fetchall() == [(False, True)]
        owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'of container'"
        assert connection.execute(owner).fetchall() == [("own'er",)]
        told["SPARKTRENDS_USER"] = psycopg.conninfo.conninfo_to_dict(superuser)["user"]
        refused = subprocess.run(argv, env={**os.environ, **told}, check=False, capture_output=True, text=True)
        assert (refused.returncode, "must have the SUPERUSER attribute" in refused.stderr) == (3, True), refused.stderr
        connection.execute('DROP DATABASE "of container"')
        connection.execute('DROP ROLE "own\'er"')


@pytest.mark.e2e
def test_the_roles_that_the_container_makes_log_in_with_their_passwords(superuser: str) -> None:
    # Roles belong to the whole server, which other tests use too.
    script = compose.files()["deploy/containers/accounts.sql"].replace(accounts.PREFIX, "of_container_")
    passwords = {f"{name.upper()}_PASSWORD": f"p\"w'd ${name}" for name in accounts.NAMES}
    argv = [str(psql()), superuser, "-v", "ON_ERROR_STOP=1", "-f", "-"]
    subprocess.run(argv, env={**os.environ, **passwords}, input=script, check=True, capture_output=True, text=True)
    for name in accounts.NAMES:
        own = psycopg.conninfo.conninfo_to_dict(superuser) | {
            "user": f"of_container_{name}",
            "password": passwords[f"{name.upper()}_PASSWORD"],
        }
        with psycopg.connect(**own) as connection:
            assert connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (
                False,
            )
    with psycopg.connect(superuser, autocommit=True) as connection:
        for name in accounts.NAMES:
            connection.execute(f"DROP ROLE of_container_{name}")
