"""Every setting of the product: command line, then environment and `.env`, then `sparktrends.toml`, then defaults.

This is the only module that reads the environment. Names that people already have in their `.env` files work as
they are; everything else is a key of a table in `sparktrends.toml`.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparktrends.errors import BadSetting
from sparktrends.ops import secured
from sparktrends.ops.home import default_cache, default_home
from sparktrends.ops.ports import LOOPBACK
from sparktrends.ops.postgres_server import READER
from sparktrends.ops.stack import Database, External

ENV_FILE = ".env"
TOML_FILE = "sparktrends.toml"
# Names of the contract; an alias stands behind the name it means.
NAMES: Mapping[str, str] = {
    "POSTGRES_USER": "account that owns the tables",
    "POSTGRES_PASSWORD": "its password",
    "POSTGRES_DB": "name of the database",
    "POSTGRES_HOST": "host of an external PostgreSQL; without it the embedded one runs",
    "POSTGRES_PORT": "its port",
    "POSTGRES_READER_PASSWORD": "password of sparktrends_reader at an external PostgreSQL",
    "POSTGRES_SSLMODE": "libpq's sslmode; a PostgreSQL of another machine needs it, best verify-full",
    "POSTGRES_SSLROOTCERT": "file with the certificate authority that signed its certificate",
    "POSTGRES_REQUIRE_AUTH": "how it may ask for the password: scram-sha-256 unless said; md5 for an account of old",
    "KAFKA_BOOTSTRAP": "host:port of an external broker; without a host the embedded one runs",
    "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT, SSL or SASL_SSL",
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512 unless said otherwise",
    "KAFKA_SASL_USERNAME": "account at the broker",
    "KAFKA_SASL_PASSWORD": "its password",
    "KAFKA_SSL_CA": "file with the certificate authority that signed the broker's certificate",
    "SPARK_MASTER": "spark://… of a cluster; without it Spark runs in the streaming process",
    "SPARK_LOCAL_IP": "address of this machine that the executors of a cluster can call",
    "FINNHUB_API_KEY": "key for Finnhub",
    "TWELVE_DATA_API_KEY": "key for Twelve Data",
    "ALPHA_VANTAGE_API_KEY": "key for Alpha Vantage",
    "BINANCE_API_KEY": "key for Binance (market data needs none)",
    "SLACK_WEBHOOK": "address of a Slack incoming webhook",
    "SPARKTRENDS_HOME": "folder of everything that is kept",
    "SPARKTRENDS_CONTAINER": "1 in a container whose ports are published on loopback only: servers listen to all of it",
}
ALIASES: Mapping[str, str] = {"BIDANCE_API_KEY": "BINANCE_API_KEY"}
TABLES = frozenset(
    (
        "alerts",
        "api",
        "candlesticks",
        "channels",
        "daily",
        "detectors",
        "exchanges",
        "indicators",
        "kafka",
        "limits",
        "net",
        "ports",
        "retention",
        "rules",
        "sandbox",
        "sentiment",
        "sources",
        "spark",
        "stale_after_s",
        "tags",
    )
)
"""The tables of `sparktrends.toml`: another one is a misspelt one, whose settings would silently not hold."""
_QUOTED = re.compile(r"""(["'])(.*?)\1(?:\s+#.*)?""")
_COMMENT = re.compile(r"(?:^|\s+)#.*$")
SECRET_NAMES = frozenset(name for name in NAMES if name.endswith(("_KEY", "_PASSWORD", "WEBHOOK")))


@dataclass(frozen=True)
class Settings:
    """What one command of the product runs with. ``values`` holds the named settings, ``tables`` the TOML file."""

    home: Path
    cache: Path
    values: Mapping[str, str] = field(repr=False)
    tables: Mapping[str, Any] = field(repr=False)
    env: Mapping[str, str] = field(repr=False)

    def get(self, name: str) -> str:
        """A named setting; empty when it is not set."""
        return self.values.get(name, "")

    def table(self, name: str) -> Mapping[str, Any]:
        """A table of `sparktrends.toml`; empty when it is not there."""
        found = self.tables.get(name, {})
        if not isinstance(found, dict):
            raise BadSetting(f"[{name}] in {TOML_FILE} is not a table")
        return found

    def only(self, name: str, *keys: str) -> Mapping[str, Any]:
        """A table that may hold these keys and no other; raises BadSetting, for a misspelt one would not hold."""
        found = self.table(name)
        if unknown := sorted(set(found) - set(keys)):
            hint = f"there are {', '.join(keys)}" if len(keys) > 1 else f"there is {keys[0]}"
            raise BadSetting(f"[{name}] {', '.join(unknown)} in {TOML_FILE} means nothing", hint=hint)
        return found

    def seconds(self, name: str) -> dict[str, float]:
        """A table of names and seconds; raises BadSetting for what is none."""
        return {str(key): seconds(f"[{name}] {key}", value) for key, value in self.table(name).items()}

    def secrets(self) -> list[str]:
        """The values that must never be printed."""
        named = [self.values[name] for name in SECRET_NAMES if self.values.get(name)]
        return [*named, *secured.secrets_in(self.tables)]

    @property
    def spark_master(self) -> str:
        """Where Spark runs."""
        return self.get("SPARK_MASTER") or "local[*]"

    @property
    def spark_local_ip(self) -> str:
        """The address on which Spark listens here: loopback, unless executors elsewhere must call it."""
        return (not self.spark_master.startswith("local") and self.get("SPARK_LOCAL_IP")) or LOOPBACK

    @property
    def contained(self) -> bool:
        """Whether this is a container whose ports are published on loopback only."""
        return _contained(self.values)

    @property
    def listen(self) -> str:
        """The address that servers of ours listen on."""
        return "0.0.0.0" if self.contained else LOOPBACK

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """Hosts that may be called although they are not public."""
        return tuple(texts("[net] allow", self.only("net", "allow").get("allow", [])))

    def kafka_security(self) -> dict[str, str]:
        """librdkafka's options for an external broker: the named settings, then the table ``[kafka]``."""
        return secured.kafka(self.values, {str(name): str(value) for name, value in self.table("kafka").items()})

    def external(self) -> External:
        """The parts that somebody else runs: only a setting with a host means that."""
        return External(_external_kafka(self.get("KAFKA_BOOTSTRAP")), self._external_database())

    def _external_database(self) -> Database | None:
        host = self.get("POSTGRES_HOST")
        if not host:
            return None
        user = self.get("POSTGRES_USER") or "sparktrends"
        for name, account in (("POSTGRES_PASSWORD", user), ("POSTGRES_READER_PASSWORD", READER)):
            secured.require_own_secret(host, name, self.get(name), account)
        return Database(
            host,
            port_number("POSTGRES_PORT", self.get("POSTGRES_PORT") or "5432"),
            self.get("POSTGRES_DB") or "sparktrends",
            user,
            self.get("POSTGRES_PASSWORD"),
            reader_password=self.get("POSTGRES_READER_PASSWORD"),
            tls=secured.postgres(self.values),
        )

    def wanted_ports(self, defaults: Mapping[str, int]) -> dict[str, int]:
        """The ports to try first: bare ports in the settings are wishes for the embedded parts."""
        wanted = dict(defaults)
        for part, number in self.table("ports").items():
            if part not in wanted:
                raise BadSetting(f"[ports] {part} in {TOML_FILE}", hint=f"there are {', '.join(sorted(wanted))}")
            wanted[part] = port_number(f"[ports] {part}", str(number))
        # Without a host it cannot mean somebody else's database: it is a wish for our own.
        if not self.get("POSTGRES_HOST") and self.get("POSTGRES_PORT"):
            wanted["postgres"] = port_number("POSTGRES_PORT", self.get("POSTGRES_PORT"))
        kafka = self.get("KAFKA_BOOTSTRAP").lstrip(":")
        if kafka.isdigit():
            wanted["kafka"] = port_number("KAFKA_BOOTSTRAP", kafka)
        return wanted


def seconds(name: str, value: object) -> float:
    """A time in seconds from a settings file; raises BadSetting naming the setting."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise BadSetting(f"{name} = {value!r} is no number of seconds", hint="give 0 or more")
    return float(value)


def texts(name: str, value: object) -> list[str]:
    """A list of texts from a settings file; raises BadSetting: one text alone would be a list of its letters."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadSetting(f"{name} = {value!r} is no list of texts", hint='write ["…"]')
    return value


def load(env: Mapping[str, str] = os.environ, folder: Path = Path(), home: Path | None = None) -> Settings:
    """Read the settings that hold in ``folder``; ``home`` from the command line wins over all.

    Raises BadSetting for a file that others can read while it holds a secret, for files that do not parse, and where it
    is not clear whether this is a container.
    """
    file_values = _read_env_file(folder / ENV_FILE)
    # The environment wins over the file: so a single run can be told something else.
    values = {**_known(file_values), **_known(env)}
    tables = _read_toml(folder / TOML_FILE)
    # In a container it lies in a volume that nobody else enters, and what copies it there decides its mode.
    if not _contained(values) and secured.secrets_in(tables):
        _require_private(folder / TOML_FILE)
    # No shell has read the file: a ~ in it is still one.
    chosen = home or Path(os.path.expanduser(values.get("SPARKTRENDS_HOME") or default_home(env)))
    return Settings(chosen.absolute(), default_cache(env), values, tables, dict(env))


def forget_other_databases(environ: MutableMapping[str, str] = os.environ) -> None:
    """Take out of the environment what leads libpq to another database than ours, in this process and its children.

    `POSTGRES_*` or the home say which is ours; no word of a connection string wins over these two.
    """
    # An address goes before the host; a service goes before psql's host, and an unknown one ends every connection.
    for name in ("PGSERVICE", "PGHOSTADDR"):
        environ.pop(name, None)


def port_number(name: str, text: str) -> int:
    """A TCP port from text; raises BadSetting naming the setting."""
    # '²' is a digit to Python, and no number.
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 65536:
        raise BadSetting(f"{name} = {text!r} is no port", hint="give a number from 1 to 65535")
    return int(text)


def _contained(values: Mapping[str, str]) -> bool:
    """Only 1 opens servers without a key to all addresses: a word that might mean no must not; raises BadSetting."""
    value = values.get("SPARKTRENDS_CONTAINER", "0")
    if value not in ("0", "1"):
        hint = "1 in a container whose ports are published on loopback only, else 0"
        raise BadSetting(f"SPARKTRENDS_CONTAINER = {value!r} is neither 1 nor 0", hint=hint)
    return value == "1"


def _external_kafka(bootstrap: str) -> str | None:
    return bootstrap if bootstrap and not bootstrap.lstrip(":").isdigit() else None


def _known(values: Mapping[str, str]) -> dict[str, str]:
    # Empty values are as good as none: `.env` files are full of names without one.
    found = {ALIASES[name]: value for name, value in values.items() if name in ALIASES and value}
    # The proper name wins over its alias.
    return found | {name: value for name, value in values.items() if name in NAMES and value}


def _read_env_file(path: Path) -> dict[str, str]:
    text = _text_of(path)
    if text is None:
        return {}
    values = dict(_assignment(path, number, line) for number, line in enumerate(text.splitlines(), 1) if _says(line))
    # Only with a secret in it: a file of bare ports may be read by all.
    if any(values.get(name) for name in SECRET_NAMES | ALIASES.keys()):
        _require_private(path)
    return values


def _require_private(path: Path) -> None:
    if path.stat().st_mode & 0o004:
        raise BadSetting(f"{path} holds secrets and everybody can read it", hint=f"chmod 600 {path}")


def _says(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _assignment(path: Path, number: int, line: str) -> tuple[str, str]:
    # People source the same file in their shells.
    name, equals, value = line.strip().removeprefix("export ").partition("=")
    if not equals:
        raise BadSetting(f"{path}, line {number}: not NAME=value")
    return name.strip(), _value(value.strip())


def _value(text: str) -> str:
    """What stands behind the =: whole between quotes, else up to a comment, as other readers of such files take it."""
    if found := _QUOTED.fullmatch(text):
        return found[2]
    return _COMMENT.sub("", text)


def quoted(value: str) -> str:
    """A value as a line of a `.env` file has it: in quotes where it would be read as something else."""
    if not re.search(r"[\s#'\"\\$`]", value):
        return value
    return f'"{value}"' if "'" in value else f"'{value}'"


def _text_of(path: Path) -> str | None:
    """The text of a settings file, None where there is none. Editors of Windows begin one with a byte order mark."""
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise BadSetting(f"{path} is not UTF-8", hint="save it as UTF-8 text") from error
    except OSError as error:
        raise BadSetting(f"{path} cannot be read ({error.strerror})") from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(_text_of(path) or "")
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"{path} cannot be read: {error}") from error
    if unknown := sorted(set(found) - TABLES):
        hint = f"there are {', '.join(sorted(TABLES))}"
        raise BadSetting(f"[{'], ['.join(unknown)}] in {path} means nothing", hint=hint)
    return found
