"""The whole run: a part that fails is named, the others do what they can."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner

from batch.test_flatten import run as flattened
from batch.test_score import scored
from batch.test_tag import NOON_S, YESTERDAY, add_prices, tag_here
from batch.world import NOW, Log, ask_rows, finnhub_story, news_request, provider, store_payloads
from loopback import http_server
from sparktrends.batch.fetch_run import Job
from sparktrends.batch.tag import tag_day
from sparktrends.batch.trends import Trend
from sparktrends.errors import NotFound, Unavailable
from sparktrends.ops.cli import main
from sparktrends.ops.endpoints import Endpoints
from sparktrends.ops.jobs import Backfill, Done, Jobs
from sparktrends.ops.settings import Settings
from sparktrends.sources import make_source
from sparktrends.sources.base import Ask

DAY = date(2026, 11, 20)
PARTS = ("fetch", "load", "flatten", "sentiment", "trends", "profiles", "quality", "truth", "report")


def jobs(monkeypatch: pytest.MonkeyPatch, **parts: Done | Exception) -> tuple[Jobs, list[str]]:
    """Jobs whose parts do what a test says, and the order in which they were called."""
    called: list[str] = []

    def part(name: str) -> Any:
        def work(*_: object) -> Done:
            called.append(name)
            found = parts.get(name, Done(f"{name} done"))
            if isinstance(found, Exception):
                raise found
            return found

        return work

    for name in PARTS:
        monkeypatch.setattr(Jobs, name, part(name))
    return Jobs(cast(Settings, None), cast(Endpoints, None), lambda: 0), called


def test_all_parts_run_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    made, called = jobs(monkeypatch)
    done = made.daily(Job([], DAY, DAY))
    assert tuple(called) == PARTS
    assert done.missing == ()
    assert done.words == "2026-11-20 is complete"


def test_a_part_that_fails_is_named_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    made, called = jobs(
        monkeypatch,
        fetch=Done("calls: 1 failed", {"failed": 1}, ("yahoo bars AAPL failed: down",)),
        flatten=Unavailable("the disk is full"),
        trends=NotFound("nothing"),
    )
    done = made.daily(Job([], DAY, DAY))
    assert tuple(called) == PARTS
    assert done.missing == (
        "fetch: yahoo bars AAPL failed: down",
        "flatten: the disk is full",
        "trends: nothing",
    )
    assert done.fields["fetch"] == {"failed": 1}
    assert done.fields["missing"] == list(done.missing)


def test_a_fault_of_ours_is_no_part_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = jobs(monkeypatch, load=TypeError("ours"))
    with pytest.raises(TypeError):
        made.daily(Job([], DAY, DAY))


def test_a_backfill_asks_whoever_has_bars_of_the_symbols() -> None:
    class Asked:
        def __init__(self, name: str) -> None:
            self.source = make_source(name)

    asks = [Ask("bars", ("AAPL", "BTC/USD"), "1d"), Ask("news", ("AAPL",))]
    providers: Any = [(Asked("yahoo"), asks), (Asked("binance"), [Ask("bars", ("BTC/USDT",), "1d")])]
    found = Backfill(providers, "1d", DAY, DAY, DAY, ["MSFT"]).calls()
    assert [(p.source.name, [c.symbols for c in calls]) for p, calls in found] == [("yahoo", [("MSFT",)])]
    assert Backfill(providers, "1d", DAY, DAY, DAY).unasked() == []
    assert Backfill(providers, "1d", DAY, DAY, DAY, ["MSFT", "ETH/X"]).unasked() == ["nobody can be asked for ETH/X"]
    news: Any = [(Asked("finnhub"), [Ask("news", ("AAPL",))])]
    (said,) = Backfill(news, "1d", DAY, DAY, DAY).unasked()  # it ended well, and had asked nobody
    assert said.startswith("finnhub: asked for no symbol's bars")


def test_days_that_a_provider_no_longer_has_are_missing_from_a_backfill() -> None:
    class Asked:
        source = make_source("alpha_vantage")

    providers: Any = [(Asked(), [Ask("bars", ("AAPL", "MSFT"), "1d"), Ask("bars", ("BTC/USD",), "1d")])]
    long_ago = Backfill(providers, "1d", date(2024, 3, 4), date(2024, 3, 8), date(2026, 11, 21))
    assert [c.symbols for _, calls in long_ago.calls() for c in calls] == [("BTC/USD",)]
    assert long_ago.unasked() == ["alpha_vantage has bars of 1d from 2026-06-25 on only: AAPL, MSFT"]


class Here(Jobs):
    """Jobs that tag without Spark."""

    def _tag(self, day: date) -> list[Trend]:
        return tag_day(self.session, day, tag_here)


@pytest.mark.e2e
def test_news_that_a_quota_kept_back_are_in_the_trends_and_the_report_of_their_day(
    database: str, tmp_path: Path
) -> None:
    today = YESTERDAY + timedelta(days=1)
    add_prices(database, "yahoo", "AAPL", [100 + n % 3 for n in range(40)] + [120])
    where = SimpleNamespace(owner_dsn=database)
    settings = Settings(tmp_path, tmp_path, {}, {}, {})
    with Here(settings, cast(Endpoints, where), lambda: NOW) as made:
        assert made.trends(YESTERDAY).fields["again"] == []
        made.report(YESTERDAY)
        page = tmp_path / "reports" / f"{YESTERDAY}.md"
        assert "record profit" not in page.read_text()
        story = finnhub_story(1, "Apple jumps on record profit", NOON_S)
        store_payloads(database, ("finnhub", news_request("AAPL"), [story]))
        flattened(database)
        scored(database)
        assert made.trends(today).fields["again"] == [YESTERDAY]
        made.report(today)
        assert "record profit" in page.read_text()
        page.unlink()
        made.trends(today)
        made.report(today)
        assert not page.exists()  # nothing new, nothing to write again
    assert ask_rows(database, "SELECT count(*) FROM core.alerts") == [(1,)]


class Quiet(Log):
    """A log that nobody has to close."""

    def close(self, deadline_s: float = 0.0) -> None:
        """There is nothing."""


@pytest.mark.e2e
def test_a_run_without_anything_to_ask_says_what_was_refused(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparktrends.ops.jobs.Producer", lambda _: Quiet())
    where = SimpleNamespace(owner_dsn=database, kafka=None)
    refusal, answer = (403, {}, b'{"error": "You don\'t have access to this resource."}'), (200, {}, b"[]")
    answers = [refusal, answer]
    with (
        http_server(lambda *_: answers.pop(0)) as (url, _),
        Jobs(Settings(tmp_path, tmp_path, {}, {}, {}), cast(Endpoints, where), lambda: NOW) as made,
    ):
        asked = [(provider("finnhub", url, key="key-of-test"), [Ask("news", ("AAPL",))])]
        job = Job(asked, YESTERDAY, YESTERDAY + timedelta(days=1))
        words = [made.fetch(one, 1).words for one in (job, job, replace(job, again=True), job)]
    none, left = "calls: none was left to make", "; refused, and asked again only with --again: 1"
    assert words == [f"calls: 1 refused{left}", f"{none}{left}", "calls: 1 done", none]


@pytest.mark.e2e
def test_a_day_whose_news_are_archived_stays_as_it_was_told(database: str, tmp_path: Path) -> None:
    add_prices(database, "yahoo", "AAPL", [100 + n % 3 for n in range(40)] + [120])
    store_payloads(database, ("finnhub", news_request("AAPL"), [finnhub_story(1, "Apple jumps on profit", NOON_S)]))
    flattened(database)
    scored(database)
    where = SimpleNamespace(owner_dsn=database)
    later = date(2029, 6, 1)
    with Here(Settings(tmp_path, tmp_path, {}, {}, {}), cast(Endpoints, where), lambda: NOW) as made:
        made.trends(YESTERDAY)
        before = ask_rows(database, "SELECT t::text FROM core.daily_trends t")
        assert [month["table"] for month in made.retention(later).fields["months"]] == ["payloads", "news"]
        done = made.trends(YESTERDAY)
        assert done.words == f"{YESTERDAY} stays as it was told"
        assert done.missing == (
            "news of 2026-11 are in the archive: sparktrends batch restore --table news --month 2026-11",
        )
        assert ask_rows(database, "SELECT t::text FROM core.daily_trends t") == before
        made.restore("news", "", "2026-11")
        assert made.trends(YESTERDAY).missing == ()
        assert ask_rows(database, "SELECT t::text FROM core.daily_trends t") == before


def test_a_month_that_the_archive_does_not_have_is_missing(tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path, {}, {}, {})
    with Jobs(settings, cast(Endpoints, None), lambda: 0) as made:
        made.__dict__["session"] = None  # nothing is asked of it
        assert made.restore("bars", "1m", "2024-03").missing == ("the archive has nothing of bars 1m 2024-03",)
        assert made.restore("", "", "").missing == ("the archive has nothing of any month",)


@pytest.mark.parametrize(
    "words",
    [
        ("restore", "--table", "bar"),
        ("restore", "--interval", "1min"),
        ("restore", "--month", "2024-13"),
        ("daily", "--date", "0226-11-20"),
        ("backfill", "--from", "0024-01-01"),
    ],
)
def test_what_cannot_be_meant_is_wrong_use(words: tuple[str, ...], tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--home", str(tmp_path), "batch", *words])
    assert done.exit_code == 2, done.output
    assert words[2] in done.output


def test_a_source_without_a_key_is_passed_over_when_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FINNHUB_API_KEY", raising=False)
    call = ["--home", str(tmp_path / "home"), "batch", "fetch", "--source", "finnhub", "--date", "2026-11-20"]
    passed = CliRunner().invoke(main, [*call, "--if-key"])
    assert passed.exit_code == 0, passed.output
    assert "no key is set for finnhub" in passed.output
    refused = CliRunner().invoke(main, call)
    assert refused.exit_code == 2, refused.output
