"""SECURITY.md names a test for each rule; each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAMED = re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", (ROOT / "SECURITY.md").read_text())


def test_the_page_names_tests() -> None:
    assert len(NAMED) > 40


@pytest.mark.parametrize(("path", "function"), sorted(set(NAMED)))
def test_what_it_names_is_there(path: str, function: str) -> None:
    text = (ROOT / path).read_text()
    assert not function or re.search(rf"^\s*(async )?def {function}\(", text, re.MULTILINE)
