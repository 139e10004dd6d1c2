"""Slack away, by the wall clock, while alerts go on coming: six seconds here, ten minutes in `make soak-alerts`.

Nothing is a stand-in but the other side: the outbox lies in a real database, the dispatcher runs as it does in
`sparktrends alerts`, and its messages go through the guarded HTTP client to sockets of this machine.
"""

from __future__ import annotations

import os
import random
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

import pytest

from alerts.receivers import Receiver, receiver
from alerts.world import World
from sparktrends.alerts.channels import Answer, Post, Tools, build
from sparktrends.alerts.dispatch import Dispatcher, Policy, Surroundings
from sparktrends.alerts.transport import guarded_post
from sparktrends.model import Alert
from sparktrends.net import AddressGuard
from sparktrends.store.deliveries import Limits
from sparktrends.telemetry import system_clock

AWAY_S = 600.0 if os.environ.get("SPARKTRENDS_SOAK") else 6.0
SCALE = AWAY_S / 600
"""Every wait of the policy is shortened as much as the outage is."""
REFUSED = None
"""A behaviour beside those of `Receiver`: nobody listens."""
TROUBLES: Mapping[str, Sequence[tuple[float, Any]]] = {
    # A share of the outage, and how the other side behaves in it: one behaviour, or several in turn.
    "slack": [
        (0.25, REFUSED),
        (0.2, [500]),
        (0.2, ["hang"]),
        (0.2, ["close", 503, "hang", (429, {"Retry-After": "1"}), 502]),
        (0.15, REFUSED),
    ],
    "hook": [(1.0, ["hang"])],
    "lone": [(1.0, ["hang"])],
}
"""``lone`` gets one alert only: nothing else probes whether its other side is back."""


@dataclass
class Outage:
    """The other sides of all channels: ``away`` while they answer badly, ``back`` afterwards, on the same ports."""

    ports: Mapping[str, int]
    away: dict[str, list[Receiver]]
    back: dict[str, Receiver]
    holders: list[socket.socket]
    """Bound and not listening: whoever connects is refused, and nobody else can take the port."""
    over: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def planned(cls) -> Outage:
        """Nothing happened yet."""
        holders = {name: _held_port() for name in TROUBLES}
        ports = {name: int(holder.getsockname()[1]) for name, holder in holders.items()}
        return cls(ports, {name: [] for name in TROUBLES}, {}, list(holders.values()))

    def play(self, name: str) -> None:
        """The outage of one channel, from its beginning to its end."""
        for share, behaviours in TROUBLES[name]:
            if behaviours is REFUSED:
                time.sleep(share * AWAY_S)
                continue
            script = list(islice(cycle(behaviours), 1000))
            with receiver(port=self.ports[name], script=script, default=behaviours[0]) as other:
                self.away[name].append(other)
                time.sleep(share * AWAY_S)


def _held_port() -> socket.socket:
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder


def ids(other: Receiver, name: str) -> Counter[str]:
    """How often each alert is in what a receiver read."""
    if name != "slack":
        return other.alerts()
    return Counter(alert for body in other.bodies for alert in re.findall(r"`([0-9a-f]{32})`", body.decode()))


def impatient(post: Post, outage: Outage) -> Post:
    """The client of the product, which waits for an answer the less the shorter the outage is."""

    def hurried(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Answer:
        # Whoever answers again is given its time: a busy machine is no outage.
        return post(url, body, headers, timeout_s if outage.over.is_set() else max(timeout_s * SCALE, 0.3))

    return hurried


@contextmanager
def dispatching(world: World, outage: Outage) -> Iterator[None]:
    """The dispatcher of the product beside the test."""
    blocks: dict[str, dict[str, str]] = {
        name: {"kind": "webhook", "url": f"http://127.0.0.1:{port}/x", "secret": "a-shared-secret-0123"}
        for name, port in outage.ports.items()
    }
    blocks["slack"] = {"url": f"http://127.0.0.1:{outage.ports['slack']}/services/T0/B0/x"}
    post = impatient(guarded_post(system_clock, AddressGuard(["127.0.0.1"])), outage)
    channels = build(blocks, Tools(post, system_clock, world.console.append))
    policy = Policy(
        Limits(lease_s=120 * SCALE, spacing_s=SCALE), base_s=SCALE, cap_s=300 * SCALE, poll_s=max(SCALE / 2, 0.02)
    )
    around = Surroundings(world.dsn, system_clock, random.Random(), "away")
    stop = threading.Event()
    thread = threading.Thread(target=Dispatcher(channels, policy, around).run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def go_on(world: World, outage: Outage, troubles: Sequence[threading.Thread]) -> list[Alert]:
    """Commit alerts until every outage is over: a storm at first, then one every hundredth of the time."""
    alerts: list[Alert] = []

    def commit(number: int, *channels: str) -> None:
        world.now = system_clock()
        fresh = [world.alert(symbol=f"S{len(alerts) + n:04}", channels=channels) for n in range(number)]
        alerts.extend(fresh)
        world.insert(*fresh)

    commit(1, "lone")
    commit(300, "console", "slack", "hook")
    while any(trouble.is_alive() for trouble in troubles):
        time.sleep(AWAY_S / 100)
        commit(1, "console", "slack", "hook")
    commit(1, "console", "slack", "hook")  # nobody is away any more
    # Not by each of them: a rest between two tries may be as long as one kind of outage.
    assert any(other.bodies for other in outage.away["slack"]), "nothing was tried while it was away"
    return alerts


@pytest.mark.e2e
@pytest.mark.timeout(300 + 3 * AWAY_S)
def test_away_while_alerts_go_on_coming(world: World) -> None:
    """None lost, whatever the outage was made of; none told twice once the other side answers again."""
    outage = Outage.planned()
    troubles = [threading.Thread(target=outage.play, args=(name,)) for name in TROUBLES]
    for trouble in troubles:
        trouble.start()
    with dispatching(world, outage), ExitStack() as open_again:
        alerts = go_on(world, outage, troubles)
        outage.over.set()
        for name, port in outage.ports.items():
            outage.back[name] = open_again.enter_context(receiver(port=port))
        wait_until_settled(world)
    for name in TROUBLES:
        mine = {alert.id for alert in alerts if name in alert.channels}
        assert ids(outage.back[name], name) == dict.fromkeys(mine, 1)
        assert set(world.deliveries(name)) == {("alert", "sent")}
    for name in ("hook", "lone"):
        heard = {alert for other in outage.away[name] for alert in other.alerts()}
        marked = {a["id"] for message in outage.back[name].messages() for a in message if a["possible_repeat"]}
        assert heard <= marked
        assert alerts[-1].id not in marked
    tried = {name: sum(len(other.bodies) for other in outage.away[name]) for name in TROUBLES}
    told = {name: len(other.bodies) for name, other in outage.back.items()}
    print(f"\n{len(alerts)} alerts in {AWAY_S:.0f} s; messages while away {tried}, afterwards {told}")
    for holder in outage.holders:
        holder.close()


def wait_until_settled(world: World) -> None:
    """Until nothing waits for anything: the longest rest of a channel, and the longest wait of a delivery."""
    deadline = time.monotonic() + 120 + 2 * AWAY_S
    while open_still := world.rows("SELECT count(*) FROM core.deliveries WHERE state IN ('due', 'leased')")[0][0]:
        assert time.monotonic() < deadline, f"{open_still} deliveries wait still"
        time.sleep(max(SCALE, 0.1))
