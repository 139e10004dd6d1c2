"""Random failures, kills and an absent broker for minutes: two in `make test-all`, ten in `make soak-sources`."""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import time
from bisect import bisect
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from ingest.rig import (
    CRYPTO,
    NEVER,
    PREMIUM,
    STOCKS,
    World,
    assert_filled,
    assert_gaps_told,
    assert_in_order,
    assert_labelled,
    assert_no_canary,
    assert_whole,
    assert_within_quota,
    fault,
    trades_of,
    until,
    world,
)
from sparktrends.model import SECOND
from sparktrends.sources import make_source
from sparktrends.telemetry import system_clock

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FEEDS = {"binance": CRYPTO, "finnhub": STOCKS, "twelve_data": STOCKS, "yahoo": STOCKS}
RATE = 2_000
SYMBOLS = "BTC,ETH,SOL,AAPL,MSFT,TSLA"
BACK_S = 10.0
"""Within this time a killed ingest takes in again."""
GROWTH = 1.1
MOST_MB = 250
MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Form:
    """How long a run is, how often ingest is killed in it, and for how long the broker is away."""

    seconds: float
    kills: int
    away_s: float


FORM = Form(600, 20, 300) if os.environ.get("SPARKTRENDS_SOAK") else Form(120, 3, 30)


@dataclass
class Run:
    """One run: what happens when, the memory (bytes) that ingest took at each second, and when (µs) it was killed."""

    w: World
    form: Form
    rng: random.Random
    child: subprocess.Popen[str] = field(init=False)
    memory: list[tuple[float, int]] = field(default_factory=list)
    began: float = 0.0
    kills: list[int] = field(default_factory=list)

    def play(self) -> None:
        """Start ingest, do to it what was planned, and leave it running."""
        self.child = self.w.ingest(**FEEDS)
        self.w.play(0)
        self.began = time.monotonic()
        away = self.form.seconds / 4, self.form.seconds / 4 + self.form.away_s
        times = [t for t in (self.rng.uniform(5, self.form.seconds - 10) for _ in range(10**4)) if not _in(t, away)]
        events = [(t, self.kill) for t in times[: self.form.kills]] + [(away[0], self.stop), (away[1], self.go_on)]
        for moment, event in sorted(events, key=lambda e: e[0]):
            self.watch(moment)
            event()
        self.watch(self.form.seconds)

    def watch(self, until_s: float) -> None:
        """Measure until that second of the run."""
        while (now := time.monotonic() - self.began) < until_s:
            assert self.child.poll() is None, self.w.log()[-3000:]
            self.memory.append((now, psutil.Process(self.child.pid).memory_info().rss))
            time.sleep(min(1.0, until_s - now + 0.01))

    def kill(self) -> None:
        """kill -9, and a new process."""
        os.kill(self.child.pid, signal.SIGKILL)
        self.child.wait()
        self.kills.append(system_clock())
        self.child = self.w.ingest(**FEEDS)

    def back_s(self) -> list[float]:
        """How long after each kill the first trade was taken in, but of those that were killed again before: of them
        nobody can say. When it reached the log is another matter: what waits on disk since an outage goes first."""
        rows = [row for series in self.w.published().values() for row in trades_of(series) if not row.get("fill")]
        taken = sorted(row["received"] for row in rows)
        firsts = [(at, taken[bisect(taken, at)], after) for at, after in pairwise([*self.kills, NEVER])]
        return [(first - at) / SECOND for at, first, after in firsts if first < after]

    def stop(self) -> None:
        """The broker answers nothing from now on."""
        self.w.broker.suspend()

    def go_on(self) -> None:
        """The broker is back."""
        self.w.broker.resume()


def _in(t: float, span: tuple[float, float]) -> bool:
    # A process that starts while the broker is away waits for it: then nothing is back within seconds.
    return span[0] - 30 < t < span[1] + 5


@pytest.mark.timeout(FORM.seconds + 420 + FORM.away_s)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_failures_kills_and_an_absent_broker(tmp_path: Path, seed: int) -> None:
    with world(tmp_path, "random", seed=seed, symbols=SYMBOLS, rate=RATE, key=PREMIUM) as w:
        run = Run(w, FORM, random.Random(seed))
        run.play()
        # To compare a million records takes minutes too.
        assert_whole(w, 120 + FORM.away_s)
        filled = {provider: assert_filled(w, provider) for provider in ("finnhub", "twelve_data")}
        w.end(run.child)
        late = assert_in_order(w)
        assert_gaps_told(w)
        cost = {provider: assert_labelled(w, provider) for provider in ("finnhub", "twelve_data")}
        assert_within_quota(w)
        assert_no_canary(w, tmp_path)
        times = [trade.ts for trades in w.ledger().made.values() for trade in trades.values()]
        made = len(times) / (max(times) - min(times)) * SECOND
        back = [round(seconds, 1) for seconds in run.back_s()]
        told = {"seed": seed, "per_s": round(made), "late": late, "cost": cost, "filled": filled}
        print(json.dumps({**told, "rss_mb": flat(run), "back_s": back}))
        assert made > 0.8 * RATE
        # Last: on a busy machine it is the first to fail, and says nothing of the rest.
        assert len(run.kills) == FORM.kills
        assert max(back) < BACK_S


def flat(run: Run) -> list[int]:
    """Memory (MB) in the second and last third of the outage (medians), and the most of the run: a spool is on disk.

    A kill begins anew with little, so the rest of a run says nothing of growth.
    """
    begin, third = run.form.seconds / 4, run.form.away_s / 3
    thirds = [[rss for t, rss in run.memory if n <= (t - begin) / third < n + 1] for n in (1, 2)]
    second, last = (statistics.median(values) / MEGABYTE for values in thirds)
    most = max(rss for _, rss in run.memory) / MEGABYTE
    assert last < GROWTH * second, thirds
    assert most < MOST_MB, most
    return [round(second), round(last), round(most)]


@pytest.mark.parametrize("provider", ["binance", "twelve_data"])
def test_a_silent_socket_is_noticed_in_time_and_what_it_kept_is_fetched(tmp_path: Path, provider: str) -> None:
    stream = make_source(provider).stream
    assert stream
    # Late enough that trades come before it, on a busy machine too.
    silence = fault("silence", provider=provider, at=25, lasts=stream.idle + 20)
    with world(tmp_path, silence, symbols=SYMBOLS, rate=300) as w:
        child = w.ingest(**{provider: FEEDS[provider]})
        until(lambda: closed(w), stream.idle + 60)
        (ended, *_) = closed(w)
        silent = min(f["at"] for f in w.ledger().faults if f["fault"] == "silence")
        assert stream.idle - 2 <= (ended["at"] - silent) / SECOND <= stream.idle + 2
        if provider == "binance":
            assert_whole(w)
        w.end(child)


def closed(w: World) -> list[dict[str, object]]:
    """Connections that ended."""
    return [dict(c) for c in w.ledger().connections if c["kind"] == "closed"]
