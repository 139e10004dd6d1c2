"""The address guard: a name is resolved once, every address it has must be public, and the one checked is used.

That closes the way by which a configured URL (a webhook, a feed) makes us call something inside the network: a name
that resolves to a private address, one that changes between check and use, or a redirect (which `Http` never follows).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from sparktrends.errors import BadSetting, Unavailable

Resolver = Callable[[str, int], list[str]]
"""Host and port to the addresses of the host, as text; raises OSError when there is none."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# IPv4 addresses carried in IPv6 (RFC 6052): to Python all of them are public.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Global to some Python or other, and never a feed's: protocol assignments (where a cloud keeps its metadata service),
# relays of 6to4, site-local addresses and the newer range for documents.
_REFUSED = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "fec0::/10", "3fff::/20")))


def system_resolver(host: str, port: int) -> list[str]:
    """What the machine's resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class AddressGuard:
    """Which hosts may be called: all with public addresses only, and those named in ``allowed`` (the sandbox).

    >>> guard = AddressGuard(resolver=lambda host, port: ["169.254.169.254"])
    >>> guard.pin("metadata.test", 80)
    Traceback (most recent call last):
    sparktrends.errors.BadSetting: metadata.test leads to an address that is not public: allow it by name if meant
    """

    allowed: Collection[str] = ()
    resolver: Resolver = field(default=system_resolver)

    def pin(self, host: str, port: int) -> str:
        """The address to connect to. BadSetting for one that is not public, Unavailable when the name has none."""
        try:
            addresses = self.resolver(host, port)
        except (OSError, UnicodeError):
            addresses = []
        if not addresses:
            raise Unavailable(f"the name {host} cannot be resolved", hint="is the network there?")
        # All, not only the one that is used: a name that mixes both is rebinding, or an accident like it.
        if host not in self.allowed and not all(is_public(address) for address in addresses):
            raise BadSetting(f"{host} leads to an address that is not public", hint="allow it by name if meant")
        return addresses[0]


def is_public(text: str) -> bool:
    """Whether an address belongs to the internet; an IPv4 address inside an IPv6 one is judged as itself.

    >>> [is_public(a) for a in ("1.1.1.1", "10.0.0.1", "100.64.0.1", "::ffff:127.0.0.1", "fe80::1%eth0")]
    [True, False, False, False, False]
    """
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        address = _inner(address)
    # `is_global` alone lets multicast through, and some reserved ranges.
    refused = address.is_multicast or address.is_reserved or any(address in network for network in _REFUSED)
    return address.is_global and not refused


def _inner(address: ipaddress.IPv6Address) -> Address:
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address
