"""The services of `docker-compose.yml`, kind by kind."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sparktrends.ops.accounts import role_of, secret_of
from sparktrends.ops.containers.secured_broker import ADMIN
from sparktrends.ops.containers.shape import (
    OWN,
    Service,
    after,
    answers,
    answers_by_own_name,
    building,
    confined,
    health,
    image_of,
    limits,
    measured,
    optional,
    published,
    with_environment,
    writing,
)
from sparktrends.ops.ports import LOOPBACK, WANTED

_HOME = "/var/lib/sparktrends"
_SPARKTRENDS = "/opt/venv/bin/sparktrends"
_MASTER = "spark://spark-master:7077"
APP, SPARK, AIRFLOW, KAFKA, POSTGRES = (
    image_of(f"sparktrends{name}") for name in ("", "-spark", "-airflow", "-kafka", "-postgres")
)
"""The images that are built here; the last two for production alone."""
BUILDERS = {APP: "setup", SPARK: "spark-master", AIRFLOW: "airflow"}
"""Image → the service that builds it."""
_PGPASS, _SERVERS = "/tmp/pgpass", "/tmp/servers.json"
_DATABASE = "${POSTGRES_DB:-sparktrends}"
_SUPERUSER = "sparktrends_superuser"
"""Of the image alone. Not `postgres`: that many call the owner of their tables, and a name can be one role's only."""
_SPARK_CONF = "/tmp/spark-conf"
_SPARK_DEFAULTS = {
    "spark.authenticate": "true",
    "spark.authenticate.secret": OWN % "SPARK_SECRET",
    # What executors say goes into files, which lie in memory here: old words make room for new ones.
    "spark.executor.logs.rolling.strategy": "size",
    "spark.executor.logs.rolling.maxSize": str(8 * 2**20),
    "spark.executor.logs.rolling.maxRetainedFiles": "2",
    # A job that was started again has a new folder, with its jars in it; those of ended ones go after ten minutes.
    "spark.worker.cleanup.enabled": "true",
    "spark.worker.cleanup.interval": "600",
    "spark.worker.cleanup.appDataTtl": "600",
}
"""What master, worker and driver are told alike."""
_REMEMBERED = "/var/lib/spark-master"
"""A volume, for /tmp is empty when its container starts again."""
_OF_MASTER = {
    # A master that comes back and knows nobody has executors killed, and drivers wait for it without an end.
    "spark.deploy.recoveryMode": "FILESYSTEM",
    "spark.deploy.recoveryDirectory": f"{_REMEMBERED}/recovery",
    # So long it waits for those that it remembers; nobody is given executors until then.
    "spark.deploy.recoveryTimeout": "20s",
}
# A file that it cannot read (cut off with the power, or of another Spark) has it stand by for ever, and says so in its
# log alone: what was remembered before this machine started, or by another Spark, is nobody who still runs.
_FORGETTING = f"""\
now="$$(cat /proc/sys/kernel/random/boot_id) $$(echo /opt/spark/jars/spark-core_*)"
[ "$$now" = "$$(cat {_REMEMBERED}/of 2>/dev/null)" ] || rm -rf {_REMEMBERED}/recovery
printf %s "$$now" > {_REMEMBERED}/of
exec "$$@"
"""
# Two containers of one name would each get half of the calls for the other. Docker's own name of a container, which the
# others find too, is one container's.
_NAMING = """\
export SPARK_LOCAL_IP="$$(uname -n)" SPARK_LOCAL_HOSTNAME="$$(uname -n)"
exec "$$@"
"""
KAFKA_DATA, KAFKA_CONFIG, POSTGRES_DATA = "/var/lib/kafka/data", "/opt/kafka/config", "/var/lib/postgresql"
INITDB, CHAINGUARD_INITDB = "/docker-entrypoint-initdb.d", "/var/lib/postgres/initdb"
"""Where the entry point of PostgreSQL's image, and of Chainguard's, looks for what it runs once in a new database."""
# Not by `spark.executor.syncLogLevel.enabled`: tried with 4.0.5, executors told of each task all the same.
_SPARK_LOGGING = """\
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.deploy.name = org.apache.spark.deploy
logger.deploy.level = info
"""
"""Spark's own default has executors tell of each task."""
_PAUSED = "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"
_WORKER_PAGE = 8082
"""Not the 8081 of the master: where all names mean one machine, a check must not ask the other."""


