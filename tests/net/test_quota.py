"""Never more than allowed, over restarts too."""

from __future__ import annotations

import contextlib
import errno
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.errors import LONGEST_BAN_S, BadSetting, DiskFull, RateLimited
from sparktrends.net.quota import JsonFile, Planner, in_words


@dataclass
class Window:
    units: int
    window: int


@dataclass
class Said:
    window: int
    used: int | None = None
    limit: int | None = None
    blocked: float | None = None


class Time:
    """A clock that stands until it is moved."""

    def __init__(self, seconds: int = 1_732_147_200) -> None:
        self.micros = seconds * 1_000_000

    def __call__(self) -> int:
        return self.micros

    def move(self, seconds: float) -> None:
        self.micros += round(seconds * 1_000_000)


def spend_all(planner: Planner, clock: Time, requests: list[int], gaps: list[float]) -> list[tuple[float, int]]:
    sent = []
    for units, gap in zip(requests, gaps, strict=True):
        clock.move(gap)
        clock.move(planner.wait(units))
        planner.spend(units)
        sent.append((clock.micros / 1e6, units))
    return sent


@given(
    st.lists(st.tuples(st.integers(1, 5), st.floats(0, 30)), min_size=1, max_size=60),
    st.sampled_from([(8, 60), (1, 1), (25, 86_400), (30, 5)]),
)
def test_no_span_of_a_window_ever_holds_more_than_its_units(
    calls: list[tuple[int, float]], window: tuple[int, int]
) -> None:
    clock, (units, seconds) = Time(), window
    planner = Planner([Window(units, seconds)], clock)
    sent = spend_all(planner, clock, [min(n, units) for n, _ in calls], [gap for _, gap in calls])
    for end, _ in sent:
        assert sum(n for at, n in sent if end - seconds < at <= end + 1e-9) <= units


def test_the_narrowest_window_decides() -> None:
    clock = Time()
    planner = Planner([Window(8, 60), Window(10, 86_400)], clock)
    spend_all(planner, clock, [1] * 8, [0.0] * 8)
    assert 60 <= planner.wait() <= 63
    clock.move(70)
    spend_all(planner, clock, [2], [0.0])
    assert planner.wait() > 80_000


def test_spending_too_early_is_refused_with_the_wait() -> None:
    planner = Planner([Window(1, 1)], Time())
    planner.spend()
    with pytest.raises(RateLimited) as caught:
        planner.spend()
    assert caught.value.delay is not None
    assert 1.0 <= caught.value.delay <= 1.2


def test_a_request_that_never_fits_is_a_bad_setting() -> None:
    with pytest.raises(BadSetting):
        Planner([Window(8, 60)], Time()).wait(9)


