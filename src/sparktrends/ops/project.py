"""The files that a new project begins with: settings with their names explained, and which symbols are wanted.

What else a project needs is one more line in `files`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path

from sparktrends.errors import BadSetting
from sparktrends.ops import compose
from sparktrends.ops.settings import ENV_FILE, NAMES, SECRET_NAMES, TOML_FILE

WRITTEN, KEPT, REPLACED = "written", "kept", "replaced"
_CALLS = "config"
_TOML = f"""# Settings of SparkTrends beside {ENV_FILE}: rules, channels, ports and more. Every key has a default.

[daily]
# Which symbols the daily run asks which provider for: one file a provider.
calls = "{_CALLS}"
"""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a project; a ``private`` one is for its owner's eyes only."""

    path: str
    text: str
    private: bool = False


def files(answers: Mapping[str, str]) -> list[File]:
    """Every file of a new project; ``answers`` are the settings that are known already."""
    return [
        File(ENV_FILE, "".join(_settings(answers)), private=True),
        File(f"{ENV_FILE}.example", "".join(_settings({}))),
        # Channels have secrets, and stand in it.
        File(TOML_FILE, _TOML, private=True),
        *(File(path, text) for path, text in compose.project().items()),
        *(File(f"{_CALLS}/{name}", text) for name, text in sorted(_questions())),
    ]


def asked() -> Mapping[str, str]:
    """The settings that a person is asked for: the secrets that others gave them."""
    return {name: NAMES[name] for name in NAMES if name in SECRET_NAMES and not name.startswith(("POSTGRES", "KAFKA"))}


def write(folder: Path, file: File, *, replace: bool) -> str:
    """Write a file that is not there (or ``replace`` it), whole or not at all; what became of it.

    Raises BadSetting for a folder that cannot be written.
    """
    path = folder / file.path
    there = path.exists() or path.is_symlink()
    if there and not replace:
        return KEPT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make_folders(folder, file)
        fresh = path.with_name(f"{path.name}.new")
        fresh.unlink(missing_ok=True)
        # Private before a secret is in it, not after.
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(file.text)
            if not file.private:
                # Containers are given these as they lie here, and their users are others: whatever the umask is.
                os.fchmod(out.fileno(), 0o644)
        fresh.replace(path)
    except OSError as error:
        raise BadSetting(f"{path} cannot be written ({error.strerror})", hint="name another folder") from error
    return REPLACED if there else WRITTEN


def _make_folders(folder: Path, file: File) -> None:
    """Those between ``folder`` and the file that are not there, for all to enter: containers are given some whole."""
    for between in reversed(Path(file.path).parents[:-1]):
        if not (made := folder / between).exists():
            made.mkdir()
            made.chmod(0o755)


def _settings(answers: Mapping[str, str]) -> Iterator[str]:
    yield "# Settings of SparkTrends. Nothing here is needed to begin: `sparktrends up` brings its own parts.\n"
    for name, meaning in NAMES.items():
        value = answers.get(name, "")
        yield f"\n# {meaning}\n" + (f"{name}={_quoted(name, value)}\n" if value else f"# {name}=\n")
    yield "\n# docker compose does not start without these, and the two passwords of POSTGRES above\n"
    yield from (f"# {name}=\n" for name in compose.needed() if name not in NAMES)


def _quoted(name: str, value: str) -> str:
    if not value.isprintable() or "'" in value:
        raise BadSetting(f"{name} holds a character that no {ENV_FILE} can keep", hint="paste it again")
    return f"'{value}'"


def _questions() -> Iterator[tuple[str, str]]:
    for file in (resources("sparktrends.sources") / "config").iterdir():
        if file.name.endswith(".json"):
            yield file.name, file.read_text(encoding="utf-8")
