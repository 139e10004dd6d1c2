"""Slack's limits and its own kind of hostility; the rest is in the conformance suite."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.alerts.channels import Item, Message
from sparktrends.alerts.channels.slack import Slack, escape, payload
from sparktrends.model import MINUTE


def item(text: str, number: int = 0, start: int = 0) -> Item:
    values = {f"{text}{n}": text for n in range(30)}
    link = "http://127.0.0.1:8501/?alert=x|>&a=b"
    name = f"{number:032}"
    return Item(name, "alert", text, text, text, "1m", start, "critical", text, values, link, True)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from("&<@*`x") | st.characters(),
    st.sampled_from([1, 2, 40, 41, Slack.group]),
    st.sampled_from([1, 2, 3, Slack.group]),
)
def test_the_longest_texts_keep_to_slacks_limits(sign: str, number: int, at_once: int) -> None:
    made = payload(Message(tuple(item(sign * 2_000, n, n // at_once * MINUTE) for n in range(number))))
    assert len(made["blocks"]) <= 50
    for block in made["blocks"]:
        for text in [block["text"]] if "text" in block else block["elements"]:
            assert len(text["text"]) <= (150 if block["type"] == "header" else 3_000)


def test_500_symbols_at_once_are_one_list_with_each_of_them_once() -> None:
    items = tuple(
        Item(f"{n:032}", "alert", "jump", "binance", f"S{n:03}", "1m", 0, "warning", f"S{n:03} moved 5 %")
        for n in range(500)
    )
    message = Message(items)
    shown = "\n".join(block["text"]["text"] for block in payload(message)["blocks"])
    for text in (shown, message.text()):
        assert [text.count(item.alert) for item in items] == [1] * 500
        assert [text.count(f"{item.symbol} moved") for item in items] == [1] * 500
        assert text.count("500 symbols at once: rule jump") == 1


@given(st.text())
def test_nothing_is_left_for_slack_to_obey(text: str) -> None:
    shown = escape(text)
    assert not set("<>") & set(shown)
    assert "://" not in shown
    assert len(shown) <= 800


@given(st.text(st.characters(exclude_characters="\u200b"), max_size=60))
def test_nothing_is_lost(text: str) -> None:
    shown = escape(text).replace("\u200b", "")
    assert shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


def test_our_link_is_the_only_one_and_cannot_be_broken_out_of() -> None:
    text = str(payload(Message((item("<http://evil|x>"),))))
    assert text.count("<http") == 1
    assert "<http://127.0.0.1:8501/?alert=x%7C%3E&amp;a=b|open>" in text
