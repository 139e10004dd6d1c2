"""Market calendars against what the exchanges published: holidays, half days, lunch, daylight saving."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends import sessions
from sparktrends.errors import BadSetting
from sparktrends.model import DAY, HOUR, MINUTE, SECOND
from sparktrends.sessions import calendar


def at(zone: str, *when: int) -> int:
    return int(datetime(*when, tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


def new_york(*when: int) -> int:
    return at("America/New_York", *when)


@pytest.mark.parametrize(
    ("when", "kind"),
    [
        ((2026, 11, 20, 9, 29, 59), "closed"),
        ((2026, 11, 20, 9, 30), "open"),
        ((2026, 11, 20, 15, 59, 59), "open"),
        ((2026, 11, 20, 16, 0), "closed"),
        ((2026, 11, 21, 12, 0), "closed"),  # a Saturday
        ((2026, 11, 26, 12, 0), "closed"),  # Thanksgiving
        ((2026, 11, 27, 12, 59), "half day"),
        ((2026, 11, 27, 13, 0), "closed"),
        ((2026, 7, 3, 12, 0), "closed"),  # Independence Day, on a Saturday, observed on the Friday
        ((2025, 1, 9, 12, 0), "closed"),  # a day of mourning: no rule makes it
    ],
)
def test_new_york(when: tuple[int, ...], kind: str) -> None:
    assert calendar("XNYS").at(new_york(*when)).kind == kind


@pytest.mark.parametrize("day", [(2026, 3, 6), (2026, 3, 9), (2026, 10, 30), (2026, 11, 2)])
def test_the_opening_follows_daylight_saving(day: tuple[int, int, int]) -> None:
    session = calendar().at(new_york(*day, 12, 0))
    assert session.opens == new_york(*day, 9, 30)
    assert session.closes == new_york(*day, 16, 0)


def test_utc_openings_differ_by_the_hour_of_daylight_saving() -> None:
    before, after = (calendar().at(new_york(2026, 3, day, 12, 0)).opens or 0 for day in (6, 9))
    assert (after - before) % DAY == DAY - HOUR


def test_when_closed_the_next_session_is_named() -> None:
    over_thanksgiving = calendar().at(new_york(2026, 11, 25, 18, 0))
    assert over_thanksgiving.kind == "closed"
    assert over_thanksgiving.opens == new_york(2026, 11, 27, 9, 30)
    assert over_thanksgiving.closes == new_york(2026, 11, 27, 13, 0)


@pytest.mark.parametrize(
    ("since", "until", "traded"),
    [
        (new_york(2026, 11, 20, 15, 59), new_york(2026, 11, 21, 12), True),  # its last minute
        (new_york(2026, 11, 20, 16), new_york(2026, 11, 23, 9, 30), False),  # a weekend
        (new_york(2026, 11, 20, 16), new_york(2026, 11, 23, 9, 31), True),
    ],
)
def test_a_span_is_without_trades_when_all_of_it_is_closed(since: int, until: int, traded: bool) -> None:
    assert calendar("XNYS").traded(since, until) is traded
    assert calendar("24/7").traded(since, until)


def test_a_lunch_break_is_closed_and_belongs_to_the_session() -> None:
    hong_kong = calendar("XHKG")
    noon = hong_kong.at(at("Asia/Hong_Kong", 2026, 11, 20, 12, 30))
    assert noon.kind == "closed"
    assert noon.opens == at("Asia/Hong_Kong", 2026, 11, 20, 13, 0)
    afternoon = at("Asia/Hong_Kong", 2026, 11, 20, 14, 0)
    assert hong_kong.at(afternoon).kind == "open"
    assert hong_kong.session_start(afternoon) == at("Asia/Hong_Kong", 2026, 11, 20, 9, 30)


def test_sessions_end_once_a_day_and_not_for_lunch() -> None:
    thanksgiving = (new_york(2026, 11, 25, 16, 0), new_york(2026, 11, 27, 13, 0))
    assert calendar().closes(new_york(2026, 11, 25, 15, 59), thanksgiving[1]) == list(thanksgiving)
    assert calendar().closes(*thanksgiving) == [thanksgiving[1]]
    day = [at("Asia/Hong_Kong", 2026, 11, 20, hour, 0) for hour in (0, 16, 24 - 1)]
    assert calendar("XHKG").closes(day[0], day[2]) == [day[1]]
    assert calendar("24/7").closes(DAY, 3 * DAY) == [2 * DAY, 3 * DAY]
    friday = at("UTC", 2026, 11, 20)
    week = calendar("24/5").closes(friday, friday + 5 * DAY)
    assert week == [friday + n * DAY + 22 * HOUR for n in (0, 3, 4)]  # two of them also begin a day
    assert calendar().closes(0, DAY) == []


@pytest.mark.parametrize(
    ("when", "kind"),
    [
        ((2026, 11, 20, 16, 59, 59), "open"),
        ((2026, 11, 20, 17, 0), "closed"),  # Friday
        ((2026, 11, 21, 12, 0), "closed"),
        ((2026, 11, 22, 16, 59, 59), "closed"),
        ((2026, 11, 22, 17, 0), "open"),  # Sunday
        ((2026, 11, 25, 17, 0), "open"),  # one day ends, the next begins
        ((2026, 11, 26, 12, 0), "open"),  # Thanksgiving
    ],
)
def test_currencies_trade_from_sunday_to_friday(when: tuple[int, ...], kind: str) -> None:
    assert calendar("24/5").at(new_york(*when)).kind == kind


@pytest.mark.parametrize(
    ("friday", "closes", "opens"),
    [
        ((2026, 3, 6), 22 * HOUR, 21 * HOUR),  # summer time begins over the weekend
        ((2026, 10, 30), 21 * HOUR, 22 * HOUR),  # and ends
        ((2026, 7, 10), 21 * HOUR, 21 * HOUR),
    ],
)
def test_the_week_of_currencies_follows_new_yorks_clock(friday: tuple[int, int, int], closes: int, opens: int) -> None:
    midnight, hours = at("UTC", *friday), calendar("24/5")
    assert hours.closes(midnight, midnight + 3 * DAY) == [midnight + closes]
    weekend = hours.at(midnight + closes)
    assert (weekend.trading, weekend.opens) == (False, midnight + 2 * DAY + opens)
    # Monday's day begins on Sunday; what is told of a weekend belongs to Friday.
    begins = [hours.session_start(midnight + since) for since in (0, 2 * DAY, 2 * DAY + opens, 3 * DAY + 12 * HOUR)]
    assert begins == [midnight - DAY + closes, midnight - DAY + closes, *[midnight + 2 * DAY + opens] * 2]


def test_a_calendar_that_was_kept_by_other_rules_is_computed_again(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calendar("24/5")
    calendar.cache_clear()
    monkeypatch.setattr(sessions, "_RULES", 0)
    calendar("24/5")
    assert len(list(kept.iterdir())) == 2


def test_crypto_never_closes() -> None:
    session = calendar("24/7").at(12345)
    assert (session.kind, session.trading, session.opens) == ("24/7", True, None)
    assert calendar("24/7").session_start(3 * DAY + HOUR) == 3 * DAY


@pytest.mark.parametrize(("exchange", "hours"), [("XBOM", (9, 15)), ("XSHG", (9, 30)), ("XSES", (9, 0))])
def test_behind_the_holidays_that_are_known_each_weekday_is_a_session(exchange: str, hours: tuple[int, int]) -> None:
    """Of these the package knows the year; a stock of theirs must not end on New Year's Eve what others need."""
    import exchange_calendars

    known = exchange_calendars.get_calendar(exchange)
    zone, end = ZoneInfo(str(known.tz)), known.last_session.date()
    for day in (end + timedelta(days=n) for n in range(1, 400)):
        opens = datetime(day.year, day.month, day.day, *hours, tzinfo=zone)
        session = calendar(exchange).at(int(opens.timestamp()) * SECOND)
        assert session.trading == (day.weekday() < 5)
        assert calendar(exchange).session_start(int(opens.timestamp()) * SECOND + MINUTE) <= opens.timestamp() * SECOND


