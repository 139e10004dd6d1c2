"""The table of faults is whole, and every test that it names is there."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from faults.run import main, rows, try_row

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
        assert not function or function in functions(path), name


def test_a_row_is_run_by_its_number_and_reported(tmp_path: Path) -> None:
    assert main(["28", "--seed", "5", "--to", str(tmp_path)]) == 0
    said = json.loads((tmp_path / "faults.json").read_text())
    assert (said["seed"], [(row["row"], row["result"]) for row in said["rows"]]) == (5, [("28", "held")])
    assert "| 28 |" in (tmp_path / "faults.md").read_text()


def test_a_row_without_a_test_is_not_tried() -> None:
    assert try_row("99", {"fault": "the sky falls", "holds": "nothing", "missing": "no sky"}, 5).result == "not tried"