def test_a_killed_process_does_not_get_a_second_quota(tmp_path: Path) -> None:
    clock, file = Time(), JsonFile(tmp_path / "quota" / "alpha_vantage.json")
    spend_all(Planner([Window(25, 86_400)], clock, file), clock, [1] * 25, [0.0] * 25)
    assert Planner([Window(25, 86_400)], clock, file).wait() > 80_000
    assert {path.name for path in file.path.parent.iterdir()} == {"alpha_vantage.json", "alpha_vantage.lock"}


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"60": 5}', '{"60": {"limit": "x"}}', '{"60": {"spent": [[1]]}}', "[" * 99_999]
)
def test_a_broken_state_begins_anew(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    file = JsonFile(tmp_path / "quota.json")
    file.path.write_text(content)
    assert Planner([Window(8, 60)], Time(), file).wait(8) == 0.0
    assert "anew" in caplog.text


def test_a_clock_that_was_set_back_does_not_lock_out(tmp_path: Path) -> None:
    file = JsonFile(tmp_path / "quota.json")
    ahead = Time(2_000_000_000)
    planner = Planner([Window(1, 60)], ahead, file)
    planner.spend()
    planner.observe([Said(60, blocked=10**9)])
    assert Planner([Window(1, 60)], Time(), file).wait() <= LONGEST_BAN_S


def test_however_often_it_is_asked_a_clock_that_was_set_back_locks_out_no_longer_than_a_ban_may_last(
    tmp_path: Path,
) -> None:
    """Each question by a planner of its own, as the daily run and live sources have, from a clock that was ahead."""
    file, ahead, clock = JsonFile(tmp_path / "quota.json"), Time(50_000_000), Time(10_000_000)
    windows = [Window(1, 1), Window(25, 86_400)]
    planner = Planner(windows, ahead, file)
    planner.spend()
    planner.observe([Said(1, blocked=3 * 86_400)])
    waits = []
    for _ in range(18):
        waits.append(Planner(windows, clock, file).wait())
        clock.move(20_000)
    assert 80_000 < waits[0] <= LONGEST_BAN_S
    assert waits[13:] == [0.0] * 5


def test_what_the_provider_counted_overrules_upwards() -> None:
    planner = Planner([Window(8, 60)], Time())
    planner.observe([Said(60, used=8)])
    assert planner.wait() > 60


def test_what_the_provider_counted_overrules_downwards_except_what_may_be_on_its_way() -> None:
    clock = Time()
    planner = Planner([Window(8, 60)], clock)
    spend_all(planner, clock, [3, 3], [0.0, 45.0])
    planner.observe([Said(60, used=1)])
    assert planner.wait(5) == 0.0
    assert planner.wait(6) > 0.0


def test_an_answer_that_took_long_says_nothing_of_calls_made_meanwhile() -> None:
    clock = Time()
    planner = Planner([Window(8, 60)], clock)
    planner.spend(1)  # the call that takes long: the provider counts it at once, and says so at the end
    for _ in range(7):
        clock.move(1)
        planner.spend(1)
    clock.move(13)
    planner.observe([Said(60, used=1)])
    with pytest.raises(RateLimited):
        planner.spend(1)


def test_a_limit_that_the_provider_told_replaces_the_declared_one() -> None:
    planner = Planner([Window(8, 60)], Time())
    planner.observe([Said(60, limit=55), Said(7, limit=1), Said(60, limit=-3)])
    assert planner.wait(55) == 0.0


def test_a_limit_that_was_told_outlives_the_process_until_a_person_declares_another(tmp_path: Path) -> None:
    file = JsonFile(tmp_path / "quota.json")
    Planner([Window(8, 60)], Time(), file).observe([Said(60, limit=6)])
    assert Planner([Window(8, 60)], Time(), file).left() == 6
    assert Planner([Window(55, 60)], Time(), file).left() == 55


def test_what_a_refusal_counted_holds_until_the_provider_counts_anew() -> None:
    clock = Time()
    planner = Planner([Window(800, 86_400)], clock)
    spend_all(planner, clock, [100], [0.0])
    clock.move(80_000)
    planner.observe([Said(86_400, used=800, limit=800, blocked=3600.0)])
    assert planner.wait() == 3600.0
    clock.move(3600)
    assert (planner.wait(), planner.left()) == (0.0, 700)


def test_a_refusal_of_a_window_that_was_not_declared_is_heard_all_the_same() -> None:
    planner = Planner([Window(1, 1), Window(8, 60)], Time())
    planner.observe([Said(86_400, used=9, limit=2, blocked=7200.0), Said(3600, limit=1)])
    assert planner.wait() == 7200.0


def test_a_block_holds_until_it_is_over() -> None:
    clock = Time()
    planner = Planner([Window(8, 60)], clock)
    planner.observe([Said(60, blocked=17.0)])
    assert planner.wait() == 17.0
    clock.move(17)
    assert planner.wait() == 0.0


def test_a_ban_of_three_days_holds_for_three_days_over_restarts(tmp_path: Path) -> None:
    clock, file = Time(), JsonFile(tmp_path / "quota.json")
    Planner([Window(6000, 60)], clock, file).observe([Said(60, blocked=3 * 86_400.0)])
    for days in (3, 2, 1, 0):
        assert Planner([Window(6000, 60)], clock, file).wait() == days * 86_400
        clock.move(86_400)


def test_no_refusal_is_believed_to_hold_for_longer_than_three_days() -> None:
    planner = Planner([Window(8, 60)], Time())
    planner.observe([Said(60, blocked=10**9)])
    assert planner.wait() == LONGEST_BAN_S == 3 * 86_400


def test_the_wait_for_a_turn_and_the_turn_itself_are_one_question() -> None:
    clock = Time()
    planner = Planner([Window(1, 60)], clock)
    assert planner.take() == 0.0
    assert planner.take() == planner.wait() > 60
    clock.move(planner.wait())
    assert planner.take() == 0.0


def test_many_threads_together_spend_no_more_than_is_allowed() -> None:
    planner = Planner([Window(50, 60)], Time())

    def try_ten(_: int) -> int:
        done = 0
        for _ in range(10):
            with contextlib.suppress(RateLimited):
                planner.spend()
                done += 1
        return done

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(try_ten, range(16))) == 50