SERVER: Service = {
    "Name": "SparkTrends",
    "Group": "Servers",
    "Host": "postgres",
    "Port": 5432,
    "MaintenanceDB": _DATABASE,
    "Username": "sparktrends_reader",
    "ConnectionParameters": {"sslmode": "prefer", "passfile": "/.pgpass"},
}
"""The server that pgAdmin shows, as its `servers.json` has it."""
_POSTGRES = {
    # A query over tables partitioned by month locks each of them.
    "max_locks_per_transaction": "256",
    "timezone": "UTC",
    # A careless query of a reader may not fill the disk that the stream needs.
    "temp_file_limit": "4GB",
}


def stores() -> dict[str, Service]:
    accounts = {
        "POSTGRES_USER": _SUPERUSER,
        "POSTGRES_PASSWORD": OWN % "POSTGRES_SUPERUSER_PASSWORD",
        "POSTGRES_DB": "postgres",  # else the image makes one that is named after the user
    }
    owner = {"USER": "${POSTGRES_USER:-sparktrends}", "DB": _DATABASE}
    owner["PASSWORD"] = OWN % "POSTGRES_PASSWORD"
    return {
        "postgres": {
            **confined("postgres:18-bookworm", "999:999", {"/var/run/postgresql": 999}),
            "container_name": "market-postgres",
            "command": _postgres(_POSTGRES),
            "environment": {
                **accounts,
                "POSTGRES_INITDB_ARGS": "--data-checksums --auth-host=scram-sha-256 --auth-local=scram-sha-256",
                **{f"SPARKTRENDS_{name}": value for name, value in owner.items()},
            },
            "ports": published(WANTED["postgres"], 5432),
            "volumes": [f"postgres:{POSTGRES_DATA}"],
            "configs": initdb(INITDB, "owner.sql"),
            "shm_size": "256m",
            # Asked by SIGTERM, and Chainguard's image names no other, it waits until the last session has left.
            "stop_signal": "SIGINT",
            "stop_grace_period": "60s",
            **limits("1g", 2.0),
            **health(["CMD", "pg_isready", "-h", LOOPBACK, "-U", _SUPERUSER], start_s=30),
        },
        "kafka": {
            # Where this image writes its configuration.
            **kafka_of("apache/kafka:4.3.0", scratch={KAFKA_CONFIG: 1000}),
            "ports": published(WANTED["kafka"]),
            **health(["CMD", "bash", "-c", "</dev/tcp/127.0.0.1/9092"], start_s=30),
        },
    }


def initdb(folder: str, *scripts: str) -> list[dict[str, str]]:
    """Files that the entry point of a database's image runs there, in this order."""
    return [{"source": name, "target": f"{folder}/{number}0-{name}"} for number, name in enumerate(scripts, 1)]


def _postgres(settings: Mapping[str, str]) -> list[str]:
    return ["postgres", *(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))]


def kafka_of(name: str, user: str | None = None, scratch: Mapping[str, int] | None = None) -> Service:
    return {
        **confined(name, user, scratch, unpacks=True),
        "environment": {
            "KAFKA_HEAP_OPTS": "-Xms512m -Xmx512m",
            # Else beside the scripts, which nobody may write; and no log of the collector, ten files of 100 MB: its
            # script asks only whether this is empty.
            "LOG_DIR": "/tmp/logs",
            "KAFKA_GC_LOG_OPTS": " ",
        },
        "volumes": [f"kafka:{KAFKA_DATA}"],
        "configs": [{"source": "server.properties", "target": "/mnt/shared/config/server.properties"}],
        "stop_grace_period": "30s",
        **limits("1g", 2.0),
    }


