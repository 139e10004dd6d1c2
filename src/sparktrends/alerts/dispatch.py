"""The dispatcher: one loop a channel claims what is due, sends it as one message, and marks it.

Delivery is at least once: a message whose outcome is unknown (no answer, or the dispatcher died before the mark) is
sent again when its lease ends, marked "possible repeat". A channel that fails holds up no other.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sparktrends.alerts.channels import Channel, Item, Message
from sparktrends.errors import (
    AccessDenied,
    BadSetting,
    NotFound,
    RateLimited,
    Retryable,
    Terminal,
    UnknownOutcome,
)
from sparktrends.model import SECOND
from sparktrends.store.deliveries import Delivery, Lease, Limits, Outbox, Settlement
from sparktrends.telemetry import Clock, counter, resumed

_log = logging.getLogger(__name__)
_MESSAGES = counter("alert_messages", "messages handed to channels, by what became of them", ("channel", "outcome"))
_LOOK_S = 5.0
_DELAYED = 30.0  # seconds, when a channel asks for patience and does not say how much


@dataclass(frozen=True, slots=True)
class Policy:
    """How alerts are sent. Seconds, but ``link``: an address with ``{id}`` in it where a person reads on.

    After ``n`` failures in a row a channel rests a random time up to ``min(cap_s, base_s * 2**n)``.
    """

    limits: Limits = field(default_factory=Limits)
    base_s: float = 1.0
    cap_s: float = 300.0
    poll_s: float = 0.5
    link: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What comes in from outside: where the outbox is, the clock, randomness, and a name unique to this process."""

    conninfo: str = field(repr=False)
    clock: Clock
    random: random.Random
    owner: str


class Worker:
    """The loop of one channel. `step` does one thing and says how long to wait; `run` repeats it."""

    def __init__(self, channel: Channel, policy: Policy, around: Surroundings) -> None:
        self.channel = channel
        self._policy = policy
        self._around = around
        self._outbox = Outbox(around.conninfo, f"alerts {channel.name}")
        self._unsettled: tuple[Lease, Settlement] | None = None
        self._claims = 0

    def step(self) -> float:
        """Settle what is unsettled, else claim and send; the seconds until the next step makes sense.

        Raises Retryable while the database is away: the outcome of a message that was sent is kept until it is back.
        """
        if self._unsettled is None:
            claimed = self._claim()
            if isinstance(claimed, float):
                # Nothing can be due on this channel before it may speak; else look again soon.
                return claimed or self._policy.poll_s
            self._unsettled = (claimed, self._send(claimed))
        lease, settlement = self._unsettled
        self._outbox.settle(lease, settlement, self._around.clock(), self._policy.limits)
        self._unsettled = None
        return settlement.wait_s

    def run(self, stop: threading.Event) -> None:
        """Step until stopped. Raises Terminal errors of the store, but for AccessDenied; outlives the others."""
        failures = 0
        while not stop.is_set():
            try:
                # In pieces: when the clock is set back, how long a rest is changes with it.
                wait_s, failures = min(self.step(), _LOOK_S), 0
            except (Retryable, AccessDenied) as error:
                failures += 1
                wait_s = self._rest(failures)
                _log.warning("channel %s waits %.1f s for the database: %s", self.channel.name, wait_s, error)
            stop.wait(wait_s)
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._outbox.close()

    def _claim(self) -> Lease | float:
        self._claims += 1
        token = f"{self._around.owner}/{self.channel.name}/{self._claims}/{self._around.random.getrandbits(48):x}"
        now = self._around.clock()
        return self._outbox.claim(self.channel.name, token, self.channel.group, now, self._policy.limits)

    def _send(self, lease: Lease) -> Settlement:
        message = Message(tuple(item_of(delivery, self._policy.link) for delivery in lease.deliveries))
        try:
            self.channel.send(message)
        except Exception as error:  # whatever a channel raises, its deliveries must end somewhere
            outcome = judge(error, len(message.items), self._rest(lease.failures + 1))
        else:
            outcome = Settlement("sent", message=message.id)
        _MESSAGES.labels(self.channel.name, outcome.state).inc()
        self._log(lease, outcome)
        # The answer may have taken longer than the spacing; the next message still keeps its distance from this one.
        wait_s = max(outcome.wait_s, self._policy.limits.spacing_s)
        return Settlement(outcome.state, outcome.message, outcome.error, wait_s)

    def _log(self, lease: Lease, outcome: Settlement) -> None:
        """A line for each alert, under the id of the batch that made it: what became of the event is found by it."""
        level, why = (logging.WARNING, f": {outcome.error}") if outcome.error else (logging.INFO, "")
        for one in lease.deliveries:
            with resumed(one.correlation):
                _log.log(level, "%s %s to %s: %s%s", one.kind, one.alert, self.channel.name, outcome.state, why)

    def _rest(self, failures: int) -> float:
        """Full jitter: many dispatchers that failed together do not come back together."""
        highest = min(self._policy.cap_s, self._policy.base_s * 2.0 ** min(failures, 32))
        return self._around.random.uniform(0, highest)


