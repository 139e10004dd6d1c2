"""What a file that cannot be written means."""

from __future__ import annotations

import errno

from sparktrends.errors import DiskFull, Unavailable


def unwritable(what: str, error: OSError) -> Unavailable:
    """The error to raise: DiskFull where there is no room.

    >>> unwritable("the report", OSError(errno.ENOSPC, "No space left on device"))
    DiskFull('the report cannot be written: No space left on device: make room, and run it again')
    """
    kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else Unavailable
    return kind(f"{what} cannot be written: {error.strerror or error}", hint="make room, and run it again")
