"""What README and docs tell people to type is there, with the options that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sparktrends.ops.cli import main

ROOT = Path(__file__).resolve().parents[2]
# Decisions tell what was so when they were made.
PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "decisions")]
CONTEXT = click.Context(main)
COMMANDS = frozenset(main.list_commands(CONTEXT))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"(?:^|(?<=[\s/$(]))sparktrends ([^|;&>)#\n]+)")


def told(page: str) -> Iterator[list[str]]:
    """The words after `sparktrends` of every command that a page shows; in a sentence that word may be missing."""
    for kind, lines in FENCE.findall(page):
        if kind == "sh":
            yield from (typed.split() for typed in TYPED.findall(lines.replace("\\\n", " ")))
    for code in re.findall(r"`([^`\n]+)`", FENCE.sub("", page)):
        words = code.removeprefix("sparktrends ").split()
        if code.startswith("sparktrends ") or (words[0] in COMMANDS and len(words) > 1):
            yield words


def missing(words: list[str]) -> str:
    """The first word that the command line would not take; empty when there is none. Placeholders are in capitals."""
    command: click.Command = main
    rest = iter(words)
    for word in rest:
        if word.startswith("--"):
            name = re.match(r"[\w-]+", word)
            assert name
            if name[0] not in {"--help", *(option for one in command.params for option in one.opts)}:
                return word
            if name[0] == "--home":
                next(rest)
        elif isinstance(command, click.Group) and not word.startswith(("-", "…")):
            found = command.get_command(CONTEXT, word.rstrip("…,."))
            if found is None:
                return "" if command.invoke_without_command or word.isupper() else word
            command = found
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_the_documents_exists_with_its_options(page: Path) -> None:
    wrong = [f"{' '.join(words)}: no {found}" for words in told(page.read_text()) if (found := missing(words))]
    assert wrong == []


def test_commands_are_found_in_sentences_and_blocks() -> None:
    page = (
        "```sh\nA=1 sparktrends up --nope | cat\n```\n`sparktrends stream --shard 1/2`, or `topics --aply`, or `NAME`."
    )
    assert [missing(words) for words in told(page)] == ["--nope", "", "--aply"]
