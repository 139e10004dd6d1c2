"""The wheel, as uvx or pipx would install it: everything is in it, and it works in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # From a copy of what is committed or will be: nothing that lies about here may get in.
    source = folder / "source"
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run(*PIP, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), ".", cwd=source)
    (made,) = folder.glob("*.whl")
    return made


PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def run(*argv: str, cwd: Path) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_file_of_the_package_is_in_it(wheel: Path) -> None:
    there = set(zipfile.ZipFile(wheel).namelist())
    tracked = run("git", "ls-files", "src/sparktrends", cwd=ROOT).splitlines()
    assert {name.removeprefix("src/") for name in tracked if (ROOT / name).is_file()} - there == set()


def test_it_works_where_the_repository_is_not(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    run(str(python), "-m", "pip", "--quiet", "install", "--no-deps", "--no-index", str(wheel), cwd=tmp_path)
    own = next((tmp_path / "env" / "lib").glob("python3*")) / "site-packages"
    # The packages that it needs are those of this environment: nothing is fetched.
    (own / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    folder = tmp_path / "typed-here"
    folder.mkdir()
    where = run(str(python), "-c", "import sparktrends; print(sparktrends.__file__)", cwd=folder)
    assert Path(where.strip()).is_relative_to(own)
    command = str(python.with_name("sparktrends"))
    run(command, "init", "--yes", cwd=folder)
    assert (folder / "docker-compose.yml").is_file()
    rows = "".join(f"2024-01-01T00:{minute:02}:00Z,1,3,0.5,2,{minute + 1}\n" for minute in range(60))
    (folder / "bars.csv").write_text("start,open,high,low,close,volume\n" + rows)
    run(command, "metrics", "bars.csv", "-o", "metrics.parquet", cwd=folder)
    assert (folder / "metrics.parquet").stat().st_size > 1_000
