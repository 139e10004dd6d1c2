"""The declaration that all share."""

from __future__ import annotations

import pytest

from sparktrends.errors import AccessDenied, BadRecord, BadSetting, NotFound, RateLimited, SparkTrendsError, Unavailable
from sparktrends.sources import make_source, spellings
from sparktrends.sources.base import Reply, Source, Usage, bar_start, check_status, collect, retry_after
from sparktrends.sources.binance import Binance


def reply(status: int, **headers: str) -> Reply:
    return Reply(status, b"", 0, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, RateLimited), (418, RateLimited), (401, AccessDenied), (403, AccessDenied), (451, AccessDenied),
     (404, Unavailable), (400, BadRecord), (414, BadRecord), (302, Unavailable), (500, Unavailable),
     (503, Unavailable)],
)  # fmt: skip
def test_a_status_is_an_error_of_the_tree(status: int, error: type[SparkTrendsError]) -> None:
    with pytest.raises(error, match=str(status)):
        check_status("x", reply(status))


def test_only_words_of_the_provider_say_that_something_does_not_exist() -> None:
    with pytest.raises(NotFound, match="no such symbol"):
        check_status("x", reply(404), "no such symbol")


def test_success_is_no_error() -> None:
    check_status("x", reply(200))


@pytest.mark.parametrize(
    ("value", "seconds"), [("17", 17.0), ("999999999", 86_400.0), ("soon", None), ("", None), ("-1", None), ("²", None)]
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after(reply(429, retry_after=value)) == seconds


MORNING = "Mon, 23 Nov 2026 09:30:00 GMT"


@pytest.mark.parametrize(
    ("moment", "date", "seconds"),
    [
        ("Mon, 23 Nov 2026 09:42:00 GMT", MORNING, 720.0),
        ("Mon, 23 Nov 2026 09:29:59 GMT", MORNING, 0.0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", MORNING, 86_400.0),
        (MORNING, "", None),
        (MORNING, "Mon, 23 Nov 99999999999 09:30:00 GMT", None),
    ],
)
def test_a_moment_in_retry_after_is_one_of_the_providers_own_clock(
    moment: str, date: str, seconds: float | None
) -> None:
    told = Reply(429, b"", 0, {"retry-after": moment, "date": date})
    assert retry_after(told) == seconds


def test_a_429_without_a_header_blocks_for_the_smallest_window() -> None:
    class Plain(Binance):
        usage = Source.usage

    assert Plain().usage(reply(429)) == (Usage(60, blocked=60.0),)
    assert Plain().usage(reply(418, retry_after="5")) == (Usage(60, blocked=5.0),)
    assert Plain().usage(reply(200)) == ()


def test_one_bad_row_does_not_cost_the_others() -> None:
    def read(row: int) -> None:
        if row == 2:
            raise BadRecord("odd", "two")

    rejects = collect([1, 2, 3], read)
    assert [(r.reason, r.payload, r.message) for r in rejects] == [("odd", "2", "two")]  # type: ignore[union-attr]


def test_a_bar_must_lie_on_the_grid() -> None:
    assert bar_start(3_600_000_000, "1h") == 3_600_000_000
    with pytest.raises(BadRecord, match="unaligned"):
        bar_start(1_800_000_000, "1h")


def test_other_addresses_and_a_suffix_change_nothing_else() -> None:
    source = make_source("finnhub", rest="http://127.0.0.1:1", stream="ws://127.0.0.1:1", suffix="~sim")
    assert (source.name, source.rest) == ("finnhub~sim", "http://127.0.0.1:1")
    assert source.stream is not None
    assert source.stream.url == "ws://127.0.0.1:1"
    assert source.stream.max_symbols == 50
    assert make_source("finnhub").stream != source.stream


def test_an_unknown_provider_is_a_bad_setting_that_names_the_known() -> None:
    with pytest.raises(BadSetting, match="binance"):
        make_source("bitfinex")


def test_one_name_has_a_spelling_for_each_provider_that_can_have_it() -> None:
    assert spellings("BTC/USDT") == {
        "binance": "BTCUSDT", "finnhub": "BINANCE:BTCUSDT", "twelve_data": "BTC/USDT", "alpha_vantage": "BTC",
        "yahoo": "BTC-USDT",
    }  # fmt: skip
    assert "binance" not in spellings("AAPL")
    assert spellings("no such thing") == {}


def test_a_memory_of_inferred_names_is_bounded() -> None:
    source = make_source("finnhub")
    memory = source.memory()
    memory.names.update({f"S{n}": "S" for n in range(100_000)})
    with pytest.raises(BadRecord):
        source.remember(memory, "AAPL")
