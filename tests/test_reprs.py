"""No repr shows a password: errors, logs and a failed test print whatever they hold (law 11)."""

from __future__ import annotations

import importlib
import pkgutil
import re
from dataclasses import fields, is_dataclass

import sparktrends

# A connection string and the environment of a process hold passwords.
SECRET = re.compile(r"(.*_)?(dsn|conninfo|password|secret|superuser|env|environment)")
AS_TEXT = re.compile(r"(.*_)?database")


def shown() -> set[str]:
    """Fields of our dataclasses that say by their name that a password is in them, and stand in the repr."""
    found = set()
    for module in pkgutil.walk_packages(sparktrends.__path__, "sparktrends."):
        if module.name.rpartition(".")[2] == "__main__":
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if not (isinstance(value, type) and is_dataclass(value) and value.__module__ == module.name):
                continue
            for field in fields(value):
                secret = SECRET.fullmatch(field.name) or (AS_TEXT.fullmatch(field.name) and field.type == "str")
                if secret and field.repr and value.__dataclass_params__.repr:
                    found.add(f"{value.__module__}.{value.__qualname__}.{field.name}")
    return found


def test_what_holds_a_password_stands_in_no_repr() -> None:
    assert shown() == set()