def test_forty_symbols_need_two_days_on_a_plan_of_25_a_day() -> None:
    planner = Planner([Window(25, 86_400), Window(1, 1)], Time())
    seconds = planner.estimate([1] * 40)
    assert in_words(seconds) == "2 days"
    assert planner.wait() == 0.0, "an estimate spends nothing"


def test_an_estimate_starts_from_what_is_spent() -> None:
    clock = Time()
    planner = Planner([Window(8, 60)], clock)
    assert planner.estimate([1] * 8) == 0.0
    spend_all(planner, clock, [1] * 8, [0.0] * 8)
    assert planner.estimate([8]) > 60


@given(st.lists(st.integers(1, 8), max_size=40))
def test_an_estimate_is_when_the_last_call_really_goes_out(requests: list[int]) -> None:
    clock = Time(0)
    planner = Planner([Window(8, 60)], clock)
    told = planner.estimate(requests)
    spend_all(planner, clock, requests, [0.0] * len(requests))
    assert clock.micros / 1e6 == pytest.approx(told, abs=1e-3)


def test_the_state_file_is_json_without_a_key(tmp_path: Path) -> None:
    file = JsonFile(tmp_path / "q.json")
    Planner([Window(8, 60)], Time(), file).spend(2)
    state = json.loads(file.path.read_text())
    assert set(state) == {"60"}
    assert state["60"]["spent"][0][1] == 2


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "1 second"), (60, "60 seconds"), (61, "2 minutes"), (3_601, "2 hours")]
)
def test_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_processes_that_share_a_state_share_the_quota(tmp_path: Path) -> None:
    clock, windows = Time(), [Window(5, 60)]
    live, daily = (Planner(windows, clock, JsonFile(tmp_path / "quota.json")) for _ in range(2))
    for planner in (live, daily, live, daily, live):
        planner.spend()
    assert (live.wait(), daily.wait()) == (62.0, 62.0)
    assert daily.estimate([1]) == 62.0
    with pytest.raises(RateLimited):
        daily.spend()
    live.observe([Said(60, used=5, limit=6)])
    daily.spend()


_SPENDER = """
import sys
from pathlib import Path
from types import SimpleNamespace
from sparktrends.errors import RateLimited
from sparktrends.net.quota import JsonFile, Planner
planner = Planner([SimpleNamespace(units=40, window=60)], lambda: 1_732_147_200_000_000, JsonFile(Path(sys.argv[1])))
sys.stdin.readline()
spent = 0
for _ in range(40):
    try:
        planner.spend()
        spent += 1
    except RateLimited:
        break
print(spent)
"""


def test_processes_that_spend_at_the_same_time_never_spend_more(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", _SPENDER, str(tmp_path / "quota.json")]
    both = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    assert sum(int(process.communicate(timeout=30)[0]) for process in both) == 40


def test_where_the_disk_is_full_the_state_of_before_stays_and_nothing_lies_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = JsonFile(tmp_path / "q.json")
    file.save({"a": 1})

    def full(path: Path, *_: object) -> None:
        path.write_bytes(b"{")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DiskFull, match=r"q\.json.*No space left"):
        file.save({"a": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["q.json"]
    assert file.load() == {"a": 1}


class Full(JsonFile):
    """A file whose disk has no room."""

    def save(self, state: object) -> None:
        raise DiskFull("no room")


def test_where_the_disk_is_full_nothing_is_spent_and_asking_how_long_raises_nothing(tmp_path: Path) -> None:
    file, clock = JsonFile(tmp_path / "q.json"), Time()
    Planner([Window(2, 60)], clock, file).spend()
    clock.move(-3600)  # a correction, which is saved at once
    planner = Planner([Window(2, 60)], clock, Full(file.path))
    assert planner.wait() == 0
    for _ in range(3):
        with pytest.raises(DiskFull):
            planner.spend()
    assert Planner([Window(2, 60)], clock, file).wait() == 0


def test_what_could_not_be_stored_at_the_very_first_is_not_spent_either(tmp_path: Path) -> None:
    planner = Planner([Window(2, 60)], Time(), Full(tmp_path / "q.json"))
    for _ in range(3):
        with pytest.raises(DiskFull):
            planner.take()
    assert (planner.wait(), planner.left()) == (0, 2)


def test_without_a_file_too_a_clock_that_is_set_back_holds_nothing_for_longer_than_the_window() -> None:
    clock = Time()
    planner = Planner([Window(2, 60)], clock)
    planner.spend()
    clock.move(1)
    planner.spend()
    clock.move(-3600)
    assert 0 < planner.wait() <= 62
    clock.move(63)
    assert planner.left() == 2
