"""Every night: recompute every bar from the log by an independent way and compare. A difference is told at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable
from sparktrends_steps import common, step

with DAG(
    **common("sparktrends_audit", timedelta(hours=2)),
    schedule=CronTriggerTimetable("10 2 * * *", timezone="UTC"),
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    doc_md=__doc__,
) as dag:
    # No retry: a difference does not go away by looking again.
    step("audit", "audit", pool="sparktrends_spark")