def test_an_unknown_exchange_is_a_wrong_setting() -> None:
    with pytest.raises(BadSetting, match="XNYS"):
        calendar("MOON")


@pytest.mark.parametrize("ts", [0, 10_000 * 365 * DAY])
def test_beyond_the_calendar_nothing_is_claimed(ts: int) -> None:
    with pytest.raises(BadSetting, match="does not reach"):
        calendar().at(ts)


@given(st.integers(new_york(2020, 1, 1), new_york(2026, 12, 31)))
def test_a_moment_is_inside_its_span_or_before_the_next(ts: int) -> None:
    session = calendar().at(ts)
    assert session.opens is not None
    assert session.closes is not None
    assert (session.opens <= ts < session.closes) if session.trading else ts < session.opens
    assert 3 * HOUR <= session.closes - session.opens <= 7 * HOUR
    assert session.opens % MINUTE == 0
    assert calendar().session_start(session.opens) == session.opens


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Path]:
    before = sessions._kept
    sessions.keep_in(tmp_path, lambda: 0)
    yield tmp_path
    sessions._kept = before
    calendar.cache_clear()


@pytest.mark.parametrize("exchange", ["XNYS", "XTKS", "24/5"])
def test_a_kept_calendar_is_the_computed_one(kept: Path, exchange: str) -> None:
    computed = vars(calendar(exchange))
    assert len(list(kept.iterdir())) == 1
    calendar.cache_clear()
    assert vars(calendar(exchange)) == computed


def test_a_kept_calendar_needs_no_pandas(kept: Path) -> None:
    calendar("XNYS")
    look = (
        "import sys; from pathlib import Path; from sparktrends.sessions import calendar, keep_in\n"
        f"keep_in(Path({str(kept)!r}), lambda: 0); calendar('XNYS')\n"
        "print('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", look], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{}",
        "[[1], [2], []]",
        '[[1], [], [], "UTC"]',
        '[["x"], ["y"], [], "UTC"]',
        '[[1.5], [2], [], "UTC"]',
        "[[1], [2], [], 5]",
    ],
)
def test_a_damaged_one_is_computed_again(kept: Path, damage: str) -> None:
    whole = vars(calendar("XNYS"))
    (file,) = kept.iterdir()
    file.write_text(damage)
    calendar.cache_clear()
    assert vars(calendar("XNYS")) == whole
    assert file.read_text() != damage


def test_a_month_later_it_is_computed_again(kept: Path) -> None:
    calendar("XNYS")
    sessions.keep_in(kept, lambda: 31 * DAY)
    calendar("XNYS")
    assert len(list(kept.iterdir())) == 2


def test_where_nothing_can_be_kept_it_works_all_the_same(tmp_path: Path, kept: Path) -> None:
    (tmp_path / "file").touch()
    sessions.keep_in(tmp_path / "file", lambda: 0)
    assert calendar("XNYS").at(new_york(2026, 11, 20, 12, 0)).trading
