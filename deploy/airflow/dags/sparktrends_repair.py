"""Every hour: rebuild the bars that late or repeated records have changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable
from sparktrends_steps import common, patient, step

with DAG(
    **common("sparktrends_repair", timedelta(minutes=40)),
    schedule=CronTriggerTimetable("20 * * * *", timezone="UTC"),
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    default_args=patient(2),
    doc_md=__doc__,
) as dag:
    step("repair", "batch repair", pool="sparktrends_spark")
