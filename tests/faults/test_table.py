"""The table of faults is whole, and every test that it names is there."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from faults.run import apart, main, rows, try_row, verdict

TESTS = Path(__file__).resolve().parents[1]


def test_every_row_is_there_and_says_what_is_tried_or_not() -> None:
    assert list(rows()) == [*map(str, range(1, 32)), *(f"L{number}" for number in range(1, 9))]
    assert [name for name, row in rows().items() if not (row.get("tests") or row.get("missing"))] == []


def functions(path: str) -> set[str]:
    tree = ast.parse((TESTS / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("row", rows())
def test_the_tests_of_a_row_exist(row: str) -> None:
    for name in rows()[row].get("tests", []):
        path, _, function = name.partition("::")
        assert not function or function.rpartition("::")[2] in functions(path), name


def test_a_row_is_run_by_its_number_and_reported(tmp_path: Path) -> None:
    assert main(["28", "--seed", "5", "--to", str(tmp_path)]) == 0
    said = json.loads((tmp_path / "faults.json").read_text())
    assert (said["seed"], [(row["row"], row["result"]) for row in said["rows"]]) == (5, [("28", "held")])
    assert "| 28 |" in (tmp_path / "faults.md").read_text()


def test_a_row_without_a_test_is_not_tried() -> None:
    assert try_row("99", {"fault": "the sky falls", "holds": "nothing", "missing": "no sky"}, 5).result == "not tried"


@pytest.mark.parametrize(
    ("code", "passed", "skipped", "result"),
    [
        (0, True, False, "held"),
        (0, True, True, "in part"),
        (0, False, True, "not tried"),
        (1, True, True, "failed"),
    ],
)
def test_held_means_that_nothing_was_skipped(code: int, passed: bool, skipped: bool, result: str) -> None:
    assert verdict(code, passed, skipped) == result


def test_what_was_skipped_is_said(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").touch()  # so that nothing above it is read
    file = tmp_path / "test_sky.py"
    file.write_text("import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('no disk here')\n")
    row = {"fault": "the sky falls", "holds": "nothing", "missing": "no sky", "tests": [os.path.relpath(file, TESTS)]}
    found = try_row("99", row, 5)
    assert (found.result, found.missing) == ("in part", "no sky; no disk here")


def test_who_is_not_root_has_a_small_disk_and_stays_who_they_are() -> None:
    nobody = 65534
    begun = ["setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups"] if os.geteuid() == 0 else []
    user, group = (nobody, nobody) if begun else (os.geteuid(), os.getegid())
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o777)
        argv = [*begun, *apart(Path(folder), user, group)]
        said = f"id -u; touch {folder}/a; stat -f -c %T {folder}; stat -c %u {folder}/a"
        done = subprocess.run([*argv, "sh", "-euc", said], capture_output=True, text=True)
        if done.returncode and "unshare" in done.stderr:
            pytest.skip(f"no name spaces here: {done.stderr}")
        assert done.stdout.split() == [str(user), "tmpfs", str(user)], done.stderr
        assert os.listdir(folder) == []
