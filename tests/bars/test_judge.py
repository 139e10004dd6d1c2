from __future__ import annotations

import hashlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.bars import Limits, judge
from sparktrends.bars.judge import Accepted, Beat, PriceUpdate
from sparktrends.model import MINUTE, SECOND, Coordinates, LateTrade, Quarantined, Status


def test_a_good_trade_keeps_everything(verdict, now):
    answer = verdict(id="42", received=now + 5, conditions=["F"], fill=True, unknown={"x": 1})
    assert isinstance(answer, Accepted)
    trade = answer.trade
    assert (trade.price, trade.size, trade.id) == (Decimal("97123.45"), Decimal("0.0125"), "42")
    assert (trade.received, trade.conditions, trade.fill) == (now + 5, ("F",), True)
    assert (answer.price, answer.size, answer.arrival) == (9712345 * 10**16, 125 * 10**14, now + 5)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"source": ""}, "bad_source"), ({"source": 7}, "bad_source"), ({"symbol": "a\0"}, "bad_symbol"),
        ({"symbol": "\ud800"}, "bad_symbol"), ({"symbol": " a"}, "bad_symbol"), ({"symbol": "x" * 65}, "bad_symbol"),
        ({"symbol": ["A"]}, "bad_symbol"), ({"symbol": None}, "bad_symbol"), ({"kind": "quote"}, "bad_kind"),
        ({"kind": 1}, "bad_kind"), ({"kind": []}, "bad_kind"), ({"ts": "1"}, "bad_ts"), ({"ts": True}, "bad_ts"),
        ({"ts": 1.0}, "bad_ts"), ({"ts": None}, "bad_ts"), ({"ts": 10**30}, "bad_ts"), ({"ts": -1}, "before_1970"),
        ({"received": "1"}, "bad_received"), ({"received": 1.5}, "bad_received"), ({"price": 0}, "bad_price"),
        ({"price": "-1"}, "bad_price"), ({"price": True}, "bad_price"), ({"price": None}, "bad_price"),
        ({"price": "1e-30"}, "too_many_digits"), ({"size": "-0.1"}, "bad_size"), ({"size": [1]}, "bad_size"),
        ({"size": "1,5"}, "bad_size"), ({"id": ["1"]}, "bad_id"), ({"id": "a\n"}, "bad_id"), ({"id": 1.5}, "bad_id"),
        ({"id": "x" * 129}, "bad_id"), ({"conditions": "W"}, "bad_conditions"), ({"conditions": [1]}, "bad_conditions"),
        ({"conditions": ["W"] * 33}, "bad_conditions"), ({"fill": "true"}, "bad_fill"), ({"fill": 1}, "bad_fill"),
        ({"kind": "heartbeat", "status": "fine"}, "bad_status"),
        ({"kind": "heartbeat", "status": ["ok"]}, "bad_status"),
    ],
)  # fmt: skip
def test_a_bad_field_is_named(verdict, changes, reason):
    answer = verdict(**changes)
    assert isinstance(answer, Quarantined)
    assert answer.reason == reason


@pytest.mark.parametrize("name", ["source", "symbol", "ts", "price", "size"])
def test_a_missing_field_is_named(verdict, gone, name):
    assert verdict(**{name: gone}).reason == f"bad_{name}"


@pytest.mark.parametrize("name", ["received", "id", "conditions", "fill", "kind"])
def test_null_is_absent(verdict, name):
    assert isinstance(verdict(**{name: None}), Accepted)


@pytest.mark.parametrize("zero", [0, "0.000", "-0", "0e5"])
def test_a_trade_of_size_zero_is_a_price_update(verdict, zero):
    assert isinstance(verdict(size=zero), PriceUpdate)


def test_a_price_update_needs_no_size_and_is_never_late(verdict, gone, now):
    answer = verdict(kind="price", size=gone, received=now + 10**11, appended=now + 10**11)
    assert isinstance(answer, PriceUpdate)
    assert answer.arrival == now + 10**11


@pytest.mark.parametrize(
    ("ts", "received", "reason"),
    [
        (0, 61 * SECOND, None),
        (0, 61 * SECOND + 1, "future_arrival"),
        (60 * SECOND, 0, None),
        (60 * SECOND + 1, 0, "future_ts"),
        (0, -60 * SECOND, None),
        (0, -60 * SECOND - 1, "future_ts"),
    ],
)
def test_the_future_begins_after_sixty_seconds(verdict, now, ts, received, reason):
    answer = verdict(ts=now + ts, received=now + received)
    assert getattr(answer, "reason", None) == reason


def test_without_received_the_append_time_is_the_arrival(verdict, now):
    assert verdict().arrival == now + SECOND


@pytest.mark.parametrize(("over", "fill", "kind"), [(0, False, Accepted), (1, False, LateTrade), (1, True, Accepted)])
def test_late_is_more_than_the_grace(verdict, now, over, fill, kind):
    arrival = now + 15 * MINUTE + over
    assert type(verdict(received=arrival, appended=arrival, fill=fill)) is kind


def test_a_source_may_have_its_own_grace(verdict, now):
    limits = Limits(graces=(("binance", 3),))
    assert isinstance(verdict(received=now + 4, limits=limits), LateTrade)
    assert isinstance(verdict(received=now + 4, limits=limits, source="other"), Accepted)


@pytest.mark.parametrize(("over", "after"), [(0, False), (1, True)])
def test_after_final_is_more_than_the_settle_time_past_the_end(verdict, now, over, after):
    answer = verdict(ts=now + 1, received=now + 65 * SECOND + over, appended=now + 70 * SECOND)
    assert answer.after_final is after


def test_some_conditions_do_not_move_prices(verdict):
    limits = Limits(volume_only=(("binance", frozenset({"9"})),))
    assert not verdict(conditions=["1", "9"], limits=limits).pricing
    assert verdict(conditions=["1"], limits=limits).pricing


@pytest.mark.parametrize(
    ("received", "fill", "late"), [(0, False, False), (10**10, False, True), (10**10, True, False)]
)
def test_heartbeats_carry_their_status(verdict, gone, now, received, fill, late):
    arrival = now + received
    answer = verdict(
        kind="heartbeat", status="stale", price=gone, size="?", received=arrival, appended=arrival, fill=fill
    )
    assert isinstance(answer, Beat)
    assert (answer.heartbeat.status, answer.late) == (Status.STALE, late)


def test_a_heartbeat_without_a_word_is_ok(verdict):
    assert verdict(kind="heartbeat").heartbeat.status is Status.OK


def test_quarantine_keeps_a_part_and_the_hash_of_all(verdict):
    value = b"x" * 70_000
    answer = verdict(value)
    assert (answer.reason, len(answer.payload), answer.size) == ("too_large", 65_536, 70_000)
    assert answer.sha256 == hashlib.sha256(value).digest()


@given(st.binary(max_size=400), st.sampled_from(["raw.trades", "raw.bars"]), st.integers(-(2**63), 2**63 - 1))
def test_any_bytes_get_a_verdict(data, topic, appended):
    assert isinstance(judge(data, Coordinates(topic, 0, 0, appended), Limits()), Quarantined)
