"""What every registered provider must do: its recordings are the test data, registration is the test list."""

from __future__ import annotations

import ast
import json
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sparktrends.errors import BadRecord, BadSetting, RateLimited, SparkTrendsError, Unavailable
from sparktrends.model import NewsItem, ProviderBar, Trade
from sparktrends.sources import PROVIDERS, make_source
from sparktrends.sources.base import Ask, Event, Memory, Notice, Reject, Reply, Request, Source

PAYLOADS = Path(__file__).resolve().parent.parent / "payloads"
RECEIVED = 1_732_147_200_200_000
CANARY = "CANARYKEY1234567"
STREAMING = sorted(name for name in PROVIDERS if make_source(name).stream)


def frames_of(provider: str) -> list[str]:
    path = PAYLOADS / provider / "frames.jsonl"
    return path.read_text("utf-8").splitlines() if path.exists() else []


def recorded(provider: str) -> list[Path]:
    return sorted((PAYLOADS / provider / "rest").glob("*.json"))


def load(source: Source, path: Path) -> tuple[Request, Reply]:
    told = json.loads(path.read_text("utf-8"))
    ask = told["ask"]
    requests = source.requests(Ask(**(ask | {"symbols": tuple(ask["symbols"])})))
    request = next(r for r in requests if r.endpoint == told.get("endpoint", requests[0].endpoint))
    body = told["text"] if "text" in told else json.dumps(told["body"])
    return request, Reply(told["status"], body.encode(), told["received"], told["headers"])


def kind_of(event: Event) -> str:
    match event:
        case Trade() | Notice():
            return f"{type(event).__name__}:{event.kind}"
        case Reject():
            return f"Reject:{event.reason}"
        case ProviderBar():
            return f"ProviderBar:{'closed' if event.closed else 'forming'}"
    return type(event).__name__


def kind_of_error(error: SparkTrendsError) -> str:
    return type(error).__name__ + (f":{error.reason}" if isinstance(error, BadRecord) else "")


def played(source: Source, frames: list[str], memory: Memory) -> tuple[list[Event], list[SparkTrendsError]]:
    events: list[Event] = []
    errors: list[SparkTrendsError] = []
    for frame in frames:
        try:
            events += source.parse(frame, RECEIVED, memory)
        except SparkTrendsError as error:
            errors.append(error)
    return events, errors


def answered(source: Source, path: Path) -> tuple[list[Event], list[SparkTrendsError]]:
    try:
        return source.parse_rest(*load(source, path)).events, []
    except SparkTrendsError as error:
        return [], [error]


def everything(provider: str) -> dict[str, tuple[list[Event], list[SparkTrendsError]]]:
    source = make_source(provider)
    answers = {f"rest/{path.name}": answered(source, path) for path in recorded(provider)}
    if source.stream:
        answers["frames.jsonl"] = played(source, frames_of(provider), source.memory())
    return answers


def test_the_counts_neither_miss_nor_outlive_a_provider() -> None:
    assert {folder.name for folder in PAYLOADS.iterdir() if (folder / "expected.json").exists()} == set(PROVIDERS)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_recorded_frame_and_answer_gives_exactly_what_was_counted_by_hand(provider: str) -> None:
    expected = json.loads((PAYLOADS / provider / "expected.json").read_text("utf-8"))
    found = {
        name: dict(Counter([*map(kind_of, events), *map(kind_of_error, errors)]))
        for name, (events, errors) in everything(provider).items()
    }
    assert found == expected
    assert sum(sum(counts.values()) for counts in found.values()) >= 15


