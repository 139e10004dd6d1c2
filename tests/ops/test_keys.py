"""`check keys` against the offline twin: which keys work, what their plans leave out, and nothing of them shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopback import http_server
from sparktrends.batch.fetch import Provider
from sparktrends.net import AddressGuard, Http, Planner, Secret
from sparktrends.ops.daily import provider
from sparktrends.ops.keys import Finding, askable, probe_all, unset
from sparktrends.ops.settings import Settings, load
from sparktrends.sources import PROVIDERS, make_source
from sparktrends.sources.base import Usage
from sparktrends.telemetry import system_clock
from twin import Running, running_twin

MORNING = 1_795_248_000_000_000  # 2026-11-21 08:00 UTC
CANARY = "tiger-canary-31337"
KEYS = [f"{name.upper()}_API_KEY" for name in ("finnhub", "twelve_data", "alpha_vantage")]


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_twin(tmp_path_factory.mktemp("twin"), "--rate", "20") as running:
        yield running


def settings(folder: Path, key: str) -> Settings:
    return load(dict.fromkeys(KEYS, key) if key else {}, folder, folder)


def found(twin: Running, folder: Path, key: str) -> dict[str, list[Finding]]:
    addresses = "".join(f'[sources.{name}]\nrest = "{twin.rest(name)}"\n' for name in PROVIDERS)
    (folder / "sparktrends.toml").write_text(f'{addresses}[net]\nallow = ["127.0.0.1"]\n')
    providers = askable(settings(folder, key), system_clock, PROVIDERS, folder)
    with Http(system_clock, AddressGuard(["127.0.0.1"])) as http:
        findings = probe_all(providers, http)
    return {name: [f for f in findings if f.provider == name] for name in PROVIDERS}


def test_without_keys_only_those_are_asked_that_need_none(twin: Running, tmp_path: Path) -> None:
    findings = found(twin, tmp_path, "")
    assert {name for name, of in findings.items() if of} == {"binance", "yahoo"}
    assert all(f.ok for of in findings.values() for f in of)


def test_a_free_key_works_and_what_its_plan_leaves_out_is_told(twin: Running, tmp_path: Path) -> None:
    findings = found(twin, tmp_path, CANARY)
    assert all(any(f.ok for f in of) for of in findings.values())
    refused = [f for f in findings["finnhub"] if not f.ok]
    assert refused
    assert all("plan" in f.problem or "access" in f.problem for f in refused)
    assert "twelve_data, key: well; 8 units in 60 seconds" in map(str, findings["twelve_data"])
    # A second after the first, as its plan wants it: at once, it would have said nothing but that.
    key, intraday = findings["alpha_vantage"]
    assert key.ok
    assert "premium endpoint" in intraday.problem


def test_the_calls_come_out_of_the_quota_that_live_sources_and_the_daily_run_share(
    twin: Running, tmp_path: Path
) -> None:
    found(twin, tmp_path, "shared-" + CANARY)
    vantage = provider(settings(tmp_path, "shared-" + CANARY), system_clock, "alpha_vantage", tmp_path)
    day = [count for count in vantage.planner._counts if count.seconds == 86_400]
    assert [count.left(system_clock()) for count in day] == [23]
    vantage.planner.observe([Usage(86_400, used=25)])
    findings = found(twin, tmp_path, "shared-" + CANARY)["alpha_vantage"]
    assert [(f.ok, f.asked) for f in findings] == [(False, False)] * 2
    assert "not asked, its quota is spent for" in str(findings[0])


def test_a_key_that_works_nowhere_is_a_problem_of_each_provider(twin: Running, tmp_path: Path) -> None:
    findings = found(twin, tmp_path, "wrong-" + CANARY)
    assert not any(f.ok for name in ("finnhub", "twelve_data", "alpha_vantage") for f in findings[name])
    assert CANARY not in str(findings)
    assert CANARY not in " ".join(str(f) for of in findings.values() for f in of)


def test_a_quota_that_another_program_spent_is_no_problem_of_the_key_whoever_knows_of_it() -> None:
    words = "You have run out of API credits for the day. 1316 API credits were used, with the current limit being 800."
    spent = json.dumps({"code": 429, "status": "error", "message": words}).encode()
    with (
        http_server(lambda *_: (429, {}, spent)) as (url, paths),
        # The rest of the day is long, whenever the test runs.
        Http(lambda: MORNING, AddressGuard(["127.0.0.1"])) as http,
    ):
        source = make_source("twelve_data", rest=url)
        asked = Provider(source, Planner(source.allowances, system_clock), Secret(CANARY))
        (first,), (second,) = (probe_all([asked], http) for _ in range(2))
    assert (first.ok, first.asked, second.asked, len(paths)) == (False, False, False, 1)
    assert "no credits left for the day" in str(first)


def test_a_key_that_is_not_set_is_named() -> None:
    sources = [make_source(name) for name in PROVIDERS]
    told = list(unset(settings(Path("/nowhere"), ""), sources))
    assert [next(name for name in KEYS if name in words) for words in told] == KEYS
    assert list(unset(settings(Path("/nowhere"), CANARY), sources)) == []
