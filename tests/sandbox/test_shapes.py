"""The sources read what the twin says: every call, every stream, every refusal. Only here do the two meet."""

from __future__ import annotations

from typing import Any

import pytest

from sparktrends.batch.plan import calls_of, day_of
from sparktrends.errors import AccessDenied, NotFound, NotInPlan, RateLimited, SparkTrendsError, Unavailable
from sparktrends.model import DAY, HOUR, MINUTE, SECOND, Company, CorporateAction, NewsItem, ProviderBar, Trade
from sparktrends.sandbox.exchange import Call, Close, Frame, Session, World
from sparktrends.sandbox.providers import PROVIDERS
from sparktrends.sources import PROVIDERS as SOURCES
from sparktrends.sources import make_source
from sparktrends.sources.base import Ask, Event, Notice, Reject, Reply, Request, Source
from sparktrends.sources.calls import daily_calls
from twin import START, move, still_world

KEY = "sandbox-premium"


def call_of(source: Source, request: Request, key: str = KEY) -> Call:
    """The call that a driver would make, key and all."""
    auth = source.auth
    place = {auth.name: auth.template.format(key)} if auth else {}
    query = {**request.params, **(place if auth and auth.place == "query" else {})}
    headers = {k.lower(): v for k, v in place.items()} if auth and auth.place == "header" else {}
    return Call(request.path.replace("%5E", "^").replace("%3D", "="), query, headers)


def fetch(source: Source, request: Request, world: World, key: str = KEY) -> tuple[Reply, list[Event]]:
    """One call, answered by the twin and read by the source."""
    answer = PROVIDERS[source.provider].answer(call_of(source, request, key), world)
    reply = Reply(answer.status, answer.body, world.now, {k.lower(): v for k, v in answer.headers.items()})
    return reply, source.parse_rest(request, reply).events


ASKS = [
    ("binance", Ask("bars", ("BTC/USDT",)), ProviderBar, 1000),
    ("binance", Ask("bars", ("ETH/USDT",), "1d", START - 30 * DAY, START), ProviderBar, 30),
    ("binance", Ask("trades", ("BTC/USDT",), start=START, end=START + HOUR), Trade, 100),
    ("finnhub", Ask("bars", ("AAPL",), "1m", START - HOUR, START), ProviderBar, 60),
    ("finnhub", Ask("bars", ("BTC/USD",), "1d", START - 9 * DAY, START), ProviderBar, 9),
    ("finnhub", Ask("news", ("AAPL",), start=START - 5 * DAY, end=START), NewsItem, 50),
    ("finnhub", Ask("company", ("AAPL",)), Company, 1),
    ("finnhub", Ask("quote", ("AAPL",)), Trade, 1),
    ("twelve_data", Ask("bars", ("AAPL", "BTC/USD", "EUR/USD"), "1m", START - HOUR, START), ProviderBar, 180),
    ("twelve_data", Ask("bars", ("AAPL",), "1d", START - 9 * DAY, START), ProviderBar, 9),
    ("twelve_data", Ask("quote", ("AAPL",)), Trade, 1),
    ("alpha_vantage", Ask("bars", ("AAPL",), "5m"), ProviderBar, 100),
    ("alpha_vantage", Ask("bars", ("AAPL",), "1d"), ProviderBar, 100),
    ("alpha_vantage", Ask("bars", ("BTC/USD",), "1d"), ProviderBar, 350),
    ("alpha_vantage", Ask("news", ("AAPL", "BTC/USD"), start=START - DAY, end=START), NewsItem, 20),
    ("alpha_vantage", Ask("company", ("AAPL",)), Company, 1),
    ("alpha_vantage", Ask("quote", ("AAPL",)), ProviderBar, 1),
    ("alpha_vantage", Ask("actions", ("AAPL",)), CorporateAction, 1),
    ("yahoo", Ask("bars", ("AAPL",), "1m", START - HOUR, START + HOUR), ProviderBar, 55),
    ("yahoo", Ask("bars", ("BTC/USD",), "1d"), ProviderBar, 2000),
    ("yahoo", Ask("actions", ("AAPL",), start=1, end=START), CorporateAction, 8),
    ("yahoo", Ask("quote", ("EUR/USD",)), Trade, 1),
]


@pytest.mark.parametrize(("provider", "ask", "kind", "least"), ASKS)
def test_every_call_is_read_without_a_reject(provider: str, ask: Ask, kind: type, least: int) -> None:
    world, source = still_world(), make_source(provider)
    _, events = fetch(source, source.requests(ask)[0], world)
    assert all(isinstance(event, kind) for event in events), [e for e in events if isinstance(e, Reject)][:2]
    assert len(events) >= least


