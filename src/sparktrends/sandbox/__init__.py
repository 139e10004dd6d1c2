"""The offline twin: five providers on loopback in their real shapes, with their real failures, from a simulated market.

It knows nothing of the sources: both were written from what the providers say of themselves, so that one can find what
the other got wrong. Pure parts: `tape` (the market), one file per provider (a request and the state → an answer; a
session and the state → frames), `faults` (what goes wrong, and when). Thin: `server` (sockets), `ledger` (a file).
"""

from __future__ import annotations
