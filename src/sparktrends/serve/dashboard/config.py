"""What the dashboard runs with: handed in by `sparktrends dashboard`, else asked of the running home."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sparktrends.bus.connection import Connection
from sparktrends.errors import Unavailable
from sparktrends.model import SECOND
from sparktrends.rules import Rule
from sparktrends.telemetry import Clock, system_clock

_PATIENCE_S = 20
# As long what was asked of the home is believed: asking again costs a process.
_HOLDS = 10 * SECOND
_METRICS = re.compile("SPARKTRENDS_([A-Z0-9_]+)_METRICS")


class Actions(Protocol):
    """What a person may do to alerts; only who may write hands these in."""

    def acknowledge(self, alert: str) -> None:
        """Say that somebody has seen an alert; raises NotFound."""

    def silence(self, match: Mapping[str, str], hours: float) -> int:
        """Send nothing that matches ``rule``, ``source``, ``symbol`` for some hours; the number of the silence."""


@dataclass(frozen=True)
class DashboardConfig:
    """``reader`` is the connection string of `sparktrends_reader`, ``api`` the address the browser follows.

    ``processes`` gives the process ids of our parts by name, ``metrics`` the addresses where they show theirs; ``disk``
    is a folder of the disk to watch, ``reports`` the one of the daily reports. Without ``actions`` nobody can
    acknowledge or silence here; ``rules`` are those in use now, and ``backtest`` tries them on the history of so many
    days.
    """

    reader: str = field(repr=False)
    api: str
    kafka: Connection | None = None
    processes: Callable[[], Mapping[str, int]] = dict
    metrics: Callable[[], Mapping[str, str]] = dict
    disk: str = ""
    reports: str = ""
    rules: Callable[[], Sequence[Rule]] | None = None
    backtest: Callable[[int], Mapping[str, Any]] | None = None
    actions: Actions | None = None
    clock: Clock = system_clock
    discovered_at: int | None = None


_given: list[DashboardConfig] = []


def configure(config: DashboardConfig) -> None:
    """Use this from now on, in every session of this process."""
    _given[:] = [config]


def current() -> DashboardConfig:
    """What was handed in, else what the home says; raises Unavailable when nothing runs."""
    if not _given:
        configure(discover())
    return _given[0]


def doubt() -> None:
    """What was asked of the home a while ago did not help: ask it again, its ports may be others now."""
    for known in _given:
        if known.discovered_at is not None and known.clock() - known.discovered_at > _HOLDS:
            _given.clear()


def discover() -> DashboardConfig:
    """Ask `sparktrends env`, as any outsider would: `streamlit run app.py` was typed by hand."""
    found = from_env(_said(["env"], timeout_s=_PATIENCE_S))
    return replace(found, backtest=Backtests(), discovered_at=system_clock())


@dataclass(frozen=True)
class Backtests:
    """Tries the rules in use, in a process of its own: it is heavy, and the pages go on meanwhile.

    ``home`` are the words that name a home on the command line, ``env`` the environment of that process; without them
    both are this process's.
    """

    home: Sequence[str] = ()
    env: Mapping[str, str] | None = field(default=None, repr=False)
    clock: Clock = system_clock

    def __call__(self, days: int) -> Mapping[str, Any]:
        """The report of `sparktrends alerts backtest` for the newest so many days (0: for all); raises Unavailable."""
        since = datetime.fromtimestamp(self.clock() / SECOND, UTC) - timedelta(days=days)
        words = ["alerts", "backtest", "--json", "--from", f"{since:%Y-%m-%d}" if days else "1990-01-01"]
        found: dict[str, Any] = json.loads(_said([*self.home, *words], self.env))
        return found


def _said(words: Sequence[str], env: Mapping[str, str] | None = None, timeout_s: float | None = None) -> str:
    """What a command of ours prints; raises Unavailable in its own words."""
    # By the command line and not by import: `serve` stands below `ops` on the map.
    command = [sys.executable, "-m", "sparktrends.ops.cli", *words]
    kept = None if env is None else dict(env)
    done = subprocess.run(command, capture_output=True, text=True, env=kept, timeout=timeout_s, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["`sparktrends` said nothing"]
        raise Unavailable(said[0].removeprefix("sparktrends: "))
    return done.stdout


def from_env(text: str) -> DashboardConfig:
    """The configuration that the lines of `sparktrends env` describe.

    >>> from_env("POSTGRES_HOST=127.0.0.1\\nPOSTGRES_PORT=5434\\nSPARKTRENDS_API_URL=http://127.0.0.1:8000").api
    'http://127.0.0.1:8000'
    >>> from_env("SPARKTRENDS_ALERTS_METRICS=http://127.0.0.1:9472/metrics").metrics()
    {'alerts': 'http://127.0.0.1:9472/metrics'}
    """
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    names = {"host": "HOST", "port": "PORT", "dbname": "DB", "user": "USER", "password": "PASSWORD"}
    names |= {"sslmode": "SSLMODE", "sslrootcert": "SSLROOTCERT", "require_auth": "REQUIRE_AUTH"}
    parts = {key: said.get(f"POSTGRES_{name}", "") for key, name in names.items()}
    # As every other process of ours: a password is proved, and given to nobody.
    parts["require_auth"] = parts["require_auth"] or ("scram-sha-256" if parts["password"] else "")
    dsn = " ".join(f"{key}={_quoted(value)}" for key, value in parts.items() if value)
    kafka = said.get("KAFKA_BOOTSTRAP")
    return DashboardConfig(
        dsn,
        said.get("SPARKTRENDS_API_URL", ""),
        kafka=Connection(kafka) if kafka else None,
        metrics=lambda: {found[1].lower(): said[found[0]] for found in map(_METRICS.fullmatch, said) if found},
    )


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