def tools() -> dict[str, Service]:
    pgadmin = {
        **confined("dpage/pgadmin4:9", "5050:0"),
        # Its Python carries this capability in the file: without it in the bounding set the kernel refuses to run it.
        "cap_add": ["NET_BIND_SERVICE"],
        "environment": {
            "PGADMIN_DEFAULT_EMAIL": OWN % "PGADMIN_EMAIL",
            "PGADMIN_DEFAULT_PASSWORD": OWN % "PGADMIN_PASSWORD",
            "PGADMIN_LISTEN_PORT": "5050",
            "PGADMIN_DISABLE_POSTFIX": "1",
            # Copied to where the first user's servers look for it, when the volume is new.
            "PGPASS_FILE": _PGPASS,
            "PGADMIN_SERVER_JSON_FILE": _SERVERS,
        },
        "ports": published(5050),
        "volumes": ["pgadmin:/var/lib/pgadmin"],
        "configs": [{"source": "pgadmin.conf", "target": "/pgadmin4/config_distro.py"}],
        **limits("512m", 1.0),
        **after(postgres="service_healthy"),
        **health(["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:5050/misc/ping"], start_s=60),
    }
    kafka_ui = {
        **confined("ghcr.io/kafbat/kafka-ui:v1.3.0", unpacks=True),
        "environment": {
            "KAFKA_CLUSTERS_0_NAME": "market",
            "KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS": "kafka:9092",
            "KAFKA_CLUSTERS_0_READONLY": "true",
            "JAVA_OPTS": "-Xmx256m",
        },
        "ports": published(8085, 8080),
        **limits("512m", 1.0),
        **after(kafka="service_healthy"),
        **health(["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/actuator/health"], start_s=60),
    }
    passwords = f"postgres:5432:*:sparktrends_reader:{OWN % 'POSTGRES_READER_PASSWORD'}\n"
    return {
        "kafka-ui": kafka_ui,
        "pgadmin": with_environment(
            pgadmin, writing({_PGPASS: passwords, _SERVERS: _shown(SERVER)}, ["/entrypoint.sh"])
        ),
    }


def _shown(server: Mapping[str, object]) -> str:
    # No file of the folder: what `.env` names the database stands in it.
    return json.dumps({"Servers": {"1": server}})


def spark() -> dict[str, Service]:
    page = WANTED["spark_ui"]
    words = f"--host spark-master --port 7077 --webui-port {page}"
    master = _daemon("spark-master", "master.Master", words, "512m", more=_OF_MASTER, before=_FORGETTING)
    words = f"--cores 2 --memory 1g --work-dir /tmp/work --webui-port {_WORKER_PAGE} {_MASTER}"
    # What executors unpack, spill and log lies in /tmp.
    worker = _daemon(None, "worker.Worker", words, "256m", tmp="512m", unpacks=True, before=_NAMING)
    return {
        "spark-master": {
            **master,
            **building("spark", on={"app": BUILDERS[APP]}),
            "ports": published(7077) + published(page),
            "volumes": [f"spark:{_REMEMBERED}"],
            **limits("1g", 1.0),
            **health(answers(f"http://spark-master:{page}/json/"), start_s=30),
        },
        "spark-worker": {
            **worker,
            **limits("3g", 2.0),
            **after(**{"spark-master": "service_healthy"}),
            **health(answers_by_own_name(f":{_WORKER_PAGE}/json/"), start_s=30),
        },
    }