class Dispatcher:
    """All channels, each in a thread of its own."""

    def __init__(self, channels: Sequence[Channel], policy: Policy, around: Surroundings) -> None:
        names = [channel.name for channel in channels]
        if len(set(names)) != len(names):
            raise BadSetting("two channels have the same name")
        self.channels = list(channels)
        self._policy = policy
        self._around = around
        self._error: BaseException | None = None

    def run(self, stop: threading.Event, *others: Callable[[threading.Event], None]) -> None:
        """Send until stopped; ``others`` run beside the channels (`Monitor.run`). Raises the first Terminal error."""
        loops = [Worker(channel, self._policy, self._around).run for channel in self.channels]
        sweep = Sweeper([channel.name for channel in self.channels], self._around)
        threads = [
            threading.Thread(target=self._guarded, args=(loop, stop), daemon=True)
            for loop in (*loops, sweep.run, *others)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._error is not None:
            raise self._error

    def broadcast(self, message: Message, names: Sequence[str]) -> list[str]:
        """Send past the outbox, for when the database is away; the names of the channels that did not get it."""
        return [c.name for c in self.channels if c.name in names and not _delivered(c, message)]

    def _guarded(self, loop: Callable[[threading.Event], None], stop: threading.Event) -> None:
        try:
            loop(stop)
        # Whatever it is: a loop that died in silence would leave its channel mute with nobody told.
        except BaseException as error:
            self._error = self._error or error
            stop.set()


class Sweeper:
    """Says which channels are set up, at once, and cancels now and then what waits for others."""

    def __init__(self, names: Sequence[str], around: Surroundings, every_s: float = 30.0) -> None:
        self._names = list(names)
        self._outbox = Outbox(around.conninfo, "alerts sweep")
        self._every_s = every_s

    def run(self, stop: threading.Event) -> None:
        """Sweep until stopped."""
        while not stop.is_set():
            try:
                self._outbox.set_up(self._names)
            except (Retryable, AccessDenied) as error:
                _log.warning("the outbox cannot be swept: %s", error)
            stop.wait(self._every_s)
        self._outbox.close()


def judge(error: Exception, alerts: int, rest_s: float) -> Settlement:
    """What an error of a channel means for the deliveries of one message; ``rest_s`` is how long to wait at least."""
    if isinstance(error, RateLimited):
        return Settlement("limited", error=str(error), wait_s=error.delay or _DELAYED)
    if isinstance(error, UnknownOutcome):
        return Settlement("unknown", error=str(error), wait_s=rest_s)
    if isinstance(error, Retryable):
        return Settlement("again", error=str(error), wait_s=max(rest_s, error.delay or 0.0))
    if isinstance(error, AccessDenied | NotFound | BadSetting):
        return Settlement("dead", error=str(error))
    # A defect of the channel ends here too; only its class is told, because its words may hold an address.
    words = str(error) if isinstance(error, Terminal) else f"defect in the channel: {type(error).__name__}"
    return Settlement("alone" if alerts > 1 else "dead", error=words)


def item_of(delivery: Delivery, link: str = "") -> Item:
    """What a channel is told of one delivery."""
    return Item(
        alert=delivery.alert,
        kind=delivery.kind,
        rule=delivery.rule,
        source=delivery.source,
        symbol=delivery.symbol,
        interval=delivery.interval,
        start=delivery.start,
        severity=delivery.severity,
        title=delivery.title,
        values=delivery.values,
        link=link.replace("{id}", delivery.alert),
        possible_repeat=delivery.unknown_outcomes > 0,
    )


def _delivered(channel: Channel, message: Message) -> bool:
    try:
        channel.send(message)
    except UnknownOutcome as error:
        _log.warning("sent past the outbox, outcome unknown: %s", error)
    except Exception as error:  # the other channels must still hear it
        _log.warning("not sent: %s", judge(error, 1, SECOND).error)
        return False
    return True
