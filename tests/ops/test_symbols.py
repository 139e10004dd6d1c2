"""``--symbols``, in small letters or capitals."""

from __future__ import annotations

import doctest
from pathlib import Path

from sparktrends.ops.commands.daywork import job_of
from sparktrends.ops.settings import Settings


def test_examples() -> None:
    from sparktrends.ops.commands import symbols

    assert doctest.testmod(symbols).failed == 0


def test_providers_are_asked_in_capitals(tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path, {}, {}, {})
    for written, asked in (("aapl, btc/usd", ["AAPL", "BTC/USD"]), ("", None)):
        assert job_of(settings, None, written, ["yahoo"], sandbox=False)[0].symbols == asked
