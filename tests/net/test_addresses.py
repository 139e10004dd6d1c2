"""Only public addresses, resolved once."""

from __future__ import annotations

import pytest

from sparktrends.errors import BadSetting, Unavailable
from sparktrends.net.addresses import AddressGuard, is_public

INSIDE = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1",
    "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1", "nonsense", "",
    "192.0.0.192", "192.0.0.8", "192.88.99.1", "fec0::1", "feff::1", "3fff::1", "::ffff:192.0.0.192",
    "64:ff9b::c000:c0",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_refused(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(BadSetting):
        AddressGuard(resolver=lambda host, port: [address]).pin("feed.test", 443)


@pytest.mark.parametrize("address", ["1.1.1.1", "192.0.1.1", "2606:4700:4700::1111", "64:ff9b::101:101"])
def test_a_public_address_is_used(address: str) -> None:
    assert AddressGuard(resolver=lambda host, port: [address]).pin("feed.test", 443) == address


def test_one_inside_address_among_public_ones_refuses_the_name() -> None:
    with pytest.raises(BadSetting):
        AddressGuard(resolver=lambda host, port: ["1.1.1.1", "10.0.0.1"]).pin("feed.test", 443)


def test_a_host_that_was_allowed_by_name_may_be_inside() -> None:
    guard = AddressGuard(allowed={"127.0.0.1"}, resolver=lambda host, port: ["127.0.0.1"])
    assert guard.pin("127.0.0.1", 8080) == "127.0.0.1"
    with pytest.raises(BadSetting):
        guard.pin("other.test", 8080)


def test_a_name_without_an_address_is_unavailable() -> None:
    def fail(host: str, port: int) -> list[str]:
        raise OSError(host)

    for resolver in (fail, lambda host, port: []):
        with pytest.raises(Unavailable):
            AddressGuard(resolver=resolver).pin("feed.test", 443)


def test_numeric_tricks_resolve_to_what_they_are() -> None:
    for host in ("127.0.0.1", "2130706433", "0x7f.1"):
        with pytest.raises((BadSetting, Unavailable)):
            AddressGuard().pin(host, 80)
