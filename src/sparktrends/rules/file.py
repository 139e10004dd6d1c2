"""The rules in use: those of a file that a person may change while they are used."""

from __future__ import annotations

import logging
from pathlib import Path

from sparktrends.errors import Terminal
from sparktrends.rules.bundle import Rules
from sparktrends.rules.names import Names

_log = logging.getLogger(__name__)
_State = tuple[int, int, int] | None


class RulesFile:
    """The rules of ``path``, or the shipped ones without a path; raises `BadFile` or `BadSetting` when made.

    ``fault`` says what is wrong with the file as it is now, if anything: then the rules from before stay in use.
    """

    def __init__(self, path: Path | None, names: Names) -> None:
        self.path = path
        self.fault = ""
        self._names = names
        self._seen = _state_of(path)
        self.rules = Rules.load(path, names) if path else Rules.default(names)

    def look(self) -> Rules:
        """The rules in use, read again if the file has changed; another object only then."""
        state = _state_of(self.path)
        if self.path is not None and state != self._seen:
            self._seen = state
            try:
                self.rules, self.fault = Rules.load(self.path, self._names), ""
                _log.info("%s was read again: %d rules", self.path, len(self.rules.rules))
            except Terminal as error:
                self.fault = str(error)
                _log.error("%s is not used, the rules from before stay: %s", self.path, error)
        return self.rules


def _state_of(path: Path | None) -> _State:
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None
