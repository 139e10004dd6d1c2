"""The container files, all made here: ``python -m sparktrends.ops.compose`` writes them into the current folder.

Every container is without root, without capabilities and with a root it cannot write; ports are published on loopback
only; a secret that is not set stops `docker compose` before anything starts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from sparktrends.ops import accounts, kafka_server
from sparktrends.ops.containers.secured_broker import ADMIN, SecuredBroker, format_arguments
from sparktrends.ops.containers.services import (
    BUILDERS,
    CERTIFICATES,
    CHAINGUARD_INITDB,
    HBA,
    INITDB,
    KAFKA,
    KAFKA_CONFIG,
    KAFKA_DATA,
    POSTGRES,
    POSTGRES_DATA,
    SPARK,
    certificates,
    initdb,
    kafka_of,
    parts,
    secured,
    secured_database,
    spark,
    stores,
    tools,
    watchers,
)
from sparktrends.ops.containers.shape import OWN, building, in_memory, pinned, with_environment, writing
from sparktrends.ops.ports import METRICS, WANTED

_NOTE = "# Made by `python -m sparktrends.ops.compose`: change that, not this. How to use it: docs/cluster.md.\n"
_SCRAPED = ("ingest", "stream", "alerts", "batch", "api", "dashboard")
_HOSTS = {"stream": "runner", "batch": "follow"}
"""Parts whose container has another name."""


def files() -> Mapping[str, str]:
    """Path in the repository → text, of every container file."""
    images = {f"deploy/images/{name}.Dockerfile": _data(f"{name}.Dockerfile") for name in _IMAGES}
    return {
        "docker-compose.yml": _NOTE + _yaml(base()),
        "docker-compose.prod.yml": _NOTE + _yaml(production()),
        ".env.example": _data("env.example"),
        ".dockerignore": _data("dockerignore"),
        **{f"{_FOLDER}/{name}": text for name, text in _configs().items()},
        **images,
    }


def project() -> Mapping[str, str]:
    """What `sparktrends init` puts into a new folder: it starts images that were built in the repository."""
    made = files()
    names = ("docker-compose.yml", "docker-compose.prod.yml", *(f"{_FOLDER}/{name}" for name in _configs()))
    return {**{name: made[name] for name in names}, **{name: beside(name) for name in (*_MOUNTED, "requirements.txt")}}


def needed() -> list[str]:
    """The variables without which `docker compose` does not start."""
    return sorted(set(re.findall(r"\$\{(\w+):\?", files()["docker-compose.yml"])))


def service_of(part: str) -> str:
    """The container of a part that `up` runs."""
    return _HOSTS.get(part, part)


def beside(path: str) -> str:
    """A file of the repository: inside the wheel, or at the root of the repository."""
    inside = resources.files("sparktrends.ops") / "repository" / path
    return inside.read_text() if inside.is_file() else Path(__file__).parents[3].joinpath(path).read_text()


def base() -> dict[str, Any]:
    """`docker-compose.yml`: everything on one machine, images of Debian slim."""
    return {
        "name": "market",
        "services": {**stores(), **tools(), **spark(), **parts(), **watchers()},
        "volumes": {name: {} for name in _VOLUMES},
        "configs": {name: _mounted(name) for name in _configs() if name not in _OF_PRODUCTION},
    }


def production() -> dict[str, Any]:
    """`docker-compose.prod.yml`, over the other: images by digest, which a person has to pin; TLS, SCRAM and ACLs."""
    python, python_dev = pinned("PYTHON_IMAGE"), pinned("PYTHON_DEV_IMAGE")
    bases = {"setup": {"BUILD_BASE": python_dev, "RUN_BASE": python}, BUILDERS[SPARK]: {"RUN_BASE": python_dev}}
    ours = {name: dict(more) for name, more in secured().items()}
    for name, arguments in bases.items():
        ours.setdefault(name, {})["build"] = {"args": arguments}
    return {
        "services": {"postgres": _database(), **_formatted_broker(), **ours},
        # What one machine's own services wrote is not for these: a log without accounts, a database of another user.
        "volumes": {name: {"name": f"market-production-{name}"} for name in _VOLUMES},
        "configs": {name: _mounted(name) for name in _OF_PRODUCTION},
    }


def _database() -> dict[str, Any]:
    return {
        "image": POSTGRES,
        **_owned("POSTGRES_IMAGE", POSTGRES_DATA, _POSTGRES),
        "user": f"{_POSTGRES}:{_POSTGRES}",
        # Beside the base's, which belongs to the user of its image; of one folder the last word counts.
        "tmpfs": [in_memory("/var/run/postgresql", _POSTGRES)],
        "environment": {
            # A folder that no image names: where one declares a volume of its own, Docker puts an unnamed one.
            "PGDATA": f"{POSTGRES_DATA}/cluster",
            **{name: OWN % name for name in map(accounts.secret_of, accounts.NAMES)},
        },
        **secured_database(),
        "configs": [
            # Chainguard's entry point looks in its own folder alone; the other one serves who pins postgres:18-alpine,
            # which has the same user.
            *(script for folder in (CHAINGUARD_INITDB, INITDB) for script in initdb(folder, "owner.sql", _ROLES)),
            {"source": _HBA, "target": HBA},
        ],
    }


def _formatted_broker() -> dict[str, Any]:
    """The broker, and what formats its log before it starts."""
    user = f"{_KAFKA}:{_KAFKA}"
    kafka = kafka_of(KAFKA, user)
    keys = certificates("kafka.pem", "ca.crt")
    settings = {_PROPERTIES: _properties(_secured_broker())}
    format_ = {**settings, _FORMAT: format_arguments(OWN % "KAFKA_CLUSTER_ID", _PROPERTIES, _users())}
    logging = {"environment": {"KAFKA_LOG4J_OPTS": f"-Dlog4j2.configurationFile={_LOGGING}"}}
    start = writing(settings, [f"{_SCRIPTS}/kafka-server-start.sh", _PROPERTIES])
    return {
        "kafka-format": {
            **with_environment(kafka, writing(format_, [f"{_SCRIPTS}/kafka-storage.sh", f"@{_FORMAT}"])),
            **_owned("KAFKA_IMAGE", KAFKA_DATA, _KAFKA),
            "volumes": [*kafka["volumes"], *keys],
            "restart": "no",
        },
        "kafka": {
            "image": KAFKA,
            "user": user,
            "tmpfs": [in_memory(KAFKA_CONFIG, _KAFKA)],
            **with_environment(logging, start),
            "configs": [{"source": _LOG4J, "target": _LOGGING}],
            "volumes": keys,
            "depends_on": {"kafka-format": {"condition": "service_completed_successfully"}},
        },
    }


def _owned(image: str, folder: str, user: int) -> dict[str, Any]:
    """How somebody else's image is given the folder of its data: a volume has the owner of what it finds there."""
    return building("owned", IMAGE=pinned(image), FOLDER=folder, OWNER=f"{user}:{user}")


