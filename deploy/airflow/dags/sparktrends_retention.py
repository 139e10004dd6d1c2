"""Every week: old months of all that grows go into Parquet files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable
from sparktrends_steps import common, patient, step

with DAG(
    **common("sparktrends_retention", timedelta(hours=6)),
    schedule=CronTriggerTimetable("40 3 * * 0", timezone="UTC"),
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    default_args=patient(2),
    doc_md=__doc__,
) as dag:
    step("retention", "batch retention", pool="sparktrends_spark")