def test_the_calls_of_a_day_bring_each_split_and_dividend_once() -> None:
    world, today = still_world(), day_of(START)
    told: list[CorporateAction] = []
    for source in map(make_source, SOURCES):
        for call in calls_of(source, daily_calls(source), today, today, ["AAPL"]):
            for request in call.requests(source, {}):
                _, events = fetch(source, request, world)
                told += [event for event in events if isinstance(event, CorporateAction)]
    assert {action.kind for action in told} >= {"dividend"}
    assert len({(action.symbol, action.day, action.kind) for action in told}) == len(told)


@pytest.mark.parametrize("hour", [0, 3, 5, 12, 23])
def test_yesterdays_bar_of_a_stock_is_closed_at_any_hour(hour: int) -> None:
    world, source = still_world(), make_source("yahoo")
    midnight = (START // DAY + 1) * DAY
    world.now = midnight + hour * HOUR + MINUTE
    _, events = fetch(source, source.requests(Ask("bars", ("AAPL",), "1d", midnight - 9 * DAY, midnight))[0], world)
    assert [(e.start, e.closed) for e in events if isinstance(e, ProviderBar)][-1] == (midnight - DAY, True)


@pytest.mark.parametrize("provider", SOURCES)
def test_every_declared_call_is_there(provider: str) -> None:
    offered = {(p, ask.what) for p, ask, _, _ in ASKS}
    assert {(provider, e.what) for e in SOURCES[provider].endpoints} <= offered


def attend(source: Source, world: World, symbols: list[str], seconds: float) -> tuple[list[Event], list[Frame]]:
    """Hold a session and read everything it is told."""
    twin, memory, events, frames = PROVIDERS[source.provider], source.memory(symbols), [], []
    session = twin.admit(Call("/ws", {"token": KEY, "apikey": KEY}), world)
    assert isinstance(session, Session)
    replies = [reply for text in source.subscribe(symbols) for reply in twin.hear(session, text, world)]
    for _ in range(int(seconds * 10)):
        move(world, 0.1)
        frames += twin.tell(session, world)
    for reply in replies + frames:
        assert isinstance(reply, Frame)
        events += source.parse(reply.text, world.now, memory)
    return events, frames


STREAMS = [
    ("binance", ["BTC/USDT", "ETH/USDT"]),
    ("finnhub", ["AAPL", "BTC/USDT", "BTC/USD"]),
    ("twelve_data", ["AAPL", "BTC/USD", "EUR/USD"]),
    ("yahoo", ["AAPL", "BTC/USD", "EUR/USD"]),
]


@pytest.mark.parametrize(("provider", "symbols"), STREAMS)
def test_every_frame_is_read(provider: str, symbols: list[str]) -> None:
    source = make_source(provider)
    events, frames = attend(source, still_world(), symbols, 70)
    assert not [e for e in events if isinstance(e, Reject)]
    assert {e.symbol for e in events if isinstance(e, Trade)} == set(symbols)
    assert len([f for f in frames if f.items]) > 50


@pytest.mark.parametrize("provider", ["binance", "finnhub"])
def test_what_the_ledger_calls_delivered_is_what_the_source_read(provider: str) -> None:
    source = make_source(provider)
    events, frames = attend(source, still_world(), dict(STREAMS)[provider], 20)
    read = {(source.spell(e.symbol), e.id) for e in events if isinstance(e, Trade) and e.size}
    assert read == {item for frame in frames for item in frame.items}
    assert len(read) > 300


def test_some_trades_of_stocks_at_finnhub_only_count_for_the_volume() -> None:
    source = make_source("finnhub")
    events, _ = attend(source, still_world(), ["AAPL", "BTC/USD"], 70)
    told = [e for e in events if isinstance(e, Trade) and e.size]
    unpriced = [t for t in told if not source.volume_only.isdisjoint(t.conditions)]
    assert {t.symbol for t in unpriced} == {"AAPL"}
    assert 0 < len(unpriced) < len([t for t in told if t.symbol == "AAPL"]) / 10


def test_twelve_data_differences_add_up_to_the_days_volume() -> None:
    world = still_world()
    before = world.tape.series["AAPL"].day_volume(world.now)
    source = make_source("twelve_data")
    events, frames = attend(source, world, ["AAPL"], 30)
    trades = [e for e in events if isinstance(e, Trade)]
    first, last = (int(frames[i].items[0][1].rsplit(":")[-1]) for i in (0, -1))
    assert sum(t.size for t in trades) == last - first > 0
    assert first * 10**8 >= before


def test_trades_are_the_same_live_and_by_rest() -> None:
    world, source = still_world(), make_source("binance")
    events, _ = attend(source, world, ["BTC/USDT"], 10)
    live = {e.id: (e.ts, e.price, e.size) for e in events if isinstance(e, Trade)}
    ask = Ask("trades", ("BTC/USDT",), from_id=min(live), to_id=str(int(max(live)) + 1))
    _, again = fetch(source, source.requests(ask)[0], world)
    assert {e.id: (e.ts, e.price, e.size) for e in again if isinstance(e, Trade)} == live


def test_klines_are_the_fold_of_the_trades_told() -> None:
    world, source = still_world(seconds=58), make_source("binance")
    events, _ = attend(source, world, ["BTC/USDT"], 65)
    minute = START + MINUTE
    trades = [e for e in events if isinstance(e, Trade) and minute <= e.ts < minute + MINUTE]
    closed = [e for e in events if isinstance(e, ProviderBar) and e.closed and e.start == minute]
    request = source.requests(Ask("bars", ("BTC/USDT",), start=minute, end=minute + MINUTE))[0]
    _, by_rest = fetch(source, request, world)
    for bar in (*closed, *by_rest):
        assert isinstance(bar, ProviderBar)
        assert (bar.trades, bar.volume) == (len(trades), sum(t.size for t in trades))
        assert (bar.open, bar.close) == (trades[0].price, trades[-1].price)
        assert (bar.high, bar.low) == (max(t.price for t in trades), min(t.price for t in trades))
        assert bar.turnover == sum(t.price * t.size for t in trades)
    assert (len(closed), len(by_rest)) == (1, 1)


def test_all_providers_agree_on_the_price() -> None:
    world = still_world()
    quotes = {p: fetch(s := make_source(p), s.requests(Ask("quote", ("AAPL",)))[0], world)[1][0] for p in QUOTING}
    prices = {getattr(q, "price", None) or getattr(q, "close", None) for q in quotes.values()}
    assert len(prices) == 1


QUOTING = ("finnhub", "twelve_data", "alpha_vantage", "yahoo")

REFUSALS: list[tuple[str, int, type[SparkTrendsError]]] = [
    ("binance", 429, RateLimited), ("binance", 418, RateLimited), ("binance", 451, AccessDenied),
    ("binance", 403, RateLimited), ("binance", 503, Unavailable), ("finnhub", 429, RateLimited),
    ("finnhub", 401, AccessDenied), ("finnhub", 403, NotInPlan), ("finnhub", 502, Unavailable),
    ("twelve_data", 429, RateLimited), ("twelve_data", 200, RateLimited), ("twelve_data", 401, AccessDenied),
    ("twelve_data", 403, NotInPlan), ("twelve_data", 500, Unavailable), ("alpha_vantage", 200, RateLimited),
    ("alpha_vantage", 401, AccessDenied), ("alpha_vantage", 403, NotInPlan), ("alpha_vantage", 503, Unavailable),
    ("yahoo", 200, RateLimited), ("yahoo", 429, RateLimited), ("yahoo", 401, AccessDenied), ("yahoo", 503, Unavailable),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "status", "error"), REFUSALS)
