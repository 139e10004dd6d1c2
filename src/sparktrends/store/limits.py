"""The limits that the records of a home are judged by: one set of them, from the first record on."""

from __future__ import annotations

from decimal import Decimal
from typing import LiteralString, NamedTuple

from sparktrends.errors import BadSetting
from sparktrends.model import SECOND
from sparktrends.store.connect import connect, translated


class Times(NamedTuple):
    """What ``[limits]`` may say, in microseconds. What a source brings beside it comes with the release."""

    grace: int
    settle: int
    future: int

    def words(self, other: Times) -> str:
        """What of it is not as in the other, as the settings spell it.

        >>> Times(900_000_000, 5_000_000, 60_000_000).words(Times(900_000_000, 2_500_000, 1))
        'settle = 5, future = 60'
        """
        pairs = zip(self._fields, self, other, strict=True)
        return ", ".join(f"{name} = {_seconds(mine)}" for name, mine, its in pairs if mine != its)


def agree(conninfo: str, asked: Times, *, begins: bool = False) -> None:
    """Raise BadSetting when what is stored was judged by other limits than these.

    A stream ``begins``: as long as nothing is stored, its limits are those that hold from now on. So they are in a home
    from before limits were written down.
    """
    with connect(conninfo, application="limits") as connection, translated():
        if begins:
            connection.execute(_BEGIN, asked)
        row = connection.execute(_HELD).fetchone()
    if row is not None and (held := Times(*row)) != asked:
        what = f"what is stored here was judged by {held.words(asked)}, and [limits] now say {asked.words(held)}"
        raise BadSetting(what, hint="set them back, or begin a new home (--home DIR) with others")


# By the time of its newest record too: the counts begin anew where the log is another one.
_STORED: LiteralString = """EXISTS (SELECT FROM core.ledger
    WHERE topic IN ('raw.trades', 'raw.bars') AND (records > 0 OR appended_at IS NOT NULL))"""
_HELD = f"SELECT grace, settle, future FROM core.limits WHERE {_STORED}"  # noqa: S608 - constants of this file
_BEGIN = f"""
INSERT INTO core.limits (grace, settle, future) VALUES (%s, %s, %s) ON CONFLICT (one) DO UPDATE
SET grace = excluded.grace, settle = excluded.settle, future = excluded.future WHERE NOT {_STORED}
"""  # noqa: S608 - constants of this file


def _seconds(micros: int) -> str:
    return f"{(Decimal(micros) / SECOND).normalize():f}"
