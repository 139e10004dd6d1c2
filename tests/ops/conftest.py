"""What every test of this room has."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_settings_of_the_clone(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's `.env` or `sparktrends.toml` in the clone is for their own runs."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
