"""Every night: recompute every bar from the log by an independent way and compare; fetch the minutes that providers
made of yesterday, and hold ours against them. A difference is told at once.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from airflow.sdk import DAG, CronDataIntervalTimetable
from sparktrends_steps import common, patient, step

# The daily run asks Yahoo for minutes; Alpha Vantage and Twelve Data count calls: a night would be the whole quota.
SOURCES = os.environ.get("SPARKTRENDS_TRUTH_SOURCES", "binance").split()
DAY = "{{ (logical_date or dag_run.run_after - macros.timedelta(days=1)) | ds }}"

with DAG(
    **common("sparktrends_audit", timedelta(hours=3)),
    schedule=CronDataIntervalTimetable("10 2 * * *", timezone="UTC"),
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    doc_md=__doc__,
) as dag:
    # No retry: a difference does not go away by looking again.
    audit = step("audit", "audit", pool="sparktrends_spark")
    # One after the other: each ends with a Spark job.
    steps = [audit]
    for source in SOURCES:
        wanted = f"--source {source} --from {DAY} --to {DAY}"
        options = {"pool": f"sparktrends_{source}", "trigger_rule": "all_done", **patient()}
        steps.append(step(f"minutes_{source}", f"batch backfill --interval 1m {wanted}", **options))
    steps.append(step("truth", f"batch truth --date {DAY}", trigger_rule="all_done"))
    for before, after in pairwise(steps):
        before >> after
    # A run is as good as its worst task: the last one succeeds only if every other did.
    steps >> step("whole", "--version", trigger_rule="all_success", retries=0)
