"""SparkTrends: market data you can trust."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparktrends.serve.client import Client

__all__ = ["Client"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`from sparktrends import Client` loads the client only then: no process of ours pays for it."""
    if name == "Client":
        from sparktrends.serve.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
