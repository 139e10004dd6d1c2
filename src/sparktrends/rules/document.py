"""The rules file: TOML with an array of tables ``[[rule]]``; every fault found, each with its line and column."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparktrends.errors import BadFile
from sparktrends.rules.names import Names, suggestion
from sparktrends.rules.rule import DEFAULTS, Rule, make_rule
from sparktrends.rules.scalars import BadRule

MAX_FILE = 1_000_000
"""Largest rules file, in bytes."""
MAX_RULES = 500

_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*rule[ \t]*\]\]", re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """A fault in a rules file: where (line and column from 1), in which rule, and what is wrong."""

    file: str
    line: int
    column: int
    rule: str
    message: str

    def __str__(self) -> str:
        who = f"rule {self.rule}: " if self.rule else ""
        return f"{self.file}:{self.line}:{self.column}: {who}{self.message}"


def read_text(path: Path) -> str:
    """The text of a rules file; raises `BadFile`."""
    try:
        content = path.read_bytes()
        if len(content) > MAX_FILE:
            raise BadFile(f"{path} is larger than {MAX_FILE} bytes")
        return content.decode("utf-8")
    except OSError as error:
        raise BadFile(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadFile(f"{path} is not UTF-8 text (byte {error.start})") from error


def read_rules(text: str, names: Names, file: str) -> tuple[list[Rule], list[Finding]]:
    """The good rules of a text and everything wrong with it."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return [], [_toml_fault(str(error), file)]
    findings = [
        _finding(text, 0, file, "", key, f"unknown key {key}{suggestion(key, ['rule'])}")
        for key in document
        if key != "rule"
    ]
    tables = document.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables) or len(tables) > MAX_RULES:
        return [], [Finding(file, 1, 1, "", f"rules are written as at most {MAX_RULES} tables [[rule]]"), *findings]
    if not tables and not findings:
        findings = [Finding(file, 1, 1, "", "there is no [[rule]] in it")]
    rules, faults = _rules(text, tables, names, file)
    return rules, findings + faults


def _rules(text: str, tables: list[dict[str, Any]], names: Names, file: str) -> tuple[list[Rule], list[Finding]]:
    starts = [match.end() for match in _HEADER.finditer(text)]
    rules: dict[str, Rule] = {}
    findings: list[Finding] = []
    for number, table in enumerate(tables):
        # Inline tables have no header of their own: then the place is the top of the file.
        start = starts[number] if len(starts) == len(tables) else 0
        try:
            rule = make_rule(table, names)
            if rule.name in rules:
                raise BadRule("name", "another rule has this name already")
            rules[rule.name] = rule
        except BadRule as fault:
            called = str(table.get("name", f"number {number + 1}"))
            value = fault.text or (table.get(fault.key) if fault.key in DEFAULTS else None)
            findings.append(_finding(text, start, file, called, fault.key, str(fault), value, fault.at))
    return list(rules.values()), findings


def _finding(
    text: str, start: int, file: str, rule: str, key: str, message: str, value: object = None, at: int = 0
) -> Finding:
    match = re.compile(rf"^[ \t]*[\"']?{re.escape(key)}[\"']?[ \t]*=", re.MULTILINE).search(text, start)
    following = _HEADER.search(text, start)
    if match is None or (following and match.start() > following.start()):
        # A list of tables may be written with a header for each.
        match = re.compile(rf"^[ \t]*\[\[[ \t]*rule\.{re.escape(key)}[ \t]*\]\]", re.MULTILINE).search(text, start)
    if match is None or (following and match.start() > following.start()):
        place = start
    else:
        # A value written with escapes is not found as it is: then the key is the place.
        written = text.find(value, match.end()) if isinstance(value, str) and value else -1
        place = written + at if written >= 0 else match.start()
    line = text.count("\n", 0, place) + 1
    return Finding(file, line, place - (text.rfind("\n", 0, place) + 1) + 1, rule, message)


def _toml_fault(message: str, file: str) -> Finding:
    place = re.search(r"\(at line (\d+), column (\d+)\)", message)
    line, column = (int(place[1]), int(place[2])) if place else (1, 1)
    return Finding(file, line, column, "", f"not TOML: {re.sub(r' *[(]at .*', '', message)}")
