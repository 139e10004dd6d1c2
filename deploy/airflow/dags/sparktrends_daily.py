"""The day's market: fetch each source, then load → flatten → sentiment → trends → profiles → quality → report.

The logical date is the day (UTC) that a run fills; it runs after that day's midnight. Any past day is filled by
`airflow backfill create --dag-id sparktrends_daily --from-date … --to-date …`.

A part of the day that is missing (exit code 1) fails its task, and what can be made of the rest is still made; the
retry, or the next run, completes it. Calls of one source never run beside each other: its pool has one place. A source
whose key is not set is not asked, as by `batch daily`.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable
from sparktrends_steps import common, patient, step

SOURCES = os.environ.get("SPARKTRENDS_DAILY_SOURCES", "alpha_vantage binance finnhub twelve_data yahoo").split()
# A run that was started by hand without a date fills yesterday, like the command.
DAY = "--date {{ (logical_date or dag_run.run_after - macros.timedelta(days=1)) | ds }}"

with DAG(
    **common("sparktrends_daily", timedelta(hours=2)),
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    default_args=patient(),
    doc_md=__doc__,
) as dag:
    fetches = [
        step(f"fetch_{source}", f"batch fetch --if-key --source {source} {DAY}", pool=f"sparktrends_{source}")
        for source in SOURCES
    ]
    # What one source could not give must not keep back what the others gave.
    rest = {"trigger_rule": "all_done", "pool": "sparktrends_spark"}
    load = step("load", "batch load", trigger_rule="all_done")
    flatten = step("flatten", "batch flatten", **rest)
    sentiment = step("sentiment", "batch sentiment", **rest)
    trends = step("trends", f"batch trends {DAY}", **rest)
    profiles = step("profiles", f"batch profiles {DAY}", trigger_rule="all_done")
    quality = step("quality", f"batch quality {DAY}", **rest)
    report = step("report", f"batch report {DAY}", trigger_rule="all_done")
    # A run is as good as its worst task: the last one succeeds only if every other did.
    whole = step("whole", "--version", trigger_rule="all_success", retries=0)

    fetches >> load >> flatten >> sentiment >> trends >> profiles >> quality >> report
    [*fetches, load, flatten, sentiment, trends, profiles, quality, report] >> whole
