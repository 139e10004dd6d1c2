"""What every registered channel must hold: adding a line to the registry adds it here."""

from __future__ import annotations

import logging
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from alerts.receivers import PlainPost, mail_server, receiver
from sparktrends.alerts.channels import REGISTRY, Channel, Item, Message, Tools, base, build
from sparktrends.errors import (
    AccessDenied,
    BadRecord,
    BadSetting,
    NotFound,
    RateLimited,
    SparkTrendsError,
    Unavailable,
    UnknownOutcome,
)

SECRET = "canary-7f3a9c"
HOSTILE = "<!channel> @here <https://evil.example|x> & *b* \x1b[2J\r\nBcc: x\u202e"
IMPATIENT_S = 1.0
TOOLS = Tools(PlainPost(), lambda: 0, print)
KINDS = sorted(REGISTRY)
HTTP = [kind for kind in KINDS if REGISTRY[kind].transport == "http"]
SMTP = [kind for kind in KINDS if REGISTRY[kind].transport == "smtp"]
OWN = [kind for kind in KINDS if REGISTRY[kind].transport == "own"]
REMOTE = [*HTTP, *SMTP, *OWN]


def item(number: int = 0, **more: Any) -> Item:
    given = {"title": "moved 5 %", "values": {"z": 6.5, "sma_20": 10.25}, **more}
    usual = {"symbol": "BTC/USD", "interval": "1m", "start": 0, "severity": "warning", "kind": "alert"}
    return Item(f"id{number:04}", rule="jump", source="binance", **{**usual, **given})


def message(*items: Item) -> Message:
    return Message(items or (item(),))


def make(kind: str, port: int, written: list[str] | None = None, post: PlainPost | None = None) -> Channel:
    """The channel of its own example, pointed at this machine."""
    words = {"host": "127.0.0.1", "port": port, "secret": SECRET}
    block = {key: value.format(**words) for key, value in REGISTRY[kind].example.items()}
    tools = Tools(post or PlainPost(), lambda: 1_700_000_000_000_000, (written if written is not None else []).append)
    return next(made for made in build({"mine": {**block, "kind": kind}}, tools) if made.name == "mine")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def delivered() -> Iterator[Callable[[str, Message], str]]:
    """Sends through a kind of channel and returns what the other side got, as text."""
    with ExitStack() as stack:

        def send(kind: str, what: Message) -> str:
            if REGISTRY[kind].transport == "none":
                written: list[str] = []
                make(kind, 0, written).send(what)
                return "\n".join(written)
            if REGISTRY[kind].transport == "smtp":
                mail = stack.enter_context(mail_server())
                make(kind, mail.port).send(what)
                return "\n".join(mail.mails)
            other = stack.enter_context(receiver())
            make(kind, other.port).send(what)
            return "\n".join(body.decode() for body in other.bodies)

        yield send


def patient(behaviour: Any) -> PlainPost:
    """Who waits long for everyone that will answer: a busy machine is no fault."""
    return PlainPost(IMPATIENT_S) if behaviour == "hang" else PlainPost()


def raised(channel: Channel) -> SparkTrendsError:
    with pytest.raises(SparkTrendsError) as caught:
        channel.send(message())
    text = f"{caught.value!r} {''.join(traceback.format_exception(caught.value))} {channel!r}"
    assert SECRET not in text
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_says_what_it_is(kind: str) -> None:
    made = REGISTRY[kind]
    assert made.kind == kind
    assert made.transport in ("http", "smtp", "own", "none")
    assert ">>>" in (made.__doc__ or "")


