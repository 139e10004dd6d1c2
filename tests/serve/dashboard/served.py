"""The dashboard as a process of its own: ``served.py API PORT``, the reader's connection string on standard input."""

from __future__ import annotations

import sys

from sparktrends.serve.dashboard.config import DashboardConfig
from sparktrends.serve.dashboard.server import run

run(DashboardConfig(sys.stdin.readline().strip(), sys.argv[1]), int(sys.argv[2]))
