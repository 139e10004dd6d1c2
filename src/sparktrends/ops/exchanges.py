"""Whose hours hold for which symbols, where a person says so: ``[exchanges]``."""

from __future__ import annotations

from collections.abc import Mapping

from sparktrends.errors import BadSetting
from sparktrends.ops.settings import Settings
from sparktrends.sessions import calendar


def exchanges_of(settings: Settings) -> Mapping[str, str]:
    """``[exchanges]``: market identifier codes by symbol (``"7203.T" = "XTKS"``) or by the end of one (``".T"``).

    Raises BadSetting for a code that no calendar has.
    """
    told = settings.table("exchanges")
    for symbol, code in told.items():
        if not isinstance(code, str):
            raise BadSetting(f"[exchanges] {symbol} = {code!r} is no exchange", hint='write its code, such as "XTKS"')
        try:
            calendar(code)
        except BadSetting as error:
            raise BadSetting(f"[exchanges] {symbol}: {error}", hint=error.hint) from None
    return told


def apply(settings: Settings) -> None:
    """From now on they hold in this process."""
    if told := exchanges_of(settings):
        from sparktrends.sources.symbols import use_exchanges  # here: it loads every provider, and few need it

        use_exchanges(told)
