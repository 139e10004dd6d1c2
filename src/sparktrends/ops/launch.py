"""Started by path, in a bare interpreter, in front of every child: ties it to its parent, then becomes it.

``python -I -S launch.py PARENT_PID SIGNAL UID GID PROGRAM ARG…``. It imports nothing of ours. Done here and not in
a ``preexec_fn``, which may deadlock in a program with threads.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Drop to another user if asked, ask the kernel for a signal when the parent dies, and run the program."""
    parent, signal, uid, gid = map(int, argv[:4])
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After the change of user, which would clear it again.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal)
    if os.getppid() != parent:  # it died before the kernel was asked
        sys.exit(1)
    os.execv(argv[4], argv[4:])


if __name__ == "__main__":
    main(sys.argv[1:])
