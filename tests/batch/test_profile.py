"""Volume profiles of stored minutes: sessions by the calendar, what people read adds up, again changes nothing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from commit.world import MINUTE, SECOND, Pen, Road, T, rows
from sparktrends.batch.profile import profile_day, row_of
from sparktrends.model import DAY, HOUR
from sparktrends.store import board
from sparktrends.store.connect import connect
from sparktrends.store.migrate import migrations
from sparktrends.store.profiles import Minute
from sparktrends.store.session import Session

MONDAY = 1_732_492_800_000_000  # 2024-11-25, a trading day in New York: 14:30 to 21:00 UTC
FRIDAY = MONDAY + 4 * DAY  # the day after Thanksgiving: until 18:00


def minutes(*starts: int) -> list[Minute]:
    return [Minute(start, Decimal(100 + n), Decimal(1)) for n, start in enumerate(starts)]


def test_a_pair_of_coins_has_the_day() -> None:
    row = row_of(1, "BTC/USD", MONDAY, minutes(MONDAY, MONDAY + DAY - MINUTE, MONDAY + DAY))
    assert row is not None
    assert (row.opens, row.closes, row.minutes) == (MONDAY, MONDAY + DAY, 2)


@pytest.mark.parametrize(("day", "closes"), [(MONDAY, 21 * HOUR), (FRIDAY, 18 * HOUR)])
def test_a_stock_has_the_hours_of_its_exchange(day: int, closes: int) -> None:
    opens = 14 * HOUR + 30 * MINUTE
    traded = (opens - MINUTE, opens, closes - MINUTE, closes)
    row = row_of(1, "AAPL", day, minutes(*(day + at for at in traded)))
    assert row is not None
    assert (row.opens, row.closes, row.minutes) == (day + opens, day + closes, 2)
    assert sum(row.volumes) == 2


@pytest.mark.parametrize(("symbol", "opens", "closes"), [("EUR/USD", 22, 22), ("BHP.AX", 23, 5)])
def test_a_session_that_begins_the_evening_before_is_of_the_day_on_which_it_ends(
    symbol: str, opens: int, closes: int
) -> None:
    begun, ended = MONDAY - DAY + opens * HOUR, MONDAY + closes * HOUR
    row = row_of(1, symbol, MONDAY, minutes(begun - MINUTE, begun, ended - MINUTE, MONDAY + opens * HOUR))
    assert row is not None
    assert (row.opens, row.closes, row.minutes) == (begun, ended, 2)
    assert row_of(1, symbol, MONDAY - DAY, minutes(begun)) is None


@pytest.mark.e2e
def test_profiles_of_before_are_moved_to_the_day_on_which_their_session_ended(database: str) -> None:
    insert = (
        "INSERT INTO core.volume_profiles VALUES "
        "(%s, %s::date, %s::timestamptz, %s::timestamptz, 1, 1, '{1}', 0, 0, 0, 1, now())"
    )
    (text,) = (text for name, text in migrations() if name.startswith("0190"))
    with connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO core.series (source, symbol) VALUES ('yahoo', 'BHP.AX') RETURNING id")
        (series,) = cursor.fetchone() or (0,)
        for day in (24, 25):
            opens, closes = f"2024-11-{day} 23:00Z", f"2024-11-{day + 1} 05:00Z"
            cursor.execute(insert, (series, f"2024-11-{day}", opens, closes))
        cursor.execute(insert, (series, "2024-11-23", "2024-11-23 00:00Z", "2024-11-24 00:00Z"))
        cursor.execute(text.encode())
        found = cursor.execute("SELECT day FROM core.volume_profiles ORDER BY day").fetchall()
    assert [day.day for (day,) in found] == [23, 25, 26]


def test_a_day_without_a_session_has_no_profile() -> None:
    assert row_of(1, "AAPL", MONDAY - DAY, minutes(MONDAY - DAY + 15 * HOUR)) is None


@pytest.mark.e2e
def test_what_people_read_is_what_was_traded_and_again_changes_nothing(database: str) -> None:
    pen = Pen()
    for n in range(30):
        pen.trade("BTC/USD", T + n * MINUTE, f"{100 + n % 7}.5", "0.1")
        pen.trade("BTC/USD", T + n * MINUTE + SECOND, f"{101 + n % 7}.5", "0.2")
    pen.beat("BTC/USD", T + 40 * MINUTE)
    road = Road(database, pen.log)
    road.all()
    road.close()
    day = date(2024, 1, 1)
    session = Session(database, "test")
    assert profile_day(session, day) == 1
    read = "SELECT price, volume, share, point_of_control, in_value_area, updated_at FROM market.volume_profile"
    first = rows(database, read)
    assert profile_day(session, day) == 1
    session.close()
    assert rows(database, read) == first
    (traded,) = rows(database, "SELECT sum(volume) FROM market.bars WHERE interval = '1m' AND state <> 'forming'")
    assert sum(row[1] for row in first) == traded[0] == Decimal("9.0")
    assert sum(row[2] for row in first) == pytest.approx(1, abs=1e-4)
    assert [row[3] for row in first].count(True) == 1
    assert sum(row[1] for row in first if row[4]) >= Decimal("0.7") * traded[0]
    with connect(database) as connection, connection.cursor() as cursor:
        (key,) = [row["series"] for row in board.series(cursor)]
        levels = board.profile(cursor, key, day)
    assert [(level["price"], level["volume"]) for level in levels] == sorted((float(r[0]), float(r[1])) for r in first)
    (bare,) = rows(
        database,
        "SELECT count(*) FROM information_schema.columns c WHERE c.table_schema = 'market' AND c.table_name = "
        "'volume_profile' AND col_description('market.volume_profile'::regclass, c.ordinal_position) IS NULL",
    )
    assert bare == (0,)
