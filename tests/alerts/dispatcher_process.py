"""One dispatcher in a process of its own, to be killed: arguments are the database, the port, and seconds of lease."""

from __future__ import annotations

import os
import random
import sys
import threading

from alerts.receivers import PlainPost
from sparktrends.alerts.channels import Tools, build
from sparktrends.alerts.dispatch import Dispatcher, Policy, Surroundings
from sparktrends.store.deliveries import Limits
from sparktrends.telemetry import system_clock

if __name__ == "__main__":
    dsn, port, lease_s = os.environ["DSN"], sys.argv[1], float(sys.argv[2])
    block = {"kind": "webhook", "url": f"http://127.0.0.1:{port}/hook", "secret": "a-shared-secret-0123"}
    channels = build({"hook": block}, Tools(PlainPost(), system_clock, print))
    policy = Policy(Limits(lease_s=lease_s, spacing_s=0.05), poll_s=0.05)
    around = Surroundings(dsn, system_clock, random.Random(), str(os.getpid()))
    Dispatcher(channels, policy, around).run(threading.Event())
