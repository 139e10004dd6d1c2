"""The whole run: a part that fails is named, the others do what they can."""

from __future__ import annotations

from datetime import date
from typing import Any, cast

import pytest

from sparktrends.batch.fetch_run import Job
from sparktrends.errors import NotFound, Unavailable
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
    found = Backfill(providers, "1d", DAY, DAY, ["MSFT"]).calls()
    assert [(p.source.name, [c.symbols for c in calls]) for p, calls in found] == [("yahoo", [("MSFT",)])]
