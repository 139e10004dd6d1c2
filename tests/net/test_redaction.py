"""Secrets do not show, whatever is printed."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.net.redaction import Redactor, Secret
from sparktrends.telemetry import JsonFormatter

CANARY = "canary-5f1d77c0"


def test_a_secret_shows_in_no_text() -> None:
    secret = Secret(CANARY)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>40}",
        f"{secret!s} {secret!r}",
        repr([secret]),
        repr({"k": secret}),
    ]
    assert not [text for text in shown if CANARY in text]
    assert secret.reveal() == CANARY


@pytest.mark.parametrize("act", [pickle.dumps, copy.deepcopy])
def test_a_secret_is_not_pickled(act: object) -> None:
    with pytest.raises(TypeError):
        act(Secret(CANARY))  # type: ignore[operator]


def test_equal_secrets_are_equal_and_their_fingerprint_tells_them_apart() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret(CANARY).fingerprint() != Secret(CANARY + "x").fingerprint()
    assert CANARY not in Secret(CANARY).fingerprint()
    assert not Secret("")


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://www.alphavantage.co/query?function=X&apikey={CANARY}&symbol=A",
        f"wss://ws.finnhub.io?token={CANARY}",
        f"postgresql://user:{CANARY}@127.0.0.1:5434/db",
        f"https://{CANARY}@host/",
        f"host=127.0.0.1 password={CANARY} dbname=x",
        f"host=127.0.0.1 password = '{CANARY} with \\' quote' dbname=x",
        f"https://hooks.slack.com/services/T000/B000/{CANARY}",
        f"https://discord.com/api/webhooks/1/{CANARY}",
        f"Authorization: Bearer {CANARY}",
        f"{{'Authorization': 'apikey {CANARY}'}}",
        f"X-Finnhub-Token: {CANARY}",
        f"Cookie: session={CANARY}",
    ],
)
def test_what_looks_like_a_secret_is_masked_unknown(text: str) -> None:
    assert CANARY not in Redactor()(text)


def test_a_known_value_is_masked_wherever_it_stands_and_however_it_is_quoted() -> None:
    redact = Redactor([Secret("p@ss/word 1")])
    assert redact("x p@ss/word 1 y p%40ss%2Fword%201 z p%40ss%2Fword+1") == "x *** y *** z ***"
    assert "ss/word" not in repr(redact)


@given(st.text("a\\'\"\n\té", max_size=5), st.text("'\" ", max_size=3), st.sampled_from([repr, json.dumps, ascii]))
def test_a_known_value_is_masked_where_it_is_escaped_too(odd: str, around: str, shown: Callable[[object], str]) -> None:
    value = f"tig{odd}ger"
    for said in (value, around + value + around, {"key": value}, [around, value]):
        text = Redactor([Secret(value)])(shown(said))
        assert "ger" not in text
        assert "tig" not in text


@given(st.text(max_size=80))
def test_a_text_without_secrets_of_its_own_is_never_an_error(text: str) -> None:
    assert isinstance(Redactor([Secret(CANARY)])(text), str)


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_known_secret_never_survives(before: str, after: str) -> None:
    assert CANARY not in Redactor([Secret(CANARY)])(before + CANARY + after)


@pytest.mark.parametrize("text", ["market.bars has 5 rows", "the key is missing", "symbol=AAPL&interval=1m", "a@b"])
def test_plain_words_stay(text: str) -> None:
    assert Redactor()(text) == text


def test_a_log_line_with_an_exception_holds_no_secret() -> None:
    formatter = JsonFormatter(Redactor([Secret(CANARY)]))
    with pytest.raises(ValueError) as caught:
        raise ValueError(f"bad key {CANARY}")
    info = (caught.type, caught.value, caught.tb)
    assert CANARY in "".join(traceback.format_exception(caught.value)), "the planted key was there to be found"
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "calling %s", (f"https://h/?token={CANARY}",), info)
    assert CANARY not in formatter.format(record)
