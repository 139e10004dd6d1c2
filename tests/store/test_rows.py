"""Digits on the way to PostgreSQL and back: none is lost, and what is no number does not get in (law 5)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.model import MAX_DIGITS, MINUTE, Bar, PartialBar, State
from sparktrends.store import rows, save
from sparktrends.store.blocks import NULL, decimal
from sparktrends.store.writer import Request, Writer

T = 1_704_067_200_000_000
UNITS = st.integers(1, MAX_DIGITS - 1)
TURNOVERS = st.integers(0, MAX_DIGITS**2 - 1)
PLACES = st.tuples(st.integers(0, 2**62), st.integers(0, 2**31 - 1), st.integers(0, 2**62))


@given(st.integers(-(MAX_DIGITS**2), MAX_DIGITS**2), st.sampled_from((18, 36)))
def test_a_decimal_is_the_exact_number(value: int, places: int) -> None:
    found = decimal(value, places)
    numerator, denominator = Decimal(found).as_integer_ratio()
    assert numerator * 10**places == value * denominator
    assert "." not in found or not found.endswith("0")


@given(UNITS)
def test_units_undo_a_decimal(value: int) -> None:
    assert rows.units(Decimal(decimal(value))) == value


def test_nothing_stays_nothing() -> None:
    assert decimal(None) == NULL
    assert rows.units(None) is None


@pytest.mark.parametrize(("micros", "month"), [(T, (2024, 1)), (T - 1, (2023, 12)), (0, (1970, 1)), (-1, (1969, 12))])
def test_the_month_is_that_of_utc(micros: int, month: tuple[int, int]) -> None:
    assert rows.month_of(micros) == month


@pytest.fixture(scope="module")
def writer(migrated_database: object) -> Iterator[Writer]:
    """A writer of a database with one series."""
    made = Writer(migrated_database())  # type: ignore[operator]
    with made.transaction() as tx:
        tx.lock_series([("s", "A")])
    yield made
    made.close()


def folds() -> st.SearchStrategy[PartialBar]:
    """Folds with as many digits as there may be."""
    return st.builds(
        PartialBar,
        source=st.just("s"),
        symbol=st.just("A"),
        start=st.integers(0, 40_000).map(lambda n: T + n * MINUTE),
        open=UNITS,
        open_at=PLACES,
        high=UNITS,
        low=UNITS,
        close=UNITS,
        close_at=PLACES,
        volume=st.integers(0, MAX_DIGITS * 10**6),
        turnover=TURNOVERS,
        trades=st.integers(0, 2**62),
        after_final=st.integers(0, 2**62),
        statuses=st.integers(0, 31),
    )


@pytest.mark.e2e
@settings(max_examples=80, deadline=None)
@given(st.lists(folds(), max_size=6, unique_by=lambda fold: fold.start), UNITS)
def test_a_bar_comes_back_as_it_went(writer: Writer, found: list[PartialBar], vwap: int) -> None:
    with writer.transaction() as tx:
        series = tx.lock_series([("s", "A")])["s", "A"].id
        save.bars(tx, [(series, Bar(fold, State.FINAL, None), vwap) for fold in found])
        request = Request(series, tuple(fold.start for fold in found), T + 10**15)
        assert tx.bars([request])[series] == {fold.start: fold for fold in found}
        stored = tx.cursor.execute("SELECT vwap FROM core.bars WHERE start = core.at(%s)", (request.starts or (0,))[:1])
        assert [rows.units(value) for (value,) in stored] == ([vwap] if found else [])


@pytest.mark.e2e
@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume", "turnover"])
@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity"), Decimal(-1)])
def test_what_is_no_price_is_refused(writer: Writer, column: str, value: Decimal) -> None:
    names = ("open", "high", "low", "close", "volume", "turnover")
    values = [value if name == column else Decimal(1) for name in names]
    with psycopg.connect(writer._conninfo) as connection:
        connection.execute("SELECT core.ensure_month('bars', '2024-01-01')")
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(
                "INSERT INTO core.bars (series, interval, start, open, high, low, close, volume, turnover, trades, "
                "after_final, statuses, state, updated_at) VALUES (1, '1m', '2024-01-01', %s, %s, %s, %s, %s, %s, "
                "1, 0, 0, 'final', now())",
                values,
            )
        connection.rollback()
