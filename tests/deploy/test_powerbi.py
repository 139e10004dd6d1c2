"""The Power BI project says of the views what is true of them. (Nobody has opened it in Power BI yet.)"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "powerbi"
MODEL = FOLDER / "SparkTrends.SemanticModel" / "definition"
PAGES = FOLDER / "SparkTrends.Report" / "definition" / "pages"
KINDS = {
    "int64": {"integer", "bigint", "smallint"},
    "double": {"double precision", "numeric"},
    "string": {"text"},
    "boolean": {"boolean"},
    "dateTime": {"timestamp with time zone", "date"},
}
COMPUTED = {"Bars": {"date"}, "Metrics": {"date"}, "Signals": {"date"}, "Calendar": {"date"}}


@dataclass
class Table:
    """What a file of `tables/` declares."""

    view: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    measures: dict[str, str] = field(default_factory=dict)


@cache
def tables() -> dict[str, Table]:
    found = {}
    for file in (MODEL / "tables").glob("*.tmdl"):
        text = file.read_text()
        table = found[file.stem] = Table()
        views = re.findall(r'Schema = "market", Item = "(\w+)"', text)
        table.view = views[0] if views else ""
        table.columns = dict(re.findall(r"^\tcolumn '?([^'\n]+)'?\n\t\tdataType: (\w+)$", text, re.MULTILINE))
        table.measures = dict(re.findall(r"^\tmeasure '?([^'\n]+?)'? = (.+)$", text, re.MULTILINE))
        assert re.search(rf"^table '?{file.stem}'?$", text, re.MULTILINE)
    return found


def visuals() -> list[Any]:
    return [json.loads(file.read_text()) for file in PAGES.glob("*/visuals/*/visual.json")]


@pytest.mark.e2e
@pytest.mark.parametrize("name", sorted(tables()))
def test_columns_are_those_of_the_view(name: str, database: str) -> None:
    table = tables()[name]
    assert table.columns
    if not table.view:
        return
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a "
            "WHERE a.attrelid = to_regclass('market.' || %s) AND a.attnum > 0",
            (table.view,),
        ).fetchall()
    stored = dict(found)
    for column, kind in table.columns.items():
        if column not in COMPUTED.get(name, ()):
            assert stored.get(column) in KINDS[kind], column


def test_the_model_lists_its_tables() -> None:
    assert set(re.findall(r"^ref table (\w+)$", (MODEL / "model.tmdl").read_text(), re.MULTILINE)) == tables().keys()


def test_relations_join_columns_of_one_type_and_lead_to_a_key() -> None:
    text = (MODEL / "relationships.tmdl").read_text()
    found = re.findall(r"\tfromColumn: (\w+)\.(\w+)\n\ttoColumn: (\w+)\.(\w+)", text)
    assert len(found) == text.count("relationship ") > 0
    for a, b, c, d in found:
        assert tables()[a].columns[b] == tables()[c].columns[d]
        assert f"column {d}\n\t\tdataType: {tables()[c].columns[d]}\n" in (MODEL / "tables" / f"{c}.tmdl").read_text()
        assert re.search(rf"column {d}\n(\t\t.*\n)*\t\tisKey", (MODEL / "tables" / f"{c}.tmdl").read_text())


def test_measures_name_columns_and_measures_that_are_there() -> None:
    everywhere = {measure for table in tables().values() for measure in table.measures}
    for table in tables().values():
        for formula in table.measures.values():
            for name, column in re.findall(r"(\w+)\[(\w+)\]", formula):
                assert column in tables()[name].columns, formula
            assert set(re.findall(r"(?<!\w)\[([^\]]+)\]", formula)) <= everywhere, formula


def test_the_first_and_the_last_price_are_of_bars_that_have_one() -> None:
    # A quiet minute has no price: taken for the newest one it would be a fall of all.
    measures = tables()["Bars"].measures
    for name, column in (("Last close", "close"), ("First open", "open")):
        assert f"NOT ISBLANK(Bars[{column}])" in measures[name]


def test_visuals_show_what_the_model_has() -> None:
    assert visuals()
    for visual in visuals():
        for role in visual["visual"]["query"]["queryState"].values():
            for projection in role["projections"]:
                ((kind, said),) = projection["field"].items()
                table, name = tables()[said["Expression"]["SourceRef"]["Entity"]], said["Property"]
                assert name in (table.columns if kind == "Column" else table.measures), name


def test_the_report_has_the_pages_that_were_asked_for() -> None:
    order = json.loads((PAGES / "pages.json").read_text())["pageOrder"]
    titles = [json.loads((PAGES / page / "page.json").read_text())["displayName"] for page in order]
    assert titles == ["Price trends", "Volume", "Moving averages", "Volatility"]
    assert {file.parent.name for file in PAGES.glob("*/page.json")} == set(order)


def test_every_json_file_is_json_and_nothing_names_a_secret() -> None:
    for file in FOLDER.rglob("*"):
        if file.suffix in (".json", ".pbip", ".pbids", ".pbir", ".pbism"):
            json.loads(file.read_text())
        if file.is_file():
            assert "password" not in file.read_text().lower()
