"""Prometheus and Grafana: rules that hold, and no expression about a metric that nobody exposes."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sparktrends.ops.ports import METRICS, WANTED

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS, GRAFANA = ROOT / "deploy" / "prometheus", ROOT / "deploy" / "grafana"
MADE = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
OF_CLIENT = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
"""What Prometheus and its client add to every target."""


OF_TARGET = {"job", "instance", "process", "le"}
"""Labels that the scrape configuration and histograms add."""


@cache
def exposed() -> dict[str, set[str]]:
    """Every series that the source of the product makes: its name → its labels."""
    found: dict[str, set[str]] = {}
    for file in (ROOT / "src").rglob("*.py"):
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                total = any(word.arg == "total" for word in node.keywords)
                ends = (("_total",) if total else ("",)) if function == "Figure" else MADE.get(function, ())
                if not ends:
                    continue
                place = 3 if function == "Figure" else 2
                labels = names_in(node.args[place], tree) if len(node.args) > place else set()
                found |= {f"sparktrends_{node.args[0].value}{end}": labels for end in ends}
    return found


def names_in(node: ast.expr, tree: ast.AST) -> set[str]:
    """The texts of a tuple or list that stands here, or that a name stands for."""
    if isinstance(node, ast.Name):
        given = (a for a in ast.walk(tree) if isinstance(a, ast.Assign) and ast.unparse(a.targets[0]) == node.id)
        return names_in(next(given).value, tree)
    names: tuple[str, ...] = ast.literal_eval(node)
    return set(names)


def labels_asked(expression: str) -> list[tuple[str, set[str]]]:
    """The labels by which an expression picks series of a metric; those that it sums by, under the empty name."""
    picked = re.findall(r"(\w+)\{([^}]*)\}", expression)
    found = [(name, set(re.findall(r"(\w+)\s*[=!]", inside))) for name, inside in picked]
    return found + [
        ("", set(re.split(r"[\s,]+", inside.strip()))) for inside in re.findall(r"by \(([^)]*)\)", expression)
    ]


def asked(expression: str) -> set[str]:
    """The metrics that an expression names."""
    plain = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|on)\s*\([^)]*\)", "", expression)
    return {word for word in re.findall(r"[a-z_]{2,}(?![a-z_]*\()", plain) if "_" in word or word == "up"}


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((GRAFANA / "dashboards" / "sparktrends.json").read_text())["panels"]
    return found


def expressions() -> list[str]:
    rules = re.findall(r"expr: (?:>\n((?: {10}.*\n)+)|(.*))", (PROMETHEUS / "alerts.yml").read_text())
    return [a or b for a, b in rules] + [target["expr"] for panel in panels() for target in panel["targets"]]


def test_names_are_found_in_expressions() -> None:
    expression = 'sum by (le) (rate(sparktrends_a_bucket{b_c="d_e"}[5m])) > on() up'
    assert asked(expression) == {"sparktrends_a_bucket", "up"}


@pytest.mark.parametrize("expression", expressions())
def test_every_expression_asks_for_what_is_exposed(expression: str) -> None:
    names = asked(expression)
    assert names
    assert names <= exposed().keys() | OF_CLIENT


@pytest.mark.parametrize("expression", expressions())
def test_every_expression_picks_by_labels_that_are_there(expression: str) -> None:
    every = set[str]().union(*(exposed().get(name, set()) for name in asked(expression)))
    for name, labels in labels_asked(expression):
        assert labels <= (exposed().get(name, set()) if name else every) | OF_TARGET, (name, labels)


def test_no_metric_has_a_label_that_the_scrape_configuration_adds() -> None:
    """Prometheus would rename it, and every expression that picks by it would find nothing."""
    added = set(re.findall(r"labels: \{(\w+):", (PROMETHEUS / "prometheus.yml").read_text()))
    assert added == {"process"}
    for name, labels in exposed().items():
        assert not labels & (added | {"job", "instance"}), name


def test_labels_are_found() -> None:
    assert exposed()["sparktrends_api_seconds_count"] == {"route", "status"}
    assert exposed()["sparktrends_source_stored_age_seconds"] == {"source"}
    assert labels_asked('sum by (a, le) (rate(x{b="c", d!~"e"}[5m]))') == [("x", {"b", "d"}), ("", {"a", "le"})]


def test_every_rule_is_tried_both_ways_or_more() -> None:
    rules = set(re.findall(r"alert: (\w+)", (PROMETHEUS / "alerts.yml").read_text()))
    tried = (PROMETHEUS / "alerts.test.yml").read_text()
    fired = set(re.findall(r"alertname: (\w+)\n\s+eval_time: \w+\n\s+exp_alerts", tried))
    assert fired == rules


def test_every_part_but_the_sandbox_is_scraped() -> None:
    text = (PROMETHEUS / "prometheus.yml").read_text()
    found = re.findall(r'"127\.0\.0\.1:(\d+)"\], labels: \{process: (\w+)\}', text)
    targets = {part: int(port) for port, part in found}
    wanted = {name.removeprefix(METRICS): port for name, port in WANTED.items() if name.startswith(METRICS)}
    assert targets == {part: port for part, port in wanted.items() if part != "sandbox"}


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


@pytest.mark.parametrize(
    "words",
    [("check", "config", "prometheus.yml"), ("check", "rules", "alerts.yml"), ("test", "rules", "alerts.test.yml")],
)
def test_promtool_finds_nothing(words: tuple[str, ...]) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("no promtool: apt-get install prometheus")
    done = subprocess.run(["promtool", *words], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
