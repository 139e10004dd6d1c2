"""`[exchanges]`: whose hours hold is a person's word, and a misspelt one is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparktrends.errors import BadSetting
from sparktrends.ops.commands.context import Context
from sparktrends.ops.exchanges import exchanges_of
from sparktrends.ops.settings import Settings
from sparktrends.sources.symbols import exchange_of, use_exchanges


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    use_exchanges({})


def settings(told: Any) -> Settings:
    return Settings(Path("/nowhere"), Path("/nowhere"), {}, {"exchanges": told}, {})


@pytest.mark.parametrize("told", [{".T": "MOON"}, {".T": 5}, {"7203.T": ["XTKS"]}, "XTKS"])
def test_what_is_no_exchange_is_refused(told: Any) -> None:
    with pytest.raises(BadSetting, match="exchange"):
        exchanges_of(settings(told))


def test_every_command_goes_by_the_exchanges_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sparktrends.toml").write_text('[exchanges]\n"NESN" = "XSWX"\n".QQ" = "XTKS"\n')
    monkeypatch.chdir(tmp_path)
    assert exchange_of("NESN") == "XNYS"
    assert Context(tmp_path / "home").settings.table("exchanges")
    assert [exchange_of(s) for s in ("NESN", "1234.QQ", "AAPL")] == ["XSWX", "XTKS", "XNYS"]