INVARIANTS = {
    "a trade's price is positive and its time lies between 2014 and 2036": lambda e: (
        not isinstance(e, Trade) or (e.price > 0 and 1_388_534_400 < e.ts / 1e6 < 2_082_758_400)
    ),
    "size 0 and kind price go together": lambda e: not isinstance(e, Trade) or (e.kind == "price") == (e.size == 0),
    "a trade has an id, a price update has none": lambda e: (
        not isinstance(e, Trade) or bool(e.id) == (e.kind == "trade")
    ),
    "a trade knows when it was received": lambda e: not isinstance(e, Trade) or e.received is not None,
    "a closed bar has ended": lambda e: (
        not isinstance(e, ProviderBar) or not e.closed or e.received is None or e.start < e.received
    ),
    "a bar starts on a whole minute": lambda e: not isinstance(e, ProviderBar) or e.start % 60_000_000 == 0,
    "a story has a headline and an aware time": lambda e: (
        not isinstance(e, NewsItem) or (bool(e.headline.strip()) and e.published_at.tzinfo is not None)
    ),
    "the source is the provider": lambda e: isinstance(e, (Notice, Reject)) or e.source in PROVIDERS,
    "all of it can be written as UTF-8": lambda e: bool(repr(e).encode()),
}


@pytest.mark.parametrize("rule", INVARIANTS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_invariant(provider: str, rule: str) -> None:
    events = [event for events, _ in everything(provider).values() for event in events]
    assert [event for event in events if not INVARIANTS[rule](event)] == []


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("body", [b"", b"<html><body>404 Not Found</body></html>"])
def test_a_page_of_a_gateway_is_an_outage_and_no_unknown_symbol(provider: str, body: bytes) -> None:
    source = make_source(provider)
    for probe in source.probes():
        with pytest.raises(Unavailable, match="404"):
            source.parse_rest(probe.request, Reply(404, body, RECEIVED, {"content-type": "text/html"}))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_error_shows_a_key(provider: str) -> None:
    told = [str(error) + repr(error) for _, errors in everything(provider).values() for error in errors]
    assert not [text for text in told if CANARY in text]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_suffix_marks_every_value(provider: str) -> None:
    source = make_source(provider, suffix="~sim")
    events, _ = played(source, frames_of(provider), source.memory()) if source.stream else ([], [])
    events += [event for path in recorded(provider) for event in answered(source, path)[0]]
    assert {e.source for e in events if not isinstance(e, (Notice, Reject))} == {f"{provider}~sim"}


@pytest.mark.parametrize("provider", STREAMING)
def test_a_truncated_frame_is_a_bad_record(provider: str) -> None:
    source = make_source(provider)
    whole = next(
        f for f in frames_of(provider) if any(isinstance(e, Trade) for e in source.parse(f, 0, source.memory()))
    )
    for end in range(len(whole)):
        with pytest.raises(BadRecord):
            source.parse(whole[:end], RECEIVED, source.memory())


@pytest.mark.parametrize("provider", STREAMING)
@pytest.mark.parametrize(
    "frame", ["", "[]", "{}", "7", '{"e":"new"}', '"text"', "[" * 100_000, '{"a":' * 100_000, "\x00"]
)
def test_an_unknown_frame_is_a_bad_record(provider: str, frame: str) -> None:
    source = make_source(provider)
    with pytest.raises(BadRecord):
        source.parse(frame, RECEIVED, source.memory())


@pytest.mark.parametrize("provider", STREAMING)
def test_a_frame_about_a_symbol_nobody_asked_for_is_not_taken(provider: str) -> None:
    source = make_source(provider)
    events, _ = played(source, frames_of(provider), source.memory(["BTC/EUR"]))
    assert not [event for event in events if isinstance(event, (Trade, ProviderBar))]


@pytest.mark.parametrize("provider", STREAMING)
def test_subscriptions_are_messages_of_json_and_name_every_symbol(provider: str) -> None:
    source = make_source(provider)
    symbols = ["BTC/USD", "ETH/USD"]
    for messages in (source.subscribe(symbols), source.unsubscribe(symbols)):
        text = " ".join(messages)
        assert all(json.loads(message) for message in messages)
        assert all(source.spell(s).lower() in text.lower() for s in symbols)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("symbol", ["AAPL", "BTC/USD", "BTC/USDT", "ETH/BTC", "EUR/USD", "BRK.B"])
def test_a_spelling_leads_back_to_the_name(provider: str, symbol: str) -> None:
    source = make_source(provider)
    try:
        wire = source.spell(symbol)
    except BadSetting:
        pytest.skip(f"{provider} cannot have {symbol}")
    if provider == "alpha_vantage" and "/" in symbol:
        wire, symbol = f"CRYPTO:{wire}", f"{wire}/USD"
    assert source.name_of(wire) == symbol


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_not_offered_is_a_bad_setting(provider: str) -> None:
    source = make_source(provider)
    offered = {endpoint.what for endpoint in source.endpoints}
    for what in {"bars", "trades", "news", "company", "actions", "quote"} - offered:
        with pytest.raises(BadSetting):
            source.requests(Ask(what, ("AAPL",)))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_endpoint_makes_requests_that_hold_no_key(provider: str) -> None:
    source = make_source(provider)
    symbol = "BTC/USDT" if provider == "binance" else "AAPL"
    for endpoint in source.endpoints:
        ask = Ask(endpoint.what, (symbol,), "1d", 1_731_888_000_000_000, 1_732_233_600_000_000)
        for request in source.requests(ask):
            assert request.path.startswith("/")
            assert request.weight >= 1
            assert source.auth is None or source.auth.name not in request.params


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_declaration_is_complete(provider: str) -> None:
    source = make_source(provider)
    assert source.allowances
    assert source.probes()
    assert source.rest.startswith("https://")
    if source.stream:
        assert source.stream.url.startswith("wss://")
        assert source.stream.idle > 0
    assert source.volume_only <= set(source.conditions)
    assert ">>>" in (type(source).__doc__ or "")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_an_answer_says_of_the_quota_is_about_a_declared_window(provider: str) -> None:
    source = make_source(provider)
    said = [usage for path in recorded(provider) for usage in source.usage(load(source, path)[1])]
    assert said
    assert {usage.window for usage in said} <= {allowance.window for allowance in source.allowances}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_rate_limit_says_how_long_and_the_planner_hears_it_too(provider: str) -> None:
    source = make_source(provider)
    replies = [(load(source, path)[1], answered(source, path)[1]) for path in recorded(provider)]
    limits = [(reply, error) for reply, errors in replies for error in errors if isinstance(error, RateLimited)]
    assert limits
    for reply, error in limits:
        assert error.delay
        assert error.delay in [usage.blocked for usage in source.usage(reply)]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_source_opens_no_socket_and_reads_no_clock(provider: str) -> None:
    module = sys.modules[PROVIDERS[provider].__module__]
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    roots = {name.partition(".")[0] for name in imported}
    assert not roots & {
        "socket",
        "ssl",
        "asyncio",
        "httpx",
        "websockets",
        "urllib3",
        "requests",
        "time",
        "os",
        "random",
    }
    assert {n.split(".")[1] for n in imported if n.startswith("sparktrends.")} <= {"sources", "model", "errors"}


# -- mutations: whatever comes, only an error of the tree -------------------------------------------------------

WEIRD: list[Any] = [
    None, True, -1, 0, 10**30, "", "NaN", "1e400", "-1", "1_000",
    "\u0661", "\ud800", "\x00", "x" * 70_000, [], {}, [[]],
    {"a": 1}, "1e-30", "9" * 5000, 1.5, -0.0, "2024-02-30", "Nowhere/City",
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


def with_weird_value(text: str, rng: random.Random) -> str:
    try:
        document = json.loads(text)
    except ValueError:
        return text
    place = rng.choice(places(document))
    if not place:
        return json.dumps(rng.choice(WEIRD))
    target = document
    for key in place[:-1]:
        target = target[key]
    if rng.random() < 0.3:
        del target[place[-1]]
    else:
        target[place[-1]] = rng.choice(WEIRD)
    return json.dumps(document)


def with_broken_bytes(text: str, rng: random.Random) -> bytes:
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        span = rng.randint(0, 6)
        data[at : at + span] = rng.randbytes(rng.randint(0, 6)) if rng.random() < 0.7 else data[:span]
    return bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.2 else data)


def mutated(text: str, rng: random.Random) -> str | bytes:
    return with_weird_value(text, rng) if rng.random() < 0.6 else with_broken_bytes(text, rng)


def survive(provider: str, count: int, seed: int) -> Counter[str]:
    rng = random.Random(seed)
    source = make_source(provider)
    frames, answers = frames_of(provider), [load(source, path) for path in recorded(provider)]
    memory, outcomes = source.memory(), Counter[str]()
    for _ in range(count):
        try:
            if source.stream and rng.random() < 0.7:
                events = source.parse(mutated(rng.choice(frames), rng), RECEIVED, memory)
            else:
                request, reply = rng.choice(answers)
                broken = mutated(reply.body.decode(), rng)
                body = broken.encode("utf-8", "surrogatepass") if isinstance(broken, str) else broken
                changed = Reply(rng.choice([200, reply.status]), body, reply.received, reply.headers)
                source.usage(changed)
                events = source.parse_rest(request, changed).events
        except SparkTrendsError as error:
            outcomes[kind_of_error(error)] += 1
            continue
        outcomes.update(map(kind_of, events))
        assert all(repr(event).encode() for event in events)
    return outcomes


@pytest.mark.parametrize("provider", PROVIDERS)
def test_mutated_payloads_end_in_events_or_errors_of_the_tree(provider: str) -> None:
    outcomes = survive(provider, 2_500, seed=20261121)
    assert sum(n for kind, n in outcomes.items() if kind.startswith("BadRecord")) > 500


@pytest.mark.slow
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_hundred_thousand_mutated_payloads(provider: str) -> None:
    outcomes = survive(provider, 100_000, seed=5)
    assert sum(n for kind, n in outcomes.items() if kind.startswith("BadRecord")) > 20_000


@pytest.mark.parametrize("provider", STREAMING)
def test_good_frames_between_bad_ones_are_all_read(provider: str) -> None:
    rng = random.Random(7)
    source = make_source(provider)
    alone, _ = played(source, frames_of(provider), source.memory())
    truncated = [frame[: rng.randrange(len(frame))] for frame in frames_of(provider)]
    both = [frame for pair in zip(truncated, frames_of(provider), strict=True) for frame in pair]
    assert played(source, both, source.memory())[0] == alone


def test_recorded_alpha_vantage_answers_are_read_completely(shared_data: Path) -> None:
    source = make_source("alpha_vantage")
    request = source.requests(Ask("bars", ("MSFT",), "1m"))[0]
    wanted = {
        "global_quote": 1, "mock_company_overview": 1, "mock_crypto_currencies": 923, "mock_time_series": 100,
        "mock_time_series_extended": 11_190, "symbol_search": 10,
    }  # fmt: skip
    bodies = {name: (shared_data / "payloads" / name).read_bytes() for name in wanted}
    counts = {name: len(source.parse_rest(request, Reply(200, body, RECEIVED)).events) for name, body in bodies.items()}
    assert counts == wanted


@pytest.mark.parametrize("body", [b"<html>Too Many Requests</html>", b"{}", b"[]", b""])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_429_without_words_and_without_a_time_blocks_all_the_same(provider: str, body: bytes) -> None:
    source = make_source(provider)
    symbol = "BTC/USDT" if provider == "binance" else "AAPL"
    (request, *_) = source.requests(Ask("bars", (symbol,), "1d", 1, 2))
    for headers in ({}, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}):
        reply = Reply(429, body, RECEIVED, headers)
        assert max(usage.blocked or 0.0 for usage in source.usage(reply)) >= 1.0
        with pytest.raises(RateLimited) as caught:
            source.parse_rest(request, reply)
        assert (caught.value.delay or 0.0) >= 1.0