def _daemon(
    name: str | None,
    main: str,
    arguments: str,
    heap: str,
    *,
    tmp: str = "64m",
    unpacks: bool = False,
    more: Mapping[str, str] | None = None,
    before: str = "",
) -> Service:
    """A daemon of Spark, ``name`` as in `_of_spark`.

    ``more`` are settings of its own, ``before`` is a script that ends in it.
    """
    started = ["/opt/spark/bin/spark-class", f"org.apache.spark.deploy.{main}"]
    if before:
        started = ["sh", "-euc", before, "sh", *started]
    environment = {"SPARK_DAEMON_MEMORY": heap}
    return {
        **_of_spark(name, environment, started, tmp, unpacks=unpacks, more=more),
        "command": arguments.split(),
    }


def parts() -> dict[str, Service]:
    """Our own processes, and the one that prepares topics and tables for them."""
    keys = optional("FINNHUB_API_KEY", "TWELVE_DATA_API_KEY", "ALPHA_VANTAGE_API_KEY", "BINANCE_API_KEY")
    stores = {"postgres": "service_healthy", "kafka": "service_healthy"}
    ready = {**stores, "setup": "service_completed_successfully"}
    runner = _part(["stream"], {"SPARK_MASTER": _MASTER})
    # Of ours, only those that enter as the reader, and who gives it its password.
    reader = {"POSTGRES_READER_PASSWORD": OWN % "POSTGRES_READER_PASSWORD"}
    return {
        "setup": {**_part(["migrate"], reader), **building("app"), "restart": "no", **limits("512m", 1.0),
                  **after(**stores)},
        # A source that comes to an end must not begin again for ever. `on-failure` for all would leave the others out
        # when the machine starts again: they ended well when they were asked to.
        "ingest": {**_part(["ingest", "--source", "${SPARKTRENDS_SOURCE:-simulator}"], keys),
                   "restart": "${SPARKTRENDS_INGEST_RESTART:-unless-stopped}", **limits("1g", 1.0),
                   **after(**ready), **health(measured("ingest"), start_s=60)},
        "runner": {**runner, **_of_spark("runner", runner["environment"], [_SPARKTRENDS], tmp="256m"),
                   **limits("3g", 2.0), **after(**ready, **{"spark-master": "service_healthy"}),
                   **health(measured("stream"), start_s=180)},
        "alerts": {**_part(["alerts"], optional("SLACK_WEBHOOK")), **limits("512m", 1.0), **after(**ready),
                   **health(measured("alerts"), start_s=60)},
        "follow": {**_part(["batch", "follow"]), **limits("1g", 1.0), **after(**ready),
                   **health(measured("batch"), start_s=60)},
        "api": {**_part(["api", "--port", str(WANTED["api"])], reader), "ports": published(WANTED["api"]),
                **limits("1g", 1.0), **after(**ready),
                **health(answers(f"http://127.0.0.1:{WANTED['api']}/api/v1/health"), start_s=60)},
        "dashboard": {**_part(["dashboard", "--port", str(WANTED["dashboard"])], reader),
                      "ports": published(WANTED["dashboard"]), **limits("1g", 1.0), **after(**ready),
                      **health(answers(f"http://127.0.0.1:{WANTED['dashboard']}/_stcore/health"), start_s=60)},
    }  # fmt: skip


