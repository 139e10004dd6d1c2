"""Every example in a docstring of this room runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import sparktrends.sentiment as room

MODULES = [room.__name__, *(m.name for m in pkgutil.iter_modules(room.__path__, room.__name__ + "."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
