"""What is kept over a restart as far as the disk lets: nobody who takes in ends because of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sparktrends.errors import DiskFull
from sparktrends.ingest.kept import Kept
from sparktrends.net import JsonFile


class Disk(JsonFile):
    """A file on a disk that a test fills."""

    full = False

    def save(self, state: Mapping[str, Any]) -> None:
        if Disk.full:
            raise DiskFull("no room")
        super().save(state)


def test_what_could_not_be_saved_is_saved_when_there_is_room_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Kept(Disk(tmp_path / "gaps.json"))
    kept.save({"a": 1})
    monkeypatch.setattr(Disk, "full", True)
    kept.save({"a": 2})
    kept.save({"a": 3})
    kept.again()
    assert kept.load() == {"a": 3}
    assert JsonFile(tmp_path / "gaps.json").load() == {"a": 1}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    monkeypatch.setattr(Disk, "full", False)
    kept.again()
    assert kept.load() == JsonFile(tmp_path / "gaps.json").load() == {"a": 3}


def test_what_is_saved_is_not_saved_again(tmp_path: Path) -> None:
    file = tmp_path / "gaps.json"
    kept = Kept(JsonFile(file))
    kept.save({"a": 1})
    file.unlink()
    kept.again()
    assert kept.load() is None
