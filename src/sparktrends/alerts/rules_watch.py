"""Follows the rules file while alerts are sent: its cool-downs, and an operational alert while it has faults."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from sparktrends.errors import Retryable
from sparktrends.model import SECOND
from sparktrends.rules import RulesFile
from sparktrends.store.conditions import Condition, Conditions
from sparktrends.telemetry import Clock

_log = logging.getLogger(__name__)
_RULE = "ops.rules"


class RulesWatch:
    """``cooldown_s`` holds each rule's cool-down in seconds, as the file has it now; ``channels`` hear of faults."""

    def __init__(self, file: RulesFile, conditions: Conditions, channels: Sequence[str], clock: Clock) -> None:
        self._file = file
        self._conditions = conditions
        self._channels = channels
        self._clock = clock
        self._told: str | None = None
        self.cooldown_s: dict[str, float] = {}
        self._learn()

    def run(self, stop: threading.Event, every_s: float = 5.0) -> None:
        """Look every few seconds until stopped; raises Terminal errors of the store."""
        while not stop.is_set():
            try:
                self.step()
            except Retryable as error:
                _log.warning("nobody can be told of the rules file yet: %s", error)
            stop.wait(every_s)
        self._conditions.close()

    def step(self) -> None:
        """Look once; raises Retryable while the database is away."""
        self._file.look()
        self._learn()
        fault, subject = self._file.fault, str(self._file.path)
        if fault == self._told:
            return
        now = self._clock()
        self._conditions.resolve(_RULE, subject, now)
        if fault:
            title = f"the rules file is not used, the rules from before stay: {fault.splitlines()[0]}"
            self._conditions.fire(Condition(_RULE, subject, title, now), self._channels, now)
        self._told = fault

    def _learn(self) -> None:
        # One dictionary for ever, emptied never: the dispatcher's threads read it.
        self.cooldown_s.update({rule.name: rule.cooldown / SECOND for rule in self._file.rules.rules})
