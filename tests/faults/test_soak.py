"""A random fault again and again at 2,000 events/s, while alerts go out: every two minutes for an hour in `make soak`,
every minute for ten in `make test-all`. The report stays in artefacts/.

Nothing of the product is replaced. What alerts go to is a receiver of this test, which remembers how it answered.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
import pytest

from alerts.receivers import Receiver, receiver
from e2e.product import Command, Product, until
from e2e.test_kills import BACK_S, LOAD, RUBBISH, START_S, check_nothing_lost_or_doubled, end, settle, works
from fault_seed import SEED
from sparktrends.bus.kafka import Producer
from sparktrends.errors import SparkTrendsError

LONG = bool(os.environ.get("SPARKTRENDS_SOAK"))
FORM_S = 3600.0 if LONG else 600.0
EVERY_S = 120.0 if LONG else 60.0
RATE = 2_000
CAUGHT_UP = 5 * RATE
"""Records that may wait when everything is as it was: five seconds of them."""
BACK_S_ONCE = {part: 2 * limit for part, limit in BACK_S.items()}
"""Here a part may once take twice its time: everything works at once. Row L1 says so; nothing else runs in the test of
kills that holds the times themselves."""
FROZEN_S = 15.0
AWAY_S = 75.0 if LONG else 20.0
"""Longer than a minute: no time limit of a client may turn an absence into an end."""
HOOK_AWAY_S = 30.0
POISON = 500
GROWTH = 1.2
ARTEFACTS = Path(__file__).resolve().parents[2] / "artefacts"
RULE = """
[[rule]]
name = "rose"
when = "close > open"
channels = ["hook"]
history = true
title = "{symbol} rose to {close:.6g}"
"""

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(2 * FORM_S + 900)]


@dataclass(frozen=True, slots=True)
class Found:
    """One fault: when it began (s), which it was, which single part was killed (or ""), when that worked again and when
    nothing waited any more (s after the fault's end), and what memory everything took right before it (MB)."""

    at: int
    fault: str
    killed: str
    back_s: float
    caught_up_s: float
    pss_mb: int


@dataclass
class Soak:
    """A running product, what it tells, and what was done to it."""

    product: Product
    hook: Receiver
    up: Command
    dice: random.Random
    poison: int = 0
    found: list[Found] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def play(self) -> None:
        """A fault in each span; every kind once before one comes again."""
        kinds: list[str] = []
        for number in range(int(FORM_S / EVERY_S)):
            kinds = kinds or self.dice.sample(sorted(HARMS), len(HARMS))
            self.rest(number * EVERY_S + self.dice.uniform(0.2, 0.4) * EVERY_S)
            self.harm(kinds.pop())
        self.rest(FORM_S)

    def rest(self, until_s: float) -> None:
        """Let it run in peace until that second."""
        while (left := until_s - self.age) > 0:
            assert self.up.process.poll() is None, self.up.err[-3000:]
            time.sleep(min(left, 1.0))

    def harm(self, kind: str) -> None:
        """Do one harm and wait until it is overcome."""
        at, memory = self.age, pss_mb(self.product)
        part = HARMS[kind](self)
        ended, stands = time.monotonic(), self.product.folded()
        if part:
            until(lambda: works(self.product, part, stands), START_S, self.state)
        back = time.monotonic() - ended
        until(lambda: self.product.folded() > stands and self.waiting() < CAUGHT_UP, START_S, self.state)
        caught_up = time.monotonic() - ended
        self.found.append(Found(round(at), kind, part, round(back, 1), round(caught_up, 1), memory))

    def waiting(self) -> float:
        """Records of the log that no bar has yet; many while nobody says."""
        try:
            return self.product.published() - self.product.folded()
        except SparkTrendsError:
            return float("inf")

    def state(self) -> str:
        """What one wants to know when it does not go on."""
        return f"{self.waiting()} wait; {self.found}\n{self.up.err[-2000:]}\n{self.product.log('stream')[-2000:]}"


def killed(*names: str) -> Callable[[Soak], str]:
    """kill -9 of parts, at once; of a single one it is measured when it works again."""

    def harm(soak: Soak) -> str:
        for name in names:
            soak.product.kill(name)
        return names[0] if len(names) == 1 and names[0] in BACK_S else ""

    return harm


def frozen(name: str, seconds: float) -> Callable[[Soak], str]:
    """A part and its children stand still for so long."""

    def harm(soak: Soak) -> str:
        process = psutil.Process(soak.product.pid(name))
        stopped = [process, *process.children(recursive=True)]
        for each in stopped:
            each.suspend()
        time.sleep(seconds)
        for each in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.resume()
        return ""

    return harm


def without_checkpoint(soak: Soak) -> str:
    """The stream dies and its scratch is gone."""
    shutil.rmtree(soak.product.home / "scratch" / "stream-1-of-1" / "checkpoint", ignore_errors=True)
    return killed("stream")(soak)


def poisoned(soak: Soak) -> str:
    """Somebody writes rubbish to the topic."""
    producer = Producer(soak.product.where().kafka)
    for _ in range(POISON):
        producer.send("raw.trades", RUBBISH.decode(), b"\xff" + soak.dice.randbytes(soak.dice.randrange(200)))
    producer.close()
    soak.poison += POISON
    return ""


def without_hook(soak: Soak) -> str:
    """The other side of the alerts refuses everything."""
    soak.hook.default = 503
    time.sleep(HOOK_AWAY_S)
    soak.hook.default = 200
    return ""


def without_parent(soak: Soak) -> str:
    """`up` itself is killed; whoever finds it dead types it again."""
    soak.up.process.kill()
    soak.up.wait()
    until(lambda: not soak.product.processes(), 60, lambda: [each.cmdline() for each in soak.product.processes()])
    soak.up = soak.product.up(*LOAD)
    return ""


HARMS: Mapping[str, Callable[[Soak], str]] = {
    "ingest killed": killed("ingest"),
    "stream killed": killed("stream"),
    "broker killed": killed("kafka"),
    "database killed": killed("postgres"),
    "alerts killed": killed("alerts"),
    "stream, broker and database killed at once": killed("stream", "kafka", "postgres"),
    "broker frozen for 15 s": frozen("kafka", FROZEN_S),
    "database frozen for 15 s": frozen("postgres", FROZEN_S),
    f"broker away for {AWAY_S:.0f} s": frozen("kafka", AWAY_S),
    f"database away for {AWAY_S:.0f} s": frozen("postgres", AWAY_S),
    "stream killed, checkpoint gone": without_checkpoint,
    "500 records of rubbish": poisoned,
    "receiver of alerts away for 30 s": without_hook,
    "up killed": without_parent,
}


def pss_mb(product: Product) -> int:
    """What all processes of the home take; shared pages are shared out."""
    total = 0
    for process in product.processes():
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total // 2**20


@pytest.fixture
def soak() -> Iterator[Soak]:
    with receiver() as hook, Product.fresh() as product:
        (product.folder / "rules.toml").write_text(RULE)
        with (product.folder / "sparktrends.toml").open("a") as settings:
            settings.write('[rules]\nfile = "rules.toml"\n[net]\nallow = ["127.0.0.1"]\n')
            settings.write(f'[channels.hook]\nkind = "webhook"\nurl = "http://127.0.0.1:{hook.port}/x"\n')
            settings.write('secret = "a-shared-secret-0123"\n')
        up = product.up(*LOAD)
        until(lambda: product.folded() > RATE, START_S, lambda: product.log("stream")[-2000:])
        yield Soak(product, hook, up, random.Random(SEED))


def test_random_faults_lose_and_double_nothing_and_every_alert_is_told(soak: Soak) -> None:
    soak.play()
    settle(soak.product)
    check_nothing_lost_or_doubled(soak.product)
    assert soak.product.sql("SELECT count(*) FROM market.quarantine") == [(soak.poison,)]
    alerts = check_alerts(soak)
    write_report(soak, alerts)
    end(soak.product, soak.up)
    # Last: on a busy machine it is the first to fail, and says nothing of the rest.
    check_times(soak)
    check_memory(soak)


def check_times(soak: Soak) -> None:
    """Killed parts were back in time."""
    for part, limit in BACK_S.items():
        took = [found.back_s for found in soak.found if found.killed == part]
        assert max(took, default=0) < BACK_S_ONCE[part], soak.found
        assert not LONG or statistics.median(took) < limit, soak.found


def check_memory(soak: Soak) -> None:
    """It did not grow; of ten minutes that cannot be said."""
    third = len(soak.found) // 3
    first, last = (statistics.median(f.pss_mb for f in some) for some in (soak.found[:third], soak.found[-third:]))
    assert not LONG or last < GROWTH * first, soak.found


def check_alerts(soak: Soak) -> int:
    """Each alert arrived, a second time only as a possible repeat; returns how many there were."""
    states = "SELECT DISTINCT state FROM core.deliveries WHERE channel = 'hook'"
    until(lambda: {state for (state,) in soak.product.sql(states)} <= {"sent", "cancelled"}, 400, lambda: soak.up.err)
    sent = soak.product.sql("SELECT alert, kind FROM core.deliveries WHERE channel = 'hook' AND state = 'sent'")
    told: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for message in soak.hook.messages(200):
        for item in message:
            told[item["id"], item["kind"]].append(item["possible_repeat"])
    assert set(sent) == set(told)
    forgotten = "SELECT count(*) FROM core.alerts a WHERE rule = 'rose' AND NOT EXISTS (SELECT FROM core.deliveries d"
    assert soak.product.sql(f"{forgotten} WHERE d.alert = a.id AND d.channel = 'hook')") == [(0,)]
    assert {key: repeats for key, repeats in told.items() if not all(repeats[1:])} == {}
    (gone,) = soak.product.sql("SELECT count(*) FROM core.deliveries WHERE channel = 'hook' AND state = 'cancelled'")[0]
    assert len(told) > 10 * gone, gone
    return len(told)


def write_report(soak: Soak, alerts: int) -> None:
    """soak.json and soak.md."""
    events = soak.product.folded()
    ARTEFACTS.mkdir(exist_ok=True)
    figures = {"seed": SEED, "seconds": round(soak.age), "events": events, "alerts": alerts, "lost": 0, "doubled": 0}
    faults = [asdict(found) for found in soak.found]
    (ARTEFACTS / "soak.json").write_text(json.dumps({**figures, "faults": faults}, indent=1) + "\n")
    lines = [", ".join(f"{name} {value:,}" for name, value in figures.items()), ""]
    lines += ["| at (s) | fault | back (s) | caught up (s) | memory before (MB) |", "|---|---|---|---|---|"]
    for found in soak.found:
        back = found.back_s if found.killed else ""
        lines.append(f"| {found.at} | {found.fault} | {back} | {found.caught_up_s} | {found.pss_mb:,} |")
    text = "\n".join(lines)
    (ARTEFACTS / "soak.md").write_text(text + "\n")
    print(text)
