"""The volume profile: nothing is lost, the area is the smallest of its kind, levels are round."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.analysis.profile import MOST_LEVELS, Profile, profile_of

PRICES = st.decimals("0.000000000000000001", "99999999999999999999", allow_nan=False, places=18)
NEAR = st.decimals("90", "110", places=4)
VOLUMES = st.decimals("0", "99999999999999999999", places=18)


def made(*minutes: tuple[str | int, str | int]) -> Profile:
    found = profile_of([(Decimal(price), Decimal(volume)) for price, volume in minutes])
    assert found is not None
    return found


def units(number: Decimal) -> int:
    """A number without a rounding anywhere."""
    return int(Fraction(number) * 10**30)


def test_a_session_as_it_is_drawn() -> None:
    found = made((100, 1), (101, 5), (102, 20), (103, 8), (104, 2), (150, 4))
    assert (found.step, found.low) == (Decimal(1), Decimal(100))
    assert found.volumes[:5] == tuple(map(Decimal, (1, 5, 20, 8, 2)))
    assert (found.control, found.first, found.last) == (2, 2, 3)  # 28 of 40 is 70 %


@given(st.lists(st.tuples(NEAR | PRICES, VOLUMES), min_size=1, max_size=40))
def test_every_digit_of_the_volume_is_in_the_level_of_its_price(minutes: list[tuple[Decimal, Decimal]]) -> None:
    found = profile_of(minutes)
    if not any(volume for _, volume in minutes):
        assert found is None
        return
    assert found is not None
    assert len(found.volumes) <= MOST_LEVELS + 1
    step, low = units(found.step), units(found.low)
    for number, volume in enumerate(found.volumes):
        below, above = low + number * step, low + (number + 1) * step
        assert units(volume) == sum(units(v) for price, v in minutes if below <= units(price) < above)
    assert sum(map(units, found.volumes)) == sum(units(volume) for _, volume in minutes)


@given(st.lists(st.tuples(NEAR, st.decimals("0", "1000", places=2)), min_size=1, max_size=60))
def test_the_value_area_holds_seventy_per_cent_and_would_not_without_its_ends(
    minutes: list[tuple[Decimal, Decimal]],
) -> None:
    found = profile_of(minutes)
    if found is None:
        return
    assert found.volumes[found.control] == max(found.volumes)
    inside, wanted = found.volumes[found.first : found.last + 1], Decimal("0.7") * sum(found.volumes)
    assert sum(inside) >= wanted
    assert len(inside) == 1 or sum(inside) - max(inside[0], inside[-1]) < wanted
    assert found.first <= found.control <= found.last


@pytest.mark.parametrize(
    ("low", "high", "step"),
    [("100", "110", "0.2"), ("0.00001", "0.00003", "0.0000005"), ("60000", "61000", "20"), ("7", "7", "0.00002")],
)
def test_levels_are_round_and_at_most_fifty(low: str, high: str, step: str) -> None:
    assert made((low, 1), (high, 1)).step == Decimal(step)


def test_nothing_traded_is_no_profile() -> None:
    assert profile_of([]) is None
    assert profile_of([(Decimal(5), Decimal(0))]) is None
