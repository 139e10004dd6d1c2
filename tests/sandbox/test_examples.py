"""The examples in the docstrings of the twin run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import sparktrends.sandbox

MODULES = [m.name for m in pkgutil.iter_modules(sparktrends.sandbox.__path__, "sparktrends.sandbox.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
