"""Compiled code on disk: found again, never believed blindly, never needed."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sparktrends.indicators import Kernel
from sparktrends.indicators.compiling import compile_loop
from sparktrends.indicators.layout import Layout
from sparktrends.indicators.momentum import Return

LAYOUT = Layout((Return(),), counted=1)
FRESH = """
import sys
from pathlib import Path
from sparktrends.indicators import Kernel
from sparktrends.indicators.momentum import Return
Kernel(metrics=[Return()], extras=[], cache=Path(sys.argv[1])).prepare()
"""


@pytest.fixture
def small() -> None:
    compile_loop.cache_clear()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with compiled code in it, for tests to copy and damage."""
    folder = tmp_path_factory.mktemp("compiled")
    compile_loop.cache_clear()
    _returns(folder)
    return folder


def _returns(folder: Path | None) -> list[float]:
    kernel = Kernel(metrics=[Return()], extras=[], cache=folder)
    bars = np.array([[1, 2, 1, price, 1, 1, 0, 0] for price in (1.0, 2.0)])
    return kernel.run(kernel.new(1)[0], bars)[:, 0].tolist()


@pytest.mark.usefixtures("small")
def test_a_second_process_finds_what_the_first_compiled(tmp_path: Path) -> None:
    for _ in range(2):
        subprocess.run([sys.executable, "-c", FRESH, str(tmp_path)], check=True, timeout=120)
    sources, compiled = list(tmp_path.glob("kernel_*.txt")), list(tmp_path.rglob("*.nbc"))
    assert [path.name for path in sources] == [f"kernel_{LAYOUT.version}.txt"]
    assert len(compiled) == 1
    before = compiled[0].stat().st_mtime_ns
    assert _returns(tmp_path)[1] == 1.0
    assert compiled[0].stat().st_mtime_ns == before


@pytest.mark.usefixtures("small")
def test_a_folder_that_cannot_be_written_costs_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    with caplog.at_level(logging.WARNING):
        assert _returns(in_the_way)[1] == 1.0
    assert "not usable" in caplog.text


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("rest", [b"", b"garbage", None])
def test_a_damaged_cache_is_compiled_anew_and_mended(
    compiled: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str, rest: bytes | None
) -> None:
    folder = shutil.copytree(compiled, tmp_path / "damaged")
    (path,) = folder.rglob(f"*{suffix}")
    path.write_bytes(path.read_bytes()[:-20] if rest is None else rest)
    for _ in range(3):  # meets the damage; compiles into the folder again; finds it there
        caplog.clear()
        compile_loop.cache_clear()
        assert _returns(folder)[1] == 1.0
    assert caplog.text == ""


@pytest.mark.usefixtures("small")
def test_no_folder_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert _returns(None)[1] == 1.0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small")
def test_somebody_elses_text_under_our_name_is_replaced(tmp_path: Path) -> None:
    (tmp_path / f"kernel_{LAYOUT.version}.txt").write_text("raise SystemExit")
    assert _returns(tmp_path)[1] == 1.0


def test_a_layout_is_compiled_once_per_process(tmp_path: Path) -> None:
    assert compile_loop(LAYOUT, tmp_path) is compile_loop(Layout((Return(),), counted=1), tmp_path)
