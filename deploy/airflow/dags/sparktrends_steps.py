"""What the DAGs are made of: one operator around the command line, and callbacks that speak through its alerts.

Nothing of SparkTrends is imported: Airflow lives in an environment of its own, and knows the product by its commands.
``SPARKTRENDS`` names the executable (default: the one on the PATH), ``SPARKTRENDS_HOME`` the home it works in, and
``SPARKTRENDS_FOLDER`` the project's folder with its .env and sparktrends.toml: a task starts in an empty one.
"""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DeadlineAlert, DeadlineReference, SyncCallback

EXECUTABLE = os.environ.get("SPARKTRENDS", "sparktrends")
FOLDER = os.environ.get("SPARKTRENDS_FOLDER") or None
RULE = "ops.airflow"
_TELLING_S = 120

_log = logging.getLogger(__name__)


def step(task_id: str, command: str, **options: Any) -> BashOperator:
    """A task that runs ``sparktrends COMMAND``; the command may be a template."""
    # exec: a task that is killed takes the command with it, not only the shell around it.
    line = f"exec {shlex.quote(EXECUTABLE)} {command}"
    return BashOperator(task_id=task_id, bash_command=line, append_env=True, cwd=FOLDER, **options)


def patient(retries: int = 3) -> dict[str, Any]:
    """Retries with back-off: a minute, two, four, … at most half an hour."""
    return {
        "retries": retries,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
    }


def within(limit: timedelta, dag_id: str) -> DeadlineAlert | None:
    """An alert when a run is not over in time, counted from when it was queued: a backfill of old days is not late."""
    if sys.argv[1:3] == ["dags", "test"]:
        # Airflow 3.3.2 ends such a run with an error when its DAG has a deadline; it has nobody to watch it anyway.
        return None
    told = {"dag_id": dag_id, "limit_s": int(limit.total_seconds())}
    return DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, limit, SyncCallback(late, told), name=f"{dag_id} is late")


def late(dag_id: str, limit_s: int, **_: Any) -> None:
    """Called when a deadline has passed."""
    tell("raise", f"{dag_id} is not done after {limit_s // 60} min", "--subject", f"{dag_id} late")


def failed(context: dict[str, Any]) -> None:
    """Called when a run has failed: one alert a DAG until a run succeeds."""
    run = context["dag_run"]
    tell("raise", f"{run.dag_id} failed: run {run.run_id}", "--subject", run.dag_id)


def well(context: dict[str, Any]) -> None:
    """Called when a run has succeeded: what fired for its DAG is over."""
    for subject in (context["dag_run"].dag_id, f"{context['dag_run'].dag_id} late"):
        tell("resolve", "--subject", subject)


def tell(*words: str) -> None:
    """Speak through the product's alerts; a product that is away is logged, for it cannot be told."""
    command = [EXECUTABLE, "alerts", words[0], *words[1:], "--rule", RULE]
    try:
        subprocess.run(command, check=True, timeout=_TELLING_S, capture_output=True, text=True, cwd=FOLDER)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or ""
        _log.error("%s could not be told: %s %s", " ".join(words), error, said)


def common(dag_id: str, limit: timedelta) -> dict[str, Any]:
    """What every DAG here has: one run at a time, four tasks at most, a deadline, and word of failure and recovery."""
    return {
        "dag_id": dag_id,
        "catchup": False,
        "max_active_runs": 1,
        "max_active_tasks": 4,
        "dagrun_timeout": 3 * limit,
        "deadline": within(limit, dag_id),
        "on_failure_callback": failed,
        "on_success_callback": well,
        "tags": ["sparktrends"],
    }
