"""One name for each symbol."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime

import exchange_calendars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.errors import BadRecord, BadSetting
from sparktrends.sessions import calendar
from sparktrends.sources import make_source, symbols
from sparktrends.sources.symbols import exchange_of

CODES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=6)


@given(CODES, st.sampled_from(["FDUSD", "USDT", "USDC", "BTC", "ETH", "EUR"]))
def test_a_pair_written_together_is_split_again(base: str, quote: str) -> None:
    # "…FD" + "USD" and "…FDUSD" are the same letters: only the longest currency is read, so such bases are left out.
    if not (base + quote).removesuffix(quote).endswith(("FD", "T")):
        assert symbols.split_pair(base + quote) == f"{base}/{quote}"


@given(st.text(max_size=30))
def test_any_text_is_a_name_or_an_error_of_the_tree(text: str) -> None:
    for read in (symbols.split_pair, symbols.ticker_name):
        with contextlib.suppress(BadRecord):
            assert read(text)


@pytest.mark.parametrize("symbol", ["", "aapl", "BTC/USD", "A B", "A" * 21, "\u0410", "../x", "A&B"])
def test_what_is_no_stock_is_a_bad_setting(symbol: str) -> None:
    with pytest.raises(BadSetting):
        symbols.ticker_of(symbol, "x")


@pytest.mark.parametrize(
    ("written", "pair"),
    [("BTC-USD", "BTC/USD"), ("BTCUSDT", "BTC/USDT"), ("ETHFDUSD", "ETH/FDUSD"), ("ETH-BTC", "ETH/BTC")],
)
def test_a_pair_in_a_providers_spelling_is_no_stock(written: str, pair: str) -> None:
    with pytest.raises(BadSetting, match=f"write the pair as {pair}"):
        symbols.ticker_of(written, "yahoo")


@pytest.mark.parametrize("symbol", ["BRK-B", "BRK.B", "USDT", "^GSPC", "BETH", "TUSD"])
def test_stocks_that_look_like_pairs_are_stocks(symbol: str) -> None:
    assert symbols.ticker_of(symbol, "yahoo") == symbol


def test_two_currencies_of_states_are_foreign_exchange() -> None:
    assert [symbols.is_exchange_rate(s) for s in ("EUR/USD", "BTC/USD", "AAPL")] == [True, False, False]


@pytest.mark.parametrize(("wire", "name"), [("BTC-USD", "BTC/USD"), ("BRK-B", None), ("USD", None), ("-USD", None)])
def test_a_dash_before_a_currency_makes_a_pair(wire: str, name: str | None) -> None:
    assert symbols.dashed_pair(wire) == name


@pytest.mark.parametrize(
    ("symbol", "exchange"),
    [
        ("AAPL", "XNYS"),
        ("ETH/BTC", "24/7"),
        ("EUR/USD", "24/5"),
        ("7203.T", "XTKS"),
        ("VOLV.B.ST", "XSTO"),
        ("BRK.B", "XNYS"),
        ("2222.SR", "XSAU"),
        ("6488.TWO", "XTAI"),
        ("FM.V", "XTSE"),
        ("TSCO.LON", "XLON"),
    ],
)
def test_whose_hours_hold(symbol: str, exchange: str) -> None:
    assert symbols.exchange_of(symbol) == exchange


def test_every_exchange_of_the_table_has_a_calendar() -> None:
    known = {*symbols.SUFFIXES.values(), *symbols.INDICES.values(), symbols.FUTURES}
    assert known <= set(exchange_calendars.get_calendar_names())


@pytest.mark.parametrize("provider", ["finnhub", "twelve_data", "alpha_vantage", "yahoo"])
@pytest.mark.parametrize(("written", "pair"), [("EURUSD=X", "EUR/USD"), ("JPY=X", "USD/JPY")])
def test_a_rate_as_yahoo_writes_it_is_no_stock(provider: str, written: str, pair: str) -> None:
    with pytest.raises(BadSetting) as caught:
        make_source(provider).spell(written)
    assert pair in str(caught.value.hint)


def test_futures_are_yahoos_alone_and_have_their_own_hours() -> None:
    assert make_source("yahoo").spell("ES=F") == "ES=F"
    assert make_source("yahoo").name_of("ES=F") == "ES=F"
    for provider in ("finnhub", "twelve_data", "alpha_vantage"):
        with pytest.raises(BadSetting):
            make_source(provider).spell("ES=F")
    night = int(datetime(2026, 11, 24, 3, 0, tzinfo=UTC).timestamp()) * 1_000_000
    assert calendar(exchange_of("ES=F")).at(night).trading
    assert not calendar(exchange_of("^GSPC")).at(night).trading


def test_an_index_of_which_nobody_knows_the_hours_is_asked_about() -> None:
    assert make_source("yahoo").spell("^FTSE") == "^FTSE"
    with pytest.raises(BadSetting, match="nobody knows the exchange"):
        make_source("yahoo").spell("^CMC200")
    symbols.use_exchanges({"^CMC200": "24/7"})
    try:
        assert make_source("yahoo").spell("^CMC200") == "^CMC200"
        assert exchange_of("^CMC200") == "24/7"
    finally:
        symbols.use_exchanges({})


@pytest.fixture
def told() -> Iterator[None]:
    symbols.use_exchanges({".XX": "XHKG", "9988": "XHKG", ".T": "XTAI"})
    yield
    symbols.use_exchanges({})


@pytest.mark.usefixtures("told")
def test_what_a_person_says_of_exchanges_holds_first() -> None:
    assert [symbols.exchange_of(s) for s in ("ABC.XX", "9988", "7203.T", "SAP.DE")] == ["XHKG", "XHKG", "XTAI", "XETR"]
    assert make_source("yahoo").spell("ABC.XX") == "ABC.XX"


@pytest.mark.parametrize(
    ("symbol", "wire"),
    [("7203.T", "7203.T"), ("BRK.B", "BRK-B"), ("VOLV.B.ST", "VOLV-B.ST"), ("SAP.DE", "SAP.DE"), ("AAPL", "AAPL"),
     ("2222.SR", "2222.SR"), ("6488.TWO", "6488.TWO"), ("BAC-PL", "BAC-PL"), ("FM.V", "FM.V")],
)  # fmt: skip
def test_yahoo_dashes_classes_of_shares_and_nothing_else(symbol: str, wire: str) -> None:
    assert make_source("yahoo").spell(symbol) == wire
    assert make_source("yahoo").name_of(wire) == symbol


@pytest.mark.parametrize("provider", ["yahoo", "finnhub", "alpha_vantage"])
def test_an_end_that_no_table_has_is_asked_about_and_not_taken_for_new_york(provider: str) -> None:
    with pytest.raises(BadSetting, match=r"nobody knows the exchange of 'QNBK.QA'") as refusal:
        make_source(provider).spell("QNBK.QA")
    assert '".QA" = "XNYS"' in str(refusal.value.hint)
    symbols.use_exchanges({".QA": "XSAU"})
    try:
        assert make_source(provider).spell("QNBK.QA") == "QNBK.QA"
    finally:
        symbols.use_exchanges({})


def test_a_break_for_lunch_is_closed_and_begins_no_session() -> None:
    hours = calendar(symbols.exchange_of("7203.T"))
    noon, afternoon = (
        round(datetime(2025, 3, 5, hour, minute, tzinfo=UTC).timestamp()) * 10**6 for hour, minute in ((3, 0), (4, 0))
    )
    assert not hours.at(noon).trading
    assert hours.at(afternoon).trading
    assert hours.session_start(afternoon) == hours.session_start(noon - 60 * 10**6)
