"""Follows the rules file while alerts are sent: its cool-downs, an operational alert while it has faults, and the end
of alerts whose rule is no longer in it."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

from sparktrends.errors import AccessDenied, Retryable
from sparktrends.model import SECOND
from sparktrends.rules import RulesFile
from sparktrends.store.conditions import Condition, Conditions
from sparktrends.store.lasting import Lasting
from sparktrends.telemetry import Clock

_log = logging.getLogger(__name__)
_RULE = "ops.rules"


class RulesWatch:
    """``cooldown_s`` holds each rule's cool-down in seconds, as the file has it now; ``channels`` hear of faults;
    ``tags`` gives the tags of a symbol for rules that name some; ``set_up`` are the channels there are, if known."""

    def __init__(
        self,
        file: RulesFile,
        conditions: Conditions,
        channels: Sequence[str],
        clock: Clock,
        tags: Callable[[str], Collection[str]] = lambda _: (),
        set_up: Collection[str] | None = None,
    ) -> None:
        self._file = file
        self._conditions = conditions
        self._channels = channels
        self._clock = clock
        self._tags = tags
        self._set_up = set_up
        self._told: str | None = None
        self.cooldown_s: dict[str, float] = {}
        self._learn()

    def run(self, stop: threading.Event, every_s: float = 5.0) -> None:
        """Look every few seconds until stopped; raises Terminal errors of the store, but for AccessDenied."""
        while not stop.is_set():
            try:
                self.step()
            except (Retryable, AccessDenied) as error:
                _log.warning("nobody can be told of the rules file yet: %s", error)
            stop.wait(every_s)
        self._conditions.close()

    def step(self) -> None:
        """Look once; raises Retryable while the database is away."""
        # Asked before the file is read: what fires by a rule that was only just written must not end.
        lasting = self._conditions.lasting()
        self._file.look()
        self._learn()
        self._end_forsaken(lasting)
        title, subject = self._title(), str(self._file.path)
        if title == self._told:
            return
        now = self._clock()
        self._conditions.resolve(_RULE, subject, now)
        if title:
            self._conditions.fire(Condition(_RULE, subject, title, now), self._channels, now)
        self._told = title

    def _title(self) -> str:
        """What is wrong with the rules, if anything."""
        if self._file.fault:
            return f"the rules file is not used, the rules from before stay: {self._file.fault.splitlines()[0]}"
        if self._set_up is None:
            return ""
        deaf = self._file.rules.deaf(self._set_up)
        named = ", ".join(f"{rule} names the channel {channel}" for rule, channel in deaf.items())
        return f"nobody hears of some rules: {named}, which is not set up" if deaf else ""

    def _end_forsaken(self, lasting: Iterable[Lasting]) -> None:
        """End the alerts that no rule in use would ever end."""
        reasons = {alert.id: reason for alert in lasting if (reason := self._forsaken(alert))}
        for reason, number in Counter(reasons.values()).items():
            _log.info("%d alerts are over: %s", number, reason)
        if reasons:
            self._conditions.end(reasons)

    def _forsaken(self, alert: Lasting) -> str:
        """Why no rule looks after an alert any more; nothing when one does."""
        rule = next((rule for rule in self._file.rules.rules if rule.name == alert.rule), None)
        if rule is None:
            return "its rule is no longer in the rules file"
        if rule.interval != alert.interval:
            return f"its rule looks at bars of {rule.interval} now"
        return "" if rule.covers(alert.symbol, self._tags(alert.symbol)) else "its rule no longer watches this symbol"

    def _learn(self) -> None:
        # One dictionary for ever, emptied never: the dispatcher's threads read it.
        self.cooldown_s.update({rule.name: rule.cooldown / SECOND for rule in self._file.rules.rules})
