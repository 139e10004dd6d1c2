"""What a person or a job does by hand: send a test, acknowledge an alert, silence some, raise and end a condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparktrends.alerts.channels import Channel, Item, Message
from sparktrends.alerts.dispatch import judge
from sparktrends.errors import BadSetting, NotFound
from sparktrends.model import SECOND, stable_id
from sparktrends.store.conditions import Condition, Conditions
from sparktrends.telemetry import Clock


def send_test(channels: Sequence[Channel], clock: Clock, only: str | None = None) -> dict[str, str]:
    """Send one alert, said to be a test, past the outbox through every channel (or ``only`` one).

    Returns what each channel said by its name: an empty text means it was accepted. Raises NotFound for a channel
    that is not set up.
    """
    chosen = [channel for channel in channels if only in (None, channel.name)]
    if not chosen:
        names = ", ".join(channel.name for channel in channels)
        raise NotFound(f"no channel {only} is set up", hint=f"there are: {names}")
    now = clock()
    title = "This is a test of SparkTrends: no market moved"
    item = Item(stable_id("test", str(now)), "alert", "test", "", "", "", now, "info", title)
    return {channel.name: _try(channel, Message((item,))) for channel in chosen}


def acknowledge(conninfo: str, alert: str, who: str, clock: Clock) -> None:
    """Write down that ``who`` has seen an alert; raises NotFound."""
    conditions = Conditions(conninfo, "alerts ack")
    try:
        conditions.acknowledge(alert, who, clock())
    finally:
        conditions.close()


def silence(conninfo: str, match: Mapping[str, str], hours: float, who: str, clock: Clock) -> int:
    """Send nothing that matches (``rule``, ``source``, ``symbol``; none named = everything) for some hours.

    What is silenced is stored and never sent. Returns the id of the silence; raises BadSetting.
    """
    if unknown := set(match) - {"rule", "source", "symbol"}:
        raise BadSetting(f"cannot silence by {', '.join(sorted(unknown))}", hint="by rule, source or symbol")
    if not 0 < hours <= 24 * 366:
        raise BadSetting(f"cannot silence for {hours} hours", hint="more than 0, at most a year")
    now = clock()
    conditions = Conditions(conninfo, "alerts silence")
    try:
        return conditions.silence(match, now + int(hours * 3600 * SECOND), now, who)
    finally:
        conditions.close()


def raise_condition(
    conninfo: str, key: tuple[str, str], title: str, severity: str, channels: Sequence[str], clock: Clock
) -> str | None:
    """Raise an operational alert of a (rule, subject); its id, None when it fires already.

    Raises BadSetting for a rule that is not ``ops.<name>``: others belong to rules files.
    """
    rule, subject = key
    if not rule.startswith("ops.") or not subject.strip():
        raise BadSetting(
            f"cannot raise {rule!r} about {subject!r}", hint="a rule is ops.<name>, a subject is not empty"
        )
    now = clock()
    conditions = Conditions(conninfo, "alerts raise")
    try:
        return conditions.fire(Condition(rule, subject, title, now, severity), channels, now)
    finally:
        conditions.close()


def end_condition(conninfo: str, key: tuple[str, str], clock: Clock) -> bool:
    """End what `raise_condition` began; False when it did not fire."""
    conditions = Conditions(conninfo, "alerts resolve")
    try:
        return conditions.resolve(*key, clock())
    finally:
        conditions.close()


def _try(channel: Channel, message: Message) -> str:
    try:
        channel.send(message)
    except Exception as error:  # the other channels are tested too; the person reads this one's words
        return judge(error, 1, 0.0).error
    return ""