def watchers() -> dict[str, Service]:
    # The trap is for who stops it before that: else bash waits for the command, forgets the signal and goes on.
    begin = (
        "trap 'exit 130' INT; "
        "airflow db migrate && airflow pools import /opt/dags/pools.json && exec airflow standalone"
    )
    keys = optional("FINNHUB_API_KEY", "TWELVE_DATA_API_KEY", "ALPHA_VANTAGE_API_KEY")
    own = {
        # Airflow 3.3's LocalExecutor can deadlock with many tasks at once.
        "AIRFLOW__CORE__PARALLELISM": "4",
        # Its own default is True: `follow` leaves the daily work to DAGs that would never run.
        _PAUSED: f"${{{_PAUSED}:-False}}",
        "SPARKTRENDS_FOLDER": _HOME,
    }
    airflow = {
        **_part([], {**keys, **own}),
        **confined(AIRFLOW, tmp="256m"),
        **building("airflow", on={"spark": BUILDERS[SPARK]}),
        "entrypoint": ["bash", "-c", begin],
        # As by Ctrl-C: `standalone` does not hear SIGTERM, and the kernel would kill scheduler and tasks with it.
        "stop_signal": "SIGINT",
        "ports": published(8080),
        "volumes": ["home:" + _HOME, "airflow:/var/lib/airflow"],
        **limits("4g", 2.0),
        **after(setup="service_completed_successfully"),
        **health(answers("http://127.0.0.1:8080/api/v2/monitor/health"), start_s=120),
    }
    prometheus = {
        **confined("prom/prometheus:v3.5.0"),
        "ports": published(9090),
        "volumes": ["prometheus:/prometheus", "./deploy/prometheus/alerts.yml:/etc/prometheus/alerts.yml:ro"],
        "configs": [{"source": "prometheus.yml", "target": "/etc/prometheus/prometheus.yml"}],
        **limits("512m", 1.0),
        **health(["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9090/-/healthy"], start_s=30),
    }
    grafana = {
        **confined("grafana/grafana:12.1.0"),
        "environment": {
            "GF_SECURITY_ADMIN_PASSWORD": OWN % "GRAFANA_PASSWORD",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "GF_USERS_ALLOW_SIGN_UP": "false",
        },
        "ports": published(3000),
        "volumes": [
            "grafana:/var/lib/grafana",
            "./deploy/grafana/dashboards:/etc/grafana/dashboards:ro",
            "./deploy/grafana/provisioning/dashboards:/etc/grafana/provisioning/dashboards:ro",
        ],
        "configs": [{"source": "datasource.yml", "target": "/etc/grafana/provisioning/datasources/prometheus.yml"}],
        **limits("512m", 1.0),
        **after(prometheus="service_healthy"),
        **health(["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:3000/api/health"], start_s=60),
    }
    return {"airflow": airflow, "prometheus": prometheus, "grafana": grafana}


def _part(command: list[str], more: Mapping[str, str] | None = None) -> Service:
    """One of our own processes: ``sparktrends COMMAND``."""
    stores = {
        "POSTGRES_HOST": "postgres",
        "POSTGRES_SSLMODE": "prefer",  # the network is Compose's own; production checks the certificate
        "POSTGRES_PORT": "5432",
        "POSTGRES_DB": _DATABASE,
        "POSTGRES_USER": "${POSTGRES_USER:-sparktrends}",
        "POSTGRES_PASSWORD": OWN % "POSTGRES_PASSWORD",
        "KAFKA_BOOTSTRAP": "kafka:9092",
        "SPARKTRENDS_CONTAINER": "1",
    }
    return {
        **confined(APP),
        "command": command,
        "environment": {**stores, **(more or {})},
        "volumes": ["home:" + _HOME],
        "stop_grace_period": "40s",
    }


def _of_spark(
    name: str | None,
    environment: Mapping[str, str],
    entrypoint: list[str],
    tmp: str,
    *,
    unpacks: bool = False,
    more: Mapping[str, str] | None = None,
) -> Service:
    """A container of Spark's image; it listens on, and is called by, ``name``. Without one it may be several."""
    own = {"SPARK_LOCAL_DIRS": "/tmp/spark", "SPARK_CONF_DIR": _SPARK_CONF}
    shaped = {
        **confined(SPARK, tmp=tmp, unpacks=unpacks),
        **({"hostname": name} if name else {}),
        "environment": {**environment, **(_called(name) if name else {}), **own},
    }
    defaults = "".join(f"{key} {value}\n" for key, value in {**_SPARK_DEFAULTS, **(more or {})}.items())
    files = {"spark-defaults.conf": defaults, "log4j2.properties": _SPARK_LOGGING}
    return with_environment(shaped, writing({f"{_SPARK_CONF}/{file}": files[file] for file in files}, entrypoint))


