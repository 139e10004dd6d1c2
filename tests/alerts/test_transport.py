"""Channels over the real client: loopback only where it is allowed by name, signed bytes, no followed redirect."""

from __future__ import annotations

import pytest

from alerts.receivers import receiver
from sparktrends.alerts.channels import Item, Message, Tools, build
from sparktrends.alerts.channels.webhook import signature
from sparktrends.alerts.transport import guarded_post
from sparktrends.errors import BadSetting, SparkTrendsError, Unavailable, UnknownOutcome
from sparktrends.net import AddressGuard
from sparktrends.telemetry import system_clock

SECRET = "a-shared-secret-0123"
ITEM = Item("id1", "alert", "r", "binance", "Ünï/☃", "1m", 0, "info", "título \ud83d", {"x": 1e-7, "y": 3.0, "n": None})
LOCAL = AddressGuard(allowed=("127.0.0.1",))


def send(port: int, guard: AddressGuard = LOCAL) -> None:
    tools = Tools(guarded_post(system_clock, guard), system_clock, print)
    block = {"kind": "webhook", "url": f"http://127.0.0.1:{port}/hook", "secret": SECRET}
    build({"hook": block}, tools)[1].send(Message((ITEM,)))


def test_the_bytes_on_the_wire_are_the_signed_ones() -> None:
    with receiver() as other:
        send(other.port)
    told = other.headers[0]
    assert told["x-sparktrends-signature"] == signature(SECRET, told["x-sparktrends-timestamp"], other.bodies[0])


def test_an_address_inside_the_network_is_refused() -> None:
    with receiver() as other:
        with pytest.raises(BadSetting, match="not public"):
            send(other.port, AddressGuard())
        assert other.bodies == []


def test_a_redirect_is_not_followed() -> None:
    with receiver() as inside, receiver(default=(307, {"Location": f"http://127.0.0.1:{inside.port}/"})) as other:
        with pytest.raises(BadSetting):
            send(other.port)
        assert inside.bodies == []


@pytest.mark.parametrize(("behaviour", "error"), [("close", UnknownOutcome), (500, Unavailable)])
def test_errors_are_ours_and_keep_the_path_to_themselves(behaviour: object, error: type[SparkTrendsError]) -> None:
    with receiver(default=behaviour) as other, pytest.raises(error) as caught:
        send(other.port)
    assert "hook/" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_nobody_there_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        send(1)
