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


@cache
def exposed() -> set[str]:
    """The name of every series that the source of the product makes."""
    found: set[str] = set()
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                total = any(word.arg == "total" for word in node.keywords)
                ends = (("_total",) if total else ("",)) if function == "Figure" else MADE.get(function, ())
                found |= {f"sparktrends_{node.args[0].value}{end}" for end in ends}
    return found


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
    assert names <= exposed() | OF_CLIENT


def test_every_part_but_the_sandbox_is_scraped() -> None:
    text = (PROMETHEUS / "prometheus.yml").read_text()
    targets = {part: int(port) for port, part in re.findall(r'"127\.0\.0\.1:(\d+)"\], labels: \{part: (\w+)\}', text)}
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
