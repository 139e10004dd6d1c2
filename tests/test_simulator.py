"""The simulated market: the same seed is the same market, and what is planted is really there."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.errors import BadSetting
from sparktrends.model import DAY, HOUR, MINUTE, SECOND, is_simulated
from sparktrends.simulator import BLOCK, SOURCE, Block, Kind, Market, Planted, Resume, random_events


def columns(blocks: list[Block]) -> dict[str, np.ndarray]:
    names = ("ts", "symbol", "seq", "price", "size")
    return {name: np.concatenate([getattr(b, name) for b in blocks]) for name in names}


def play(market: Market, length: int) -> dict[str, np.ndarray]:
    return columns(list(market.history(market.start + length)))


def test_it_is_labelled_as_simulated() -> None:
    market = Market(start=0, count=2, rate=10)
    trade = next(market.trades(market.next_block()))
    assert is_simulated(trade.source)
    assert trade.source == SOURCE
    assert trade.symbol.startswith("SIM")


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 30), st.floats(0.1, 100))
def test_the_same_seed_gives_the_same_trades_to_the_last_digit(seed: int, count: int, rate: float) -> None:
    once, again = (Market(start=5, count=count, seed=seed, rate=rate, events_per_hour=50) for _ in range(2))
    for _ in range(3):
        assert list(once.trades(once.next_block())) == list(again.trades(again.next_block()))


def test_another_seed_is_another_market() -> None:
    one, two = (play(Market(start=0, count=3, seed=seed), MINUTE) for seed in (1, 2))
    assert not np.array_equal(one["price"][:50], two["price"][:50])


def test_the_seed_alone_decides_not_the_time_of_day() -> None:
    one, two = (play(Market(start=start, count=3), MINUTE) for start in (0, 17 * HOUR + 3))
    assert np.array_equal(one["price"], two["price"])
    assert np.array_equal(one["ts"] + 17 * HOUR + 3, two["ts"])


def test_history_is_the_blocks_one_after_the_other() -> None:
    blocks = list(Market(start=7, count=2).history(7 + MINUTE))
    assert [b.start for b in blocks] == [7 + i * BLOCK for i in range(6)]
    times = columns(blocks)["ts"]
    assert (np.diff(times) >= 0).all()
    assert times[0] >= 7
    assert times[-1] < 7 + MINUTE


def test_numbers_run_without_a_hole_per_symbol() -> None:
    data = play(Market(start=0, count=5, rate=100), MINUTE)
    for symbol in range(5):
        own = data["seq"][data["symbol"] == symbol]
        assert np.array_equal(own, np.arange(len(own)))


def test_the_rate_is_the_rate_of_all_symbols_together() -> None:
    data = play(Market(start=0, count=50, rate=1_000), 2 * MINUTE)
    assert len(data["ts"]) == pytest.approx(120_000, rel=0.02)


def test_prices_and_sizes_lie_on_their_grid_and_are_positive() -> None:
    market = Market(start=0, count=30, rate=500)
    trades = list(market.trades(market.next_block()))
    for trade in trades:
        index = market.symbols.index(trade.symbol)
        assert -trade.price.as_tuple().exponent == market.price_digits[index]
        assert -trade.size.as_tuple().exponent == market.size_digits[index]
        assert trade.price > 0
        assert trade.size > 0
        assert trade.received == trade.ts


def test_volatility_clusters() -> None:
    market = Market(start=0, count=30, rate=300)
    data = play(market, 4 * HOUR)
    correlations = []
    for symbol in range(30):
        own = data["symbol"] == symbol
        minute = data["ts"][own] // MINUTE
        last = np.log(data["price"][own][np.flatnonzero(np.diff(minute, append=-1))].astype(float))
        size = np.abs(np.diff(last))
        correlations.append(np.corrcoef(size[:-1], size[1:])[0, 1])
    assert np.mean(correlations) > 0.05


def test_symbols_share_a_market() -> None:
    data = play(Market(start=0, count=8, rate=400), 2 * HOUR)
    returns = []
    for symbol in range(8):
        own = data["symbol"] == symbol
        minute = data["ts"][own] // MINUTE
        returns.append(np.diff(np.log(data["price"][own][np.flatnonzero(np.diff(minute, append=-1))].astype(float))))
    shortest = min(map(len, returns))
    matrix = np.corrcoef([r[:shortest] for r in returns])
    assert matrix[np.triu_indices(8, 1)].mean() > 0.1


def around(event: Planted, symbol: str = "SIM001/USD") -> tuple[float, float, int, int]:
    """(price before, price after, trades in the minute before, trades during) of an event."""
    market = Market(start=0, count=3, rate=60, events=(event,))
    data = play(market, event.end + MINUTE)
    own = data["symbol"] == market.symbols.index(symbol)
    ts, price = data["ts"][own], data["price"][own].astype(float)
    before, after = price[ts < event.start][-1], price[ts >= event.end][0]
    during = int(((ts >= event.start) & (ts < event.end)).sum())
    return before, after, int(((ts >= event.start - MINUTE) & (ts < event.start)).sum()), during


@pytest.mark.parametrize(
    ("kind", "size", "left"),
    [(Kind.JUMP, 0.2, 1.2), (Kind.PUMP, 0.8, 1.8), (Kind.MARKET_MOVE, -0.2, 0.8), (Kind.FLASH_CRASH, -0.3, 0.93)],
)
def test_a_planted_move_is_in_the_prices(kind: Kind, size: float, left: float) -> None:
    before, after, _, _ = around(Planted(kind, "SIM001/USD", 5 * MINUTE, 6 * MINUTE, size))
    assert after / before == pytest.approx(left, rel=0.05)


def test_a_flash_crash_goes_all_the_way_down_first() -> None:
    event = Planted(Kind.FLASH_CRASH, "SIM002/USD", 5 * MINUTE, 8 * MINUTE, -0.3)
    market = Market(start=0, count=3, rate=60, events=(event,))
    data = play(market, 9 * MINUTE)
    own = data["price"][(data["symbol"] == 1) & (data["ts"] < event.end)].astype(float)
    assert own.min() / own[0] == pytest.approx(0.7, rel=0.08)


def test_a_market_wide_move_moves_everybody() -> None:
    event = Planted(Kind.MARKET_MOVE, "*", 5 * MINUTE, 6 * MINUTE, 0.3)
    for symbol in ("SIM001/USD", "SIM002/USD", "SIM003/USD"):
        before, after, _, _ = around(event, symbol)
        assert after / before == pytest.approx(1.3, rel=0.05)


def test_a_volume_spike_multiplies_trades() -> None:
    _, _, before, during = around(Planted(Kind.VOLUME_SPIKE, "SIM001/USD", 5 * MINUTE, 6 * MINUTE, 10.0))
    assert during > 6 * before


def test_a_silence_is_silent_and_known_to_be() -> None:
    event = Planted(Kind.SILENCE, "SIM001/USD", 5 * MINUTE, 6 * MINUTE)
    assert around(event)[3] == 0
    market = Market(start=0, count=3, events=(event,))
    asked = [market.silent("SIM001/USD", t) for t in (event.start - 1, event.start, event.end)]
    assert asked == [False, True, False]
    assert not market.silent("SIM002/USD", event.start)


def test_random_events_are_announced_and_over_within_their_hour() -> None:
    market = Market(start=3, count=4, rate=1, events_per_hour=30)
    list(market.history(3 + 2 * HOUR))
    assert {e.kind for e in market.planted} == set(Kind)
    assert all((e.start - 3) // HOUR == (e.end - 4) // HOUR for e in market.planted)


def test_pumps_are_three_to_a_hundred_percent_within_minutes() -> None:
    events = random_events(np.random.default_rng(1), ["A"], 0, 500)
    pumps = [e for e in events if e.kind is Kind.PUMP]
    assert pumps
    assert all(0.03 <= e.size <= 1.0 and 2 * MINUTE <= e.end - e.start <= 10 * MINUTE for e in pumps)


def test_the_ends_of_a_u_shaped_day_are_busier() -> None:
    data = play(Market(start=0, count=5, rate=5, u_shaped=True), DAY)
    hours = np.bincount(data["ts"] // HOUR, minlength=24)
    assert hours[0] > 2 * hours[12]
    assert hours[23] > 2 * hours[12]


def test_a_resumed_market_goes_on_with_number_and_price() -> None:
    first = Market(start=0, count=3, rate=30)
    trades = [t for block in first.history(MINUTE) for t in first.trades(block)]
    last = {t.symbol: t for t in trades}
    resume = {s: Resume(int(t.id.split("-")[1]), t.price) for s, t in last.items()}
    second = Market(start=HOUR, count=3, rate=30, resume=resume)
    more = list(second.trades(second.next_block()))
    for symbol, trade in last.items():
        new = next(t for t in more if t.symbol == symbol)
        assert new.id == f"7-{resume[symbol].seq + 1}"
        assert new.price == pytest.approx(trade.price, rel=Decimal("0.02"))
    assert not {t.id + t.symbol for t in trades} & {t.id + t.symbol for t in more}


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 10_001}, {"rate": 0}, {"rate": 1e9}])
def test_an_impossible_market_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(BadSetting):
        Market(start=0, **wrong)  # type: ignore[arg-type]


def test_times_are_in_order_for_each_pair() -> None:
    market = Market(start=SECOND, count=10, rate=2_000)
    assert all(a.ts <= b.ts for a, b in pairwise(market.trades(market.next_block())))
