"""The notebooks of `examples/` and the statements of the how-tos run on a database with a market in it."""

from __future__ import annotations

import ast
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from serve.api.world import World, serving
from serve.conftest import database as serve_database

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
HOW_TOS = sorted((ROOT / "docs" / "howto").glob("*.md"))
STATEMENTS = [
    (file.name, statement)
    for file in HOW_TOS
    for block in re.findall(r"```sql\n(.*?)```", file.read_text(), re.DOTALL)
    for statement in filter(str.strip, block.split(";\n"))
]
database = serve_database
pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def world(database: tuple[Any, Callable[[], World]]) -> World:
    return database[1]()


def cells(file: Path) -> list[str]:
    """The code of a notebook, cell by cell."""
    return ["".join(cell["source"]) for cell in json.loads(file.read_text())["cells"] if cell["cell_type"] == "code"]


def run(code: str, names: dict[str, Any]) -> Any:
    """Run a cell as Jupyter does; the value of its last line, when that is an expression."""
    *body, last = ast.parse(code).body
    shown = last if isinstance(last, ast.Expr) else None
    exec(compile(ast.Module([*body, *([] if shown else [last])], []), "cell", "exec"), names)
    return eval(compile(ast.Expression(shown.value), "cell", "eval"), names) if shown else None


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs_from_top_to_bottom(file: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def commits() -> None:
        while not over.wait(0.3):
            world.commit([(1, 29)])

    with serving(world) as (_, address):
        monkeypatch.setenv("SPARKTRENDS_API_URL", address)
        thread, names = threading.Thread(target=commits), dict[str, Any]()
        thread.start()
        try:
            shown = [run(code, names) for code in cells(file)]
        finally:
            over.set()
            thread.join()
            names["client"].close()
    assert all(one is not None for one in shown)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_holds_no_output_and_no_path(file: Path) -> None:
    assert all(not cell.get("outputs") for cell in json.loads(file.read_text())["cells"])
    assert "/home/" not in file.read_text()


def test_there_are_statements_in_the_how_tos() -> None:
    assert {name for name, _ in STATEMENTS} >= {"psql.md", "pgadmin.md"}


@pytest.mark.parametrize(("name", "statement"), STATEMENTS)
def test_a_statement_of_a_how_to_runs_as_the_reader(name: str, statement: str, world: World) -> None:
    with psycopg.connect(world.reader) as connection:
        cursor = connection.execute(statement)
        assert cursor.description
        if name == "pgadmin.md" or "symbols" in statement:
            cursor.fetchall()


@pytest.mark.parametrize("file", HOW_TOS, ids=lambda file: file.stem)
def test_links_of_a_how_to_lead_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", file.read_text()):
        assert (file.parent / target).exists(), target
