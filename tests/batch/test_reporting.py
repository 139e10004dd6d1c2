"""The report of a day: two files and one message, however often it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch.test_tag import YESTERDAY, add_prices, trends
from batch.world import NOW, ask_rows
from sparktrends.batch.reporting import write_report
from sparktrends.model import DAY
from sparktrends.store.session import Session

pytestmark = pytest.mark.e2e


def written(dsn: str, folder: Path, *notes: str, now: int = NOW) -> list[Path]:
    session = Session(dsn, "test", 60)
    try:
        return write_report(session, YESTERDAY, folder, notes, ("slack",), now)
    finally:
        session.close()


def test_a_report_is_two_files_and_one_message(database: str, tmp_path: Path) -> None:
    add_prices(database, "yahoo", "AAPL", [100 + n % 3 for n in range(40)] + [120])
    trends(database)
    for _ in range(2):
        page, html = written(database, tmp_path / "reports", "finnhub news of MSFT: down")
    assert "AAPL" in page.read_text()
    assert "finnhub news of MSFT" in page.read_text()
    assert "<svg" in html.read_text()
    assert len(list((tmp_path / "reports").iterdir())) == 2
    ((channels, status),) = ask_rows(database, "SELECT channels, status FROM market.alerts")
    assert (channels, status) == (["slack"], "firing")


def test_a_day_without_trends_has_no_report(database: str, tmp_path: Path) -> None:
    assert written(database, tmp_path) == []
    assert ask_rows(database, "SELECT 1 FROM core.alerts") == []


@pytest.mark.parametrize(("days", "silent"), [(0, None), (2, None), (4, "old"), (365, "old")])
def test_the_report_of_a_day_long_past_sends_no_message(
    database: str, tmp_path: Path, days: int, silent: str | None
) -> None:
    add_prices(database, "yahoo", "AAPL", [100 + n % 3 for n in range(40)] + [120])
    trends(database)
    assert written(database, tmp_path, now=NOW + days * DAY)
    assert ask_rows(database, "SELECT silent FROM market.alerts") == [(silent,)]