_IMAGES = ("app", "spark", "airflow", "owned")
_VOLUMES = ("postgres", "kafka", "spark", "home", "pgadmin", "prometheus", "grafana", "airflow")
_MOUNTED = (
    "deploy/prometheus/alerts.yml",
    "deploy/grafana/dashboards/sparktrends.json",
    "deploy/grafana/provisioning/dashboards/sparktrends.yml",
)
"""What containers read of the repository as it is."""
_FOLDER = "deploy/containers"
"""Where the files lie that containers are given: Compose mounts them, and may not write them."""
_ROLES, _HBA, _LOG4J = _OF_PRODUCTION = ("accounts.sql", "pg_hba.conf", "log4j2.properties")
"""What production alone gives its database and its broker."""
_POSTGRES, _KAFKA = 70, 65532
"""The users of Chainguard's PostgreSQL and Kafka."""
_SCRIPTS = "${KAFKA_SCRIPTS:-/usr/lib/kafka/bin}"
"""Of Chainguard's Kafka, unless `.env` names another image's folder."""
_PROPERTIES, _FORMAT = "/tmp/kafka/server.properties", "/tmp/kafka/format"
_LOGGING = "/etc/kafka/log4j2.properties"


def _users() -> dict[str, str]:
    """User of the broker → password, as `.env` has it."""
    return {ADMIN: OWN % "KAFKA_ADMIN_PASSWORD", **{name: OWN % accounts.secret_of(name) for name in accounts.NAMES}}


