"""One helpful sentence for whatever keeps a source from taking in, and silence when nothing does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparktrends.ingest.alarm import FEED, conditions_of
from sparktrends.ingest.heartbeats import Feed
from sparktrends.ingest.trouble import Look, Trouble, troubles
from sparktrends.model import HOUR, MINUTE, SECOND
from sparktrends.sessions import Session

NOW = 1_732_147_200_000_000  # Thursday, 21 November 2024, midnight UTC
OPEN = Session("open", NOW - HOUR, NOW + HOUR)
NIGHT = Session("closed", NOW + 14 * HOUR + 30 * MINUTE, NOW + 21 * HOUR)
WELL = Feed(up=True, last_data=NOW - SECOND)
DOWN = Feed(down_since=NOW - MINUTE)
AT_EASE = Look("finnhub", NOW, {"AAPL": WELL, "MSFT": WELL}, lambda _: OPEN)


def told(look: Look) -> list[tuple[str, str]]:
    return [(trouble.kind, trouble.words) for trouble in troubles(look)]


def test_where_all_comes_nothing_is_said() -> None:
    assert told(AT_EASE) == []


def test_a_wrong_key_is_named_with_what_does_not_come() -> None:
    look = replace(AT_EASE, feeds={"AAPL": DOWN, "MSFT": DOWN}, failure="finnhub refuses the key")
    assert troubles(look)[0].symbols == ("AAPL", "MSFT")
    words = "finnhub: nothing of AAPL, MSFT since Wed 2024-11-20 23:59 UTC: finnhub refuses the key"
    assert told(look) == [("down", words)]


def test_the_first_seconds_of_a_connection_are_no_trouble() -> None:
    assert told(replace(AT_EASE, feeds={"AAPL": Feed(down_since=NOW - 9 * SECOND)})) == []
    assert told(replace(AT_EASE, feeds={"AAPL": replace(DOWN, arriving=True)})) == []


def test_a_closed_market_says_when_it_opens_whatever_the_connection_does() -> None:
    look = replace(AT_EASE, feeds={"AAPL": DOWN, "MSFT": replace(WELL, last_data=NOW - HOUR)}, market=lambda _: NIGHT)
    words = "finnhub: the market of AAPL, MSFT is closed until Thu 2024-11-21 14:30 UTC; prices come then"
    assert told(look) == [("closed", words)]


def test_crypto_goes_on_beside_a_closed_exchange() -> None:
    feeds = {"AAPL": WELL, "BTC/USD": WELL}
    look = replace(AT_EASE, feeds=feeds, market=lambda s: NIGHT if s == "AAPL" else Session("24/7"))
    assert [kind for kind, _ in told(look)] == ["closed"]


@pytest.mark.parametrize(("quiet", "kind"), [(["AAPL"], "quiet"), (["AAPL", "MSFT"], "silent")])
def test_one_silent_symbol_may_not_be_traded_but_all_of_them_are_a_dead_feed(quiet: list[str], kind: str) -> None:
    since = NOW - 6 * MINUTE
    feeds = {s: replace(WELL, last_data=since) if s in quiet else WELL for s in AT_EASE.feeds}
    words = f"finnhub: nothing of {', '.join(quiet)} since Wed 2024-11-20 23:54 UTC, though the connection lives"
    assert told(replace(AT_EASE, feeds=feeds)) == [(kind, words)]


def test_of_a_symbol_that_is_hardly_traded_nobody_hears_soon() -> None:
    feeds = {"AAPL": replace(WELL, last_data=NOW - 4 * MINUTE), "MSFT": WELL}
    assert told(replace(AT_EASE, feeds=feeds)) == []


def test_the_night_is_no_silence_in_the_morning() -> None:
    fresh = Session("open", NOW - 30 * SECOND, NOW + HOUR)
    feeds = {"AAPL": replace(WELL, last_data=NOW - 10 * HOUR)}
    assert told(replace(AT_EASE, feeds=feeds, market=lambda _: fresh)) == []


def test_a_spent_quota_says_when_the_next_call_goes() -> None:
    look = replace(AT_EASE, source="alpha_vantage", feeds={"AAPL": DOWN}, quota_s=7 * 3600.0)
    assert told(look) == [("quota", "alpha_vantage: its quota is spent; the next call goes in 7 hours")]


SPENT = "its quota is spent; the next call goes in 7 hours"


def test_a_spent_quota_that_holds_the_bars_beside_a_socket_is_told_and_nobody_called_dead() -> None:
    look = replace(AT_EASE, source="twelve_data", quota_s=7 * 3600.0, socket=True)
    words = f"twelve_data: {SPENT}, and until then only its socket brings data"
    assert told(look) == [("quota", words)]
    assert told(replace(look, barless=dict.fromkeys(look.feeds, NOW - 5 * MINUTE))) == [("quota", words)]
    # A minute's window is spent again and again: that is the pace, no trouble.
    assert told(replace(look, quota_s=62.0)) == []


def test_a_spent_quota_explains_no_socket_that_is_dead() -> None:
    look = replace(AT_EASE, feeds={"AAPL": DOWN}, quota_s=7 * 3600.0, socket=True)
    assert [kind for kind, _ in told(look)] == ["quota", "down"]


def test_where_calls_are_all_there_is_a_spent_quota_explains_the_silence_too() -> None:
    feeds = {"AAPL": replace(WELL, last_data=NOW - 6 * MINUTE)}
    assert told(replace(AT_EASE, feeds=feeds, quota_s=7 * 3600.0)) == [("quota", f"finnhub: {SPENT}")]


def test_a_quota_is_no_trouble_while_every_exchange_is_closed() -> None:
    look = replace(AT_EASE, quota_s=7 * 3600.0, market=lambda _: NIGHT)
    assert [kind for kind, _ in told(look)] == ["closed"]


def test_what_a_plan_lacks_is_told_without_repeating_the_name() -> None:
    look = replace(AT_EASE, refused=["stock/candle is not asked for: your plan does not include this"])
    assert told(look) == [("refused", "finnhub: stock/candle is not asked for: your plan does not include this")]


def test_only_a_feed_that_is_dead_for_a_minute_while_its_market_trades_raises_an_alert() -> None:
    kinds = ("down", "silent", "quiet", "closed", "quota", "refused")
    old = [Trouble(kind, kind, f"{kind}: words", NOW - MINUTE - 1) for kind in kinds]  # type: ignore[arg-type]
    young = [replace(trouble, source="x" + trouble.source, since=NOW - 50 * SECOND) for trouble in old]
    found = conditions_of(NOW, None, 0, [*old, *young])
    assert set(found) == {(FEED, "down"), (FEED, "silent")}
    assert found[FEED, "down"].title == "down: words"
    assert set(conditions_of(NOW, NOW - 6 * SECOND, 7, [])) == {("ops.ingest_waits", "ingest")}
    assert conditions_of(NOW, NOW - 4 * SECOND, 7, []) == {}


def test_bars_that_do_not_come_beside_a_living_socket_are_told_and_raise_an_alert() -> None:
    since = NOW - 5 * MINUTE
    look = replace(AT_EASE, source="yahoo", barless={"AAPL": since}, bars_failure="yahoo gave an empty answer for AAPL")
    words = (
        "yahoo: no bars of AAPL since Wed 2024-11-20 23:55 UTC, though prices come: yahoo gave an empty answer for AAPL"
    )
    assert told(look) == [("down", words)]
    assert conditions_of(NOW, None, 0, troubles(look))[FEED, "yahoo"].title == words


def test_one_poll_without_bars_and_a_night_without_them_are_no_trouble() -> None:
    assert told(replace(AT_EASE, barless={"AAPL": NOW - MINUTE})) == []
    opened = replace(OPEN, opens=NOW - MINUTE)
    assert told(replace(AT_EASE, barless={"AAPL": NOW - 9 * HOUR}, market=lambda _: opened)) == []
    closed = replace(AT_EASE, barless={"AAPL": NOW - HOUR}, market=lambda _: NIGHT)
    assert [kind for kind, _ in told(closed)] == ["closed"]
