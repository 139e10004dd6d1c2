"""Java's classes as one file that a start maps into memory: to read and check them anew is half of what a start costs.

Java writes the file at the first orderly end of a program, of the classes that were in use by then, and refuses one
that does not fit (class data sharing, JEP 350). The bundled runtime cannot: it lacks the archive of its own classes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sparktrends.ops.java import Java

_MAGIC = bytes.fromhex("a8ab0bf0")
"""What a file begins with that was written to its end; Java writes the beginning last."""
_VERSIONS = 3
"""So many files of a program are kept: each takes 50 to 140 MB."""
_SILENT = "-Xlog:cds*=off"


@dataclass(frozen=True, slots=True)
class KeptClasses:
    """The classes of one program: ``file`` may be there, or come to be when the program ends."""

    file: Path

    @classmethod
    def of(cls, program: str, java: Java, jars: Sequence[Path], cache: Path) -> KeptClasses | None:
        """Named by the program, the Java and the jars; None where this Java or the cache allows none."""
        release = java.home / "release"
        if java.bundled or not release.exists():
            return None
        path = [(str(jar), jar.stat().st_mtime_ns, jar.stat().st_size) for jar in jars]
        # By what Java itself compares: another time or size of a jar makes it refuse the file.
        said = repr((str(java.home), release.read_text(errors="replace"), path))
        folder = cache / "classes"
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        # As in an image: Java could not write there at its end.
        if not os.access(folder, os.W_OK):
            return None
        return cls(folder / f"{program}-{hashlib.sha256(said.encode()).hexdigest()[:16]}.jsa")

    @property
    def reading(self) -> list[str]:
        """Options with which Java uses the file; none while there is no file."""
        self._adopt()
        return [f"-XX:SharedArchiveFile={self.file}", "-Xshare:auto", _SILENT] if self.file.exists() else []

    @property
    def options(self) -> list[str]:
        """Options with which Java uses the file, or writes it at its end."""
        # By process: two that end at once must not write into one file.
        return self.reading or [f"-XX:ArchiveClassesAtExit={self.file}.{os.getpid()}", _SILENT]

    def _adopt(self) -> None:
        """Take what an earlier run left: a run that was killed leaves nothing whole."""
        folder, program = self.file.parent, self.file.name.split("-")[0]
        for left in folder.glob(f"{self.file.name}.*"):
            with suppress(OSError):
                if self.file.exists():
                    left.unlink()
                # A killed Java leaves a file without its beginning: kept, it would be read for ever and never written
                # anew.
                elif _is_whole(left):
                    left.replace(self.file)
                    for old in sorted(folder.glob(f"{program}-*.jsa"), key=_age)[_VERSIONS:]:
                        old.unlink()


def _age(path: Path) -> float:
    return -path.stat().st_mtime


def _is_whole(path: Path) -> bool:
    with path.open("rb") as opened:
        return opened.read(len(_MAGIC)) == _MAGIC