def _role(name: str) -> str:
    """Makes one role of the database, with the password that the container's environment holds."""
    made = f"CREATE ROLE {accounts.role_of(name)} LOGIN PASSWORD :'password';"
    return f"\\getenv password {accounts.secret_of(name)}\n{made}\n"


def _secured_broker() -> dict[str, object]:
    door = WANTED["kafka"]
    broker = SecuredBroker(
        {"INSIDE": (":9092", "kafka:9092"), "OUTSIDE": (f":{door}", f"localhost:{door}")},
        (":9093", "kafka:9093"),
        f"{CERTIFICATES}/kafka.pem",
        f"{CERTIFICATES}/ca.crt",
        "CN=kafka",
        OWN % "KAFKA_ADMIN_PASSWORD",
    )
    return {**kafka_server.SETTINGS, **broker.settings(), "log.dirs": "/var/lib/kafka/data"}


def _mounted(name: str) -> dict[str, str]:
    return {"file": f"./{_FOLDER}/{name}"}


def _configs() -> dict[str, str]:
    """File → text of what containers are given that is no secret."""
    return {
        "owner.sql": _data("owner.sql"),
        # A statement that fails is logged whole unless told otherwise, and these hold passwords.
        _ROLES: "SET log_min_error_statement = panic;\n" + "".join(map(_role, accounts.NAMES)),
        # The image's own tools come through the socket, once, to make the accounts.
        _HBA: "local all all scram-sha-256\nhostssl all all all scram-sha-256\n",
        _LOG4J: _data("log4j2.properties"),
        "server.properties": _properties(_broker()),
        "pgadmin.conf": _data("pgadmin.conf"),
        "prometheus.yml": _yaml(_scraping()),
        "datasource.yml": _yaml(
            {"apiVersion": 1, "datasources": [{"name": "Prometheus", "uid": "prometheus", "type": "prometheus",
                                               "url": "http://prometheus:9090", "isDefault": True}]}
        ),
    }  # fmt: skip


def _broker() -> dict[str, object]:
    inside, outside = "kafka:9092", f"localhost:{WANTED['kafka']}"
    protocols = dict.fromkeys(("INSIDE", "OUTSIDE", "CONTROLLER"), "PLAINTEXT")
    return {
        **kafka_server.SETTINGS,
        "listeners": f"INSIDE://:9092,OUTSIDE://:{WANTED['kafka']},CONTROLLER://:9093",
        "advertised.listeners": f"INSIDE://{inside},OUTSIDE://{outside}",
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "inter.broker.listener.name": "INSIDE",
        "controller.quorum.voters": "1@kafka:9093",
        "log.dirs": "/var/lib/kafka/data",
    }


def _scraping() -> dict[str, Any]:
    targets = [
        {"targets": [f"{service_of(part)}:{WANTED[METRICS + part]}"], "labels": {"process": part}} for part in _SCRAPED
    ]
    return {
        "global": {"scrape_interval": "5s", "evaluation_interval": "5s"},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [{"job_name": "sparktrends", "static_configs": targets}],
    }


def _properties(values: Mapping[str, object]) -> str:
    return "".join(f"{key}={value}\n" for key, value in values.items())


def _data(name: str) -> str:
    return (resources.files("sparktrends.ops.containers") / name).read_text(encoding="utf-8")


def _yaml(document: object) -> str:
    return str(yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=1000))


class _Plain(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
    """No anchors, and texts of several lines as people write them."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        """Say everything where it holds."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text)


if __name__ == "__main__":
    for path, text in files().items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")
