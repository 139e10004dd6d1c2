"""What the API is told by the settings: ``[api]``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sparktrends.errors import BadSetting
from sparktrends.ops.settings import Settings, port_number

_LIMITS: Mapping[str, type] = {"rate": float, "burst": float, "threads": int, "listeners": int}


def api_table(settings: Settings) -> dict[str, Any]:
    """What ``[api]`` says, as `sparktrends.serve.api.ApiConfig` names it; raises BadSetting."""
    table = settings.only("api", "host", "port", "origins", *_LIMITS)
    return {name: _read(name, value) for name, value in table.items()}


def _read(name: str, value: Any) -> Any:
    if name == "host":
        return str(value)
    if name == "port":
        return port_number("[api] port", str(value))
    return _origins(value) if name == "origins" else _limit(name, value)


def _origins(given: object) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise BadSetting(f"[api] origins = {given!r}", hint='give a list, such as ["https://pages.example.org"]')
    return tuple(map(str, given))


def _limit(name: str, value: Any) -> float:
    kind = _LIMITS[name]
    # A count is cut to a whole number below: half a thread would be none.
    least = 1 if kind is int else math.ulp(0)
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value < math.inf:
        raise BadSetting(f"[api] {name} = {value!r}", hint="give a number above 0")
    number: float = kind(value)
    return number
