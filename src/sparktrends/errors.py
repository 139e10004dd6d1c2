"""Every error the product raises, as one tree.

::

    SparkTrendsError
    ├── Retryable                  the same call may succeed later (``delay`` seconds, when known)
    │   ├── Unavailable            a needed service does not answer
    │   │   └── DiskFull           a disk is full; free space and it goes on
    │   ├── RateLimited            a provider or channel asks for fewer calls
    │   └── UnknownOutcome         sent, but nobody knows whether it arrived
    └── Terminal                   the same call will fail again
        ├── BadRecord              one record cannot be used; it goes to quarantine with ``reason``
        ├── BadFile                a file that a person named cannot be read as what it should be
        ├── BadSetting             a setting, rule or argument is wrong; says where and what is allowed
        ├── AccessDenied           a key is missing or wrong, or an address is not served
        │   └── NotInPlan          the key is good, but its plan does not include this
        ├── NotFound               a symbol, table or file that does not exist
        ├── LogGap                 the log no longer holds what the ledger wants next
        ├── Fenced                 another writer holds the lock: stop, touch nothing
        └── IntegrityError         a checksum, an invariant or an audit does not hold

``may I retry?`` is a type, never a search in a message. ``exit_code`` is what the command line ends with.
"""

from __future__ import annotations

LONGEST_BAN_S = 3 * 86_400.0
"""No provider's refusal is believed to hold for longer (seconds): Binance documents bans of up to three days. A time
beyond it is a mistake, or a clock that was wrong, and would silence a source for good."""


class SparkTrendsError(Exception):
    """The root: a sentence that says what is wrong and, where one can, what to do.

    >>> str(SparkTrendsError("the disk is full", hint="free 2 GB on /var"))
    'the disk is full: free 2 GB on /var'
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}: {hint}" if hint else message)
        self.hint = hint


class Retryable(SparkTrendsError):
    """The same call may succeed later; ``delay`` is the wait in seconds that the other side asked for."""

    def __init__(self, message: str, *, delay: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.delay = delay


class Unavailable(Retryable):
    """A needed service does not answer."""

    exit_code = 3


class DiskFull(Unavailable):
    """A disk is full; what was acknowledged is safe, nothing goes on until space is freed."""


class RateLimited(Retryable):
    """A provider or a channel asks for fewer calls."""


class UnknownOutcome(Retryable):
    """The request went out and no answer came: repeating it may do it twice."""


class Terminal(SparkTrendsError):
    """The same call will fail again."""


class BadRecord(Terminal):
    """One record cannot be used; ``reason`` is a short fixed word that quarantine groups by."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.reason = reason


class BadFile(Terminal):
    """A file that a person named cannot be read as what it should be."""


class BadSetting(Terminal):
    """A setting, a rule or an argument is wrong."""

    exit_code = 2


class AccessDenied(Terminal):
    """A key is missing or wrong, or an address is not served; a person can mend it, and then it is answered."""


class NotInPlan(AccessDenied):
    """The key is good, but its plan does not include this."""


class NotFound(Terminal):
    """A symbol, a table or a file that does not exist."""


class LogGap(Terminal):
    """The log no longer holds what the ledger wants next (trimmed, or another topic of the same name)."""


class Fenced(Terminal):
    """Another writer holds the lock: stop, touch nothing."""


class IntegrityError(Terminal):
    """A checksum, an invariant or an audit does not hold."""