def _called(name: str) -> dict[str, str]:
    return {"SPARK_LOCAL_IP": name, "SPARK_LOCAL_HOSTNAME": name}


CERTIFICATES = "/certificates"
"""Where containers of production find ``ca.crt``, the broker ``kafka.pem`` and the database ``postgres.pem``."""
HBA = "/etc/postgresql/pg_hba.conf"
"""Who may enter production's database: nobody without TLS."""
_AUTHORITY = f"{CERTIFICATES}/ca.crt"


def certificates(*names: str) -> list[Service]:
    """Files of `certificates`, which must be there: in the short form Docker makes a folder of one that is not."""
    bound = {"type": "bind", "read_only": True, "bind": {"create_host_path": False}}
    return [bound | {"source": f"./certificates/{name}", "target": f"{CERTIFICATES}/{name}"} for name in names]


def secured_database() -> Service:
    """What production adds to PostgreSQL: its certificate, and a door for nobody without TLS."""
    keys = f"{CERTIFICATES}/postgres.pem"
    tls = {"ssl": "on", "ssl_cert_file": keys, "ssl_key_file": keys, "hba_file": HBA}
    # Chainguard's own entrypoint ends in the server's name, and given it twice the server refuses to start.
    script = {"entrypoint": ["docker-entrypoint.sh"]}
    return {**script, "command": _postgres(_POSTGRES | tls), "volumes": certificates("postgres.pem")}


def secured_pgadmin() -> Service:
    """What production adds to pgAdmin: it asks whom it talks to before it sends the reader's password."""
    server = SERVER | {"ConnectionParameters": {**SERVER["ConnectionParameters"], "sslmode": "verify-full"}}
    # By libpq's own variable: pgAdmin looks for files that a server names in the folder of its user alone.
    environment = {"PGSSLROOTCERT": _AUTHORITY, "FILE_2": _shown(server)}
    return {"environment": environment, "volumes": certificates("ca.crt")}


def secured() -> dict[str, Service]:
    """What production adds to our own services: an account of its own for each, at the broker and in the database."""
    own = {service: _entered_as(name, role_of(name), secret_of(name)) for service, name in _ACCOUNTS.items()}
    # Who makes topics, tables and accounts owns them.
    owner = _entered_as(ADMIN, "${POSTGRES_USER:-sparktrends}", "POSTGRES_PASSWORD")
    owner["environment"]["KAFKA_SASL_PASSWORD"] = OWN % "KAFKA_ADMIN_PASSWORD"
    prepared = after(accounts="service_completed_successfully")
    grants = {**_part(["accounts", "--apply"]), "restart": "no", **limits("512m", 1.0)}
    grants["environment"] |= owner["environment"]
    grants["volumes"] += owner["volumes"]
    return {
        "setup": owner,
        "accounts": {**grants, **after(setup="service_completed_successfully")},
        **{service: {**account, **prepared} for service, account in own.items()},
        "spark-worker": {"volumes": owner["volumes"]},
        "pgadmin": secured_pgadmin(),
        # It has no account: whoever wants it gives it one.
        "kafka-ui": {"profiles": ["tools"]},
    }


_ACCOUNTS = {
    **{name: name for name in ("ingest", "alerts", "api", "dashboard")},
    "runner": "stream",
    "follow": "batch",
    "airflow": "batch",
}
"""Container → row of `ops.accounts`; audits are started by hand."""


def _entered_as(user: str, role: str, secret: str) -> Service:
    broker = {
        "KAFKA_SASL_USERNAME": user,
        "KAFKA_SASL_PASSWORD": OWN % secret,
        "KAFKA_SSL_CA": _AUTHORITY,
    }
    database = {"POSTGRES_USER": role, "POSTGRES_PASSWORD": OWN % secret}
    checked = {"POSTGRES_SSLMODE": "verify-full", "POSTGRES_SSLROOTCERT": _AUTHORITY}
    return {"environment": {**broker, **database, **checked}, "volumes": certificates("ca.crt")}