@pytest.mark.parametrize("kind", KINDS)
def test_tells_what_when_by_how_much_and_the_id(kind: str, delivered: Callable[[str, Message], str]) -> None:
    text = delivered(kind, message())
    assert all(word in text for word in ("id0000", "moved 5 %", "6.5", "jump", "BTC/USD"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_repeat_is_marked(kind: str, delivered: Callable[[str, Message], str]) -> None:
    text = delivered(kind, message(item(possible_repeat=True)))
    assert "possible repeat" in text or '"possible_repeat":true' in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_group_is_one_message_with_every_id(kind: str, delivered: Callable[[str, Message], str]) -> None:
    items = [item(number) for number in range(REGISTRY[kind].group)]
    text = delivered(kind, message(*items))
    assert all(one.alert in text for one in items)


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_text_stays_text(kind: str, delivered: Callable[[str, Message], str]) -> None:
    text = delivered(kind, message(item(title=HOSTILE, symbol=HOSTILE, values={HOSTILE: HOSTILE})))
    assert "\x1b" not in text
    assert "\nBcc:" not in text
    assert kind != "slack" or not any(sign in text for sign in ("<!", "<http", "@here", "://evil"))


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_surrogate_does_not_stop_it(kind: str, delivered: Callable[[str, Message], str]) -> None:
    assert "id0000" in delivered(kind, message(item(title="\ud800 \udfff")))


@pytest.mark.parametrize("kind", KINDS)
def test_repr_and_logs_hold_no_secret(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    channel = make(kind, free_port())
    if REGISTRY[kind].transport != "none":
        raised(channel)
    assert SECRET not in caplog.text + repr(channel) + str(channel)


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_and_missing_settings_are_named_and_values_are_not(kind: str) -> None:
    with pytest.raises(BadSetting, match="colour") as caught:
        build({"mine": {**REGISTRY[kind].example, "kind": kind, "colour": SECRET}}, TOOLS)
    assert SECRET not in str(caught.value)
    if REGISTRY[kind].example:
        with pytest.raises(BadSetting, match="is missing"):
            build({"mine": {"kind": kind}}, TOOLS)


@pytest.mark.parametrize("kind", REMOTE)
def test_nobody_there_is_unavailable(kind: str) -> None:
    assert type(raised(make(kind, free_port()))) is Unavailable


@pytest.mark.parametrize("kind", HTTP)
@pytest.mark.parametrize(
    ("behaviour", "error", "delay"),
    [
        ((429, {"Retry-After": "17"}), RateLimited, 17),
        ((429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), RateLimited, None),
        (500, Unavailable, None),
        ((503, {"Retry-After": "9"}), Unavailable, 9),
        (504, UnknownOutcome, None),
        ((302, {"Location": "http://169.254.169.254/"}), BadSetting, None),
        (400, BadRecord, None),
        (403, AccessDenied, None),
        (410, NotFound, None),
        ("hang", UnknownOutcome, None),
        ("close", UnknownOutcome, None),
    ],
)
def test_http_answers(kind: str, behaviour: Any, error: type[SparkTrendsError], delay: float | None) -> None:
    with receiver(default=behaviour) as other:
        found = raised(make(kind, other.port, post=patient(behaviour)))
        assert len(other.bodies) == 1
    assert type(found) is error
    assert getattr(found, "delay", None) == delay


@pytest.mark.parametrize("kind", HTTP)
def test_http_always_has_a_time_limit(kind: str) -> None:
    post = PlainPost()
    with receiver() as other:
        make(kind, other.port, post=post).send(message())
    assert 0 < post.timeouts[0] <= base.TIMEOUT_S


@pytest.mark.parametrize("kind", HTTP)
@pytest.mark.parametrize(
    "url", ["http://example.com/", "ftp://h/", "https://u:p@h/", "https://", "x", "http://[", "file:///etc"]
)
def test_http_refuses_addresses_without_naming_them(kind: str, url: str) -> None:
    block: Mapping[str, str] = {**REGISTRY[kind].example, "kind": kind, "url": url}
    with pytest.raises(BadSetting) as caught:
        build({"mine": block}, TOOLS)
    assert url.removeprefix("https://") in ("", "x") or url not in str(caught.value)


@pytest.mark.parametrize("kind", SMTP)
@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"connect": "close"}, Unavailable),
        ({"connect": "hang"}, Unavailable),
        ({"connect": "421 busy"}, Unavailable),
        ({"auth": "535 no"}, AccessDenied),
        ({"auth": "454 later"}, Unavailable),
        ({"mail": "550 no"}, NotFound),
        ({"rcpt": "450 greylisted"}, Unavailable),
        ({"rcpt": "550 nobody"}, NotFound),
        ({"data": "451 later"}, Unavailable),
        ({"body": "554 spam"}, BadRecord),
        ({"body": "452 full"}, Unavailable),
        ({"body": "close"}, UnknownOutcome),
        ({"body": "hang"}, UnknownOutcome),
    ],
)
def test_smtp_answers(
    kind: str, answers: dict[str, str], error: type[SparkTrendsError], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "hang" in answers.values():
        monkeypatch.setattr("sparktrends.alerts.channels.email.TIMEOUT_S", IMPATIENT_S)
    with mail_server(**answers) as mail:
        assert type(raised(make(kind, mail.port))) is error


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("behaviour", [500, 404, "hang", "close"])
def test_a_library_that_says_only_no_means_again(kind: str, behaviour: Any) -> None:
    with receiver(default=behaviour) as other:
        assert type(raised(make(kind, other.port))) is Unavailable