def test_refusals_are_understood(provider: str, status: int, error: type[SparkTrendsError]) -> None:
    world, source = still_world("AAPL,BTC", seconds=1), make_source(provider)
    request = source.requests(
        Ask("bars", ("BTC/USDT" if provider == "binance" else "AAPL",), "1d", START - DAY, START)
    )[0]
    answer = PROVIDERS[provider].refusal(status, call_of(source, request), world)
    with pytest.raises(error) as told:
        source.parse_rest(request, Reply(answer.status, answer.body, world.now, answer.headers))
    # A key that is refused must not pass for a plan: it can be put right.
    assert isinstance(told.value, NotInPlan) == (error is NotInPlan)


@pytest.mark.parametrize("provider", SOURCES)
def test_a_symbol_that_is_not_there_is_not_found(provider: str) -> None:
    source, ask = make_source(provider), Ask("quote", ("NOPE",))
    if provider == "binance":
        ask = Ask("bars", ("NOPE/USDT",))
    with pytest.raises(NotFound):
        fetch(source, source.requests(ask)[0], still_world("AAPL,BTC", seconds=1))


@pytest.mark.parametrize(("provider", "ask"), [("finnhub", "1d"), ("alpha_vantage", "5m")])
def test_a_free_plan_has_no_premium_bars(provider: str, ask: str) -> None:
    source = make_source(provider)
    request = source.requests(Ask("bars", ("AAPL",), ask, START - DAY, START))[0]
    with pytest.raises(NotInPlan):
        fetch(source, request, still_world("AAPL", seconds=1), key="free")


