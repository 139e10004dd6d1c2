"""What `up` decides while it watches its parts: whose sentence it quotes, and when everything is stored."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparktrends.errors import BadSetting, Terminal, Unavailable
from sparktrends.ops.supervise import Process, Spec, bare_env
from sparktrends.ops.up import _refusal


def ended(folder: Path, script: str) -> Process:
    """A part that has ended, after an earlier run of last week."""
    (folder / "stream.log").write_text("sparktrends: last week's reason\n")
    process = Process(Spec("stream", ["/bin/sh", "-c", script], folder / "stream.log", bare_env(os.environ)))
    process._popen.wait(30)
    return process


@pytest.mark.parametrize(("code", "kind"), [(1, Terminal), (2, BadSetting)])
def test_a_part_that_gives_up_is_quoted(tmp_path: Path, code: int, kind: type[Exception]) -> None:
    refusal = _refusal(ended(tmp_path, f"echo noise; echo 'sparktrends: no such rule'; exit {code}"))
    assert type(refusal) is kind
    assert str(refusal) == f"stream cannot go on: no such rule: see {tmp_path / 'stream.log'}"


def test_a_traceback_is_not_explained_by_an_old_sentence(tmp_path: Path) -> None:
    refusal = _refusal(ended(tmp_path, "echo 'Traceback (most recent call last):'; echo 'KeyError: 7'; exit 1"))
    assert isinstance(refusal, Unavailable)
    assert "last week" not in str(refusal)
    assert "it said: KeyError: 7; see" in str(refusal)
