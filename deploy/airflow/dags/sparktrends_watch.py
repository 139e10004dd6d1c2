"""Every five minutes: does each part of the platform do its work? What does not is told, and started again where
`sparktrends up` runs it; in containers and on servers the task that would do it fails, and its log says who can.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable
from sparktrends_steps import common, step, tell

PARTS = ("kafka", "stream", "ingest")


def restarted(context: dict[str, Any]) -> None:
    """Called when a part was started again: the run ends well, so this alert ends with it."""
    part = context["task_instance"].task_id.removeprefix("restart_")
    tell("raise", f"{part} did not do its work and was started again", "--subject", context["dag_run"].dag_id)


with DAG(
    **common("sparktrends_watch", timedelta(minutes=4)),
    schedule=CronTriggerTimetable("*/5 * * * *", timezone="UTC"),
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    default_args={"execution_timeout": timedelta(minutes=3)},
    doc_md=__doc__,
) as dag:
    # Well when every part works at the end: one that was down, was started again and works now is no failure.
    whole = step("whole", "--version", trigger_rule="none_failed")
    previous = None
    for part in PARTS:
        # The broker first: without it the others cannot be well.
        check = step(f"check_{part}", f"check {part}", trigger_rule="all_done")
        restart = step(f"restart_{part}", f"restart {part}", trigger_rule="all_failed", on_success_callback=restarted)
        again = step(
            f"recheck_{part}", f"check {part}", trigger_rule="all_success",
            retries=4, retry_delay=timedelta(seconds=15),
        )  # fmt: skip
        check >> restart >> again >> whole
        restart >> whole
        if previous is not None:
            previous >> check
        if part == "kafka":
            previous = again