def spend(provider: str, calls: int, step: float, key: str = "free") -> tuple[int, SparkTrendsError | None, World]:
    """(how many calls were answered, the first refusal) of calls that come every ``step`` seconds."""
    world, source = still_world("AAPL,BTC", seconds=0.5), make_source(provider)
    ask = Ask("trades", ("BTC/USDT",)) if provider == "binance" else Ask("quote", ("AAPL",))
    for number in range(calls):
        try:
            fetch(source, source.requests(ask)[0], world, key)
        except SparkTrendsError as error:
            return number, error, world
        world.now += int(step * SECOND)
    return calls, None, world


@pytest.mark.parametrize(
    ("provider", "step", "allowed"),
    [("finnhub", 0.5, 60), ("finnhub", 0.0, 30), ("twelve_data", 1.0, 8), ("alpha_vantage", 2.0, 25),
     ("alpha_vantage", 0.0, 1), ("binance", 0.0, 1500), ("yahoo", 0.1, 120)],
)  # fmt: skip
def test_quotas_hold_and_are_told(provider: str, step: float, allowed: int) -> None:
    answered, error, _ = spend(provider, allowed + 5, step)
    assert answered == allowed
    assert isinstance(error, RateLimited)


def test_who_goes_on_after_a_429_is_banned() -> None:
    _, _, world = spend("binance", 2000, 0.0)
    source: Any = make_source("binance")
    request = source.requests(Ask("trades", ("BTC/USDT",)))[0]
    statuses = [PROVIDERS["binance"].answer(call_of(source, request), world).status for _ in range(20)]
    assert statuses[0] == 429
    assert statuses[-1] == 418
    reply = PROVIDERS["binance"].answer(call_of(source, request), world)
    (used,) = (u.blocked for u in source.usage(Reply(418, reply.body, world.now, reply.headers)) if u.blocked)
    assert 100 < used <= 121


def test_binance_ends_a_connection_that_talks_too_much() -> None:
    world, twin = still_world("BTC", seconds=1), PROVIDERS["binance"]
    session = twin.admit(Call("/ws"), world)
    assert isinstance(session, Session)
    said = [m for _ in range(6) for m in twin.hear(session, '{"method":"LIST_SUBSCRIPTIONS","id":1}', world)]
    assert [type(m) for m in said] == [Frame] * 5 + [Close]


def test_the_symbols_of_a_key_are_counted_over_all_of_its_connections() -> None:
    world, source, twin = (
        still_world("AAPL,MSFT,BTC,ETH,SOL", seconds=1),
        make_source("twelve_data"),
        PROVIDERS["twelve_data"],
    )
    names = ["AAPL", "MSFT", "BTC/USD", "ETH/USD", "SOL/USD"]
    one, other, somebody = (twin.admit(Call("/", {"apikey": key}), world) for key in (KEY, KEY, KEY + "-2"))
    assert isinstance(one, Session)
    assert isinstance(other, Session)
    assert isinstance(somebody, Session)
    world.sessions["twelve_data"] = [one, other, somebody]
    for session in (one, somebody, other):
        twin.hear(session, source.subscribe(names)[0], world)
    assert [len(session.topics) for session in (one, somebody, other)] == [5, 5, 3]


def test_a_notice_says_what_was_subscribed_and_what_not() -> None:
    world, source, twin = still_world("AAPL", seconds=1), make_source("twelve_data"), PROVIDERS["twelve_data"]
    session = twin.admit(Call("/", {"apikey": KEY}), world)
    assert isinstance(session, Session)
    (frame,) = twin.hear(session, source.subscribe(["AAPL", "NOPE"])[0], world)
    assert isinstance(frame, Frame)
    notices = [e for e in source.parse(frame.text, 0, source.memory(["AAPL", "NOPE"])) if isinstance(e, Notice)]
    assert [(n.kind, n.symbols) for n in notices] == [("subscribed", ("AAPL",)), ("refused", ("NOPE",))]
