"""Which live sources the ingest process runs: by name, with keys from the settings, real or from the sandbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from sparktrends.errors import BadSetting
from sparktrends.ingest.run import Feeder
from sparktrends.ingest.wanted import possible
from sparktrends.net import Secret
from sparktrends.ops.endpoints import record
from sparktrends.ops.ports import LOOPBACK, WANTED
from sparktrends.ops.settings import TOML_FILE, Settings, port_number
from sparktrends.sources import PROVIDERS, make_source
from sparktrends.sources.base import Source

STOCKS = ("TSLA", "MSFT", "GOOGL", "AAPL", "AMZN", "NVDA", "JPM", "SPY")
CRYPTO = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
DEFAULTS: Mapping[str, Sequence[str]] = {
    "binance": CRYPTO,
    "finnhub": STOCKS,
    "twelve_data": STOCKS,
    "alpha_vantage": ("AAPL",),  # each symbol would cost one of 25 calls a day at every round
    "yahoo": (*STOCKS, "BTC/USD", "ETH/USD", "SOL/USD"),
}
"""What each source takes in when nobody names symbols."""
_SANDBOX_KEY = "sandbox"
# Without encryption only to hosts that are allowed by name.
_SCHEMES = {"rest": ("https", "http"), "stream": ("wss", "ws")}
_CALLS = {"calls_per_second": 1, "calls_per_minute": 60, "calls_per_day": 86_400}


def key_name(provider: str) -> str:
    """The setting that holds a provider's key.

    >>> key_name("twelve_data")
    'TWELVE_DATA_API_KEY'
    """
    return f"{provider.upper()}_API_KEY"


def feeder(settings: Settings, provider: str, symbols: Sequence[str], sandbox_port: int = 0) -> Feeder:
    """One source ready to run; BadSetting without the key it needs, or when it can have none of the symbols."""
    source = source_of(provider, settings, sandbox_port)
    wanted = possible(source, symbols) if symbols else list(DEFAULTS[provider])
    if not wanted:
        raise BadSetting(
            f"{provider} has none of {', '.join(symbols)}",
            hint=f"try {', '.join(DEFAULTS[provider][:3])}",
        )
    return Feeder(source, tuple(dict.fromkeys(wanted)), key_of(settings, source, sandbox_port))


def source_of(provider: str, settings: Settings, sandbox_port: int = 0) -> Source:
    """The provider at its own addresses or those of ``[sources.<provider>]`` (``rest``, ``stream``), with the calls of
    the free plan or those that are named there (``calls_per_minute``, …).

    With a port its twin in the sandbox, whose values are marked as made up and whose plan is the free one.
    """
    real = make_source(provider)
    if not sandbox_port:
        told = _own(settings, provider)
        return make_source(provider, **_addresses(settings, provider, told), calls=_calls(provider, told))
    place = f"{LOOPBACK}:{sandbox_port}/{provider}"
    stream = f"ws://{place}{_path(real.stream.url)}" if real.stream else ""
    # The twin has the paths of the calls below each provider's name, without the base that some put before them.
    return make_source(provider, rest=f"http://{place}", stream=stream, suffix="~sim")


def _own(settings: Settings, provider: str) -> Mapping[str, Any]:
    """What a person wrote of a provider."""
    if unknown := sorted(set(settings.table("sources")) - set(PROVIDERS)):
        raise BadSetting(
            f"[sources.{unknown[0]}] in {TOML_FILE} means nothing", hint=f"there are {', '.join(PROVIDERS)}"
        )
    told = settings.table("sources").get(provider, {})
    if not isinstance(told, dict) or not set(told) <= {*_SCHEMES, *_CALLS}:
        raise BadSetting(f"[sources.{provider}] in {TOML_FILE} has other keys than {', '.join((*_SCHEMES, *_CALLS))}")
    return told


def _calls(provider: str, told: Mapping[str, Any]) -> dict[int, int]:
    """The calls that a person's plan has, by the seconds of their window."""
    calls = {name: told[name] for name in _CALLS if name in told}
    for name, units in calls.items():
        if type(units) is not int or not 0 <= units < 10**9:
            hint = "give how many, or 0 where the plan sets no such limit"
            raise BadSetting(
                f"[sources.{provider}] in {TOML_FILE}: {name} = {units!r} is no number of calls", hint=hint
            )
    return {_CALLS[name]: units for name, units in calls.items()}


def _addresses(settings: Settings, provider: str, told: Mapping[str, Any]) -> dict[str, str]:
    """What a person wrote in the place of a provider's addresses: another of its hosts, a gateway of the firm."""
    where = f"[sources.{provider}] in {TOML_FILE}"
    addresses = {name: told[name] for name in _SCHEMES if name in told}
    for name, address in addresses.items():
        parts = urlsplit(str(address))
        plain = parts.hostname in allowed_hosts(settings)
        if parts.scheme not in _SCHEMES[name][: 1 + plain] or not parts.hostname or parts.username:
            raise BadSetting(f"{where}: {name} is no address", hint=f"write {_SCHEMES[name][0]}://host/path")
    return {name: str(address).rstrip("/") for name, address in addresses.items()}


def allowed_hosts(settings: Settings) -> tuple[str, ...]:
    """Hosts that may be called although they are not public: ``[net] allow``."""
    return settings.allowed_hosts


def key_of(settings: Settings, source: Source, sandbox_port: int = 0) -> Secret | None:
    """The key for a source; None where it wants none, BadSetting where it is not set. A real key never goes to the
    sandbox."""
    needed = source.auth or (source.stream and source.stream.auth)
    if not needed:
        return None
    if sandbox_port:
        return Secret(_SANDBOX_KEY)
    name = key_name(source.provider)
    if not settings.get(name):
        hint = f"set {name} in the environment or in .env, or try it without a key: --sandbox"
        raise BadSetting(f"{source.provider} needs a key", hint=hint)
    return Secret(settings.get(name))


def sandbox_port(settings: Settings) -> int:
    """Where the twin of the running stack listens."""
    found = settings.env.get("SPARKTRENDS_PORT_SANDBOX") or record(settings.home).get("ports", {}).get("sandbox")
    return port_number("the sandbox's port", str(found or WANTED["sandbox"]))


def split(sources: Sequence[str]) -> tuple[list[str], list[str]]:
    """(live providers, everything else) among the sources that a person named, each once."""
    named = list(dict.fromkeys(sources))
    return [s for s in named if s in PROVIDERS], [s for s in named if s not in PROVIDERS]


def _path(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")
