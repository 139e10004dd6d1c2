"""The limits of law 2: how late, how far ahead, how long until final, and how much of bad records is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sparktrends.bars.conditions import VOLUME_ONLY
from sparktrends.errors import BadSetting
from sparktrends.model import DAY, MINUTE, SECOND

RAW_TRADES = "raw.trades"
RAW_BARS = "raw.bars"
"""Every record of this topic is a provider's bar; every record of any other is a trade, price or heartbeat."""

PAYLOAD_BYTES = 64 * 1024
"""As much of one quarantined record is kept; its hash and size are those of the whole."""
BATCH_PAYLOADS = 64 * 1024 * 1024
"""As much of all quarantined records of one batch is kept; of the rest only hash, size and coordinates."""
# Ten years: times of the scanner have up to 18 digits, and a limit added to one must never wrap at 64 bits.
_LONGEST = 3650 * DAY


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in microseconds. ``graces`` holds (source, grace) where a source differs from ``grace``.

    ``payloads``: bytes of quarantined payloads that one *partition* may keep in one batch, in offset order. A sink
    gives each partition its share (`shared_by`), so that the answer does not depend on where a batch is folded.
    ``volume_only`` holds (source without ``~…``, its sale conditions that keep a trade out of open to close).
    Raises BadSetting when a time is negative or above ten years (sums of times must stay far inside 64 bits).
    """

    grace: int = 15 * MINUTE
    settle: int = 5 * SECOND
    future: int = 60 * SECOND
    graces: tuple[tuple[str, int], ...] = ()
    payloads: int = BATCH_PAYLOADS
    volume_only: tuple[tuple[str, frozenset[str]], ...] = VOLUME_ONLY

    def __post_init__(self) -> None:
        for span in (self.grace, self.settle, self.future, *(grace for _, grace in self.graces)):
            if not 0 <= span <= _LONGEST:
                raise BadSetting(f"a limit of {span} microseconds", hint="allowed are 0 to ten years")

    def grace_of(self, source: str) -> int:
        """How much later than its time a trade of this source may arrive.

        >>> Limits(graces=(("slow", 5),)).grace_of("slow")
        5
        """
        return next((grace for name, grace in self.graces if name == source), self.grace)

    def shared_by(self, partitions: int) -> Limits:
        """The same limits, the batch's room for payloads divided among this many partitions."""
        # Executors cannot know what the others kept: only a share fixed beforehand gives one answer wherever a record
        # is folded.
        return replace(self, payloads=BATCH_PAYLOADS // max(1, partitions))
