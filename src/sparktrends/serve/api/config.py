"""What the API runs with."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sparktrends.errors import BadSetting

PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Addresses, accounts and limits. ``reader`` reads `market`; ``owner`` reads keys, acknowledges and silences.

    ``rate`` requests a second and ``burst`` at once are allowed to each key (without one: to each address);
    ``threads`` answer requests, ``listeners`` follow the stream without a thread each. ``origins`` are the pages of
    other addresses that may read (the dashboard's), as browsers name them; None: every page that comes from
    the reader's own machine (off loopback it reads only that a key is needed: pages can send none). ``contained``: in
    a container whose port is published on loopback only, all of its addresses are this machine.
    """

    reader: str = field(repr=False)
    owner: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8000
    rate: float = 500.0
    burst: float = 1000.0
    threads: int = 6
    listeners: int = 500
    origins: tuple[str, ...] | None = None
    contained: bool = False
    body_bytes: int = 64 * 1024

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect: then no key is asked for."""
        return self.contained or is_loopback(self.host)

    def may_read(self, origin: str) -> bool:
        """Whether pages of this origin may read answers: `streamlit run` takes whatever port is free."""
        if self.origins is not None:
            return origin in self.origins
        return is_loopback(_host_of(origin))

    def require_keys(self, keys: int) -> None:
        """Raises BadSetting when others can connect and there is no key to tell them apart."""
        if not self.loopback and not keys:
            raise BadSetting(
                f"the API does not listen on {self.host} without a key",
                hint="make one with `sparktrends keys add NAME`, and put TLS in front",
            )


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether an address or name means this machine only.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0"), is_loopback("example.org")
    (True, False, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
