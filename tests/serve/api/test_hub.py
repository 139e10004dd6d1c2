"""The hub step by step, over a store whose commits come when the test wants them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sparktrends.errors import Terminal
from sparktrends.serve.api.events import Choice
from sparktrends.serve.api.hub import Hub
from sparktrends.store.sessions import Sessions

EVERYTHING = Choice()


class Store:
    """Commits ``first`` to ``newest`` of one shard, each of one signal; answers what the hub asks, as a cursor does."""

    def __init__(self, first: int, newest: int) -> None:
        self.first, self.newest, self.life = first, newest, "first"
        self.answered: Callable[[], None] = lambda: None
        self.description = [SimpleNamespace(name=name) for name in ("id", "source", "symbol", "name")]
        self._rows: list[tuple[Any, ...]] = []

    def read(self, work: Callable[[Any], Any]) -> Any:
        return work(self)

    def execute(self, statement: str, words: Any = None) -> None:
        if "market.changes" in statement:
            self._rows = self._after(words)
        elif "market.shards" in statement:
            self._rows = [("1/1", self.newest)]
        else:
            self._rows = [(id_, "binance", "BTC/USD", self.life) for id_ in words[0]]
        self.answered()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._rows)

    def _after(self, words: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        known = dict(zip(words["shards"], words["commits"], strict=True)).get("1/1", 0)
        found = range(max(known + 1, self.first), self.newest + 1)[: words["limit"]]
        rows = [("1/1", self.newest, commit, 0, [], [], [], [f"signal {commit}"]) for commit in found]
        return rows or [("1/1", self.newest, None, None, None, None, None, None)]


class Wire:
    """Keeps what a listener is sent."""

    alive, pending = True, 0

    def __init__(self) -> None:
        self.sent = b""

    def send(self, data: bytes) -> None:
        self.sent += data

    def end(self) -> None:
        self.alive = False

    @property
    def heard(self) -> list[tuple[str, str]]:
        """(kind, id) of each event."""
        return re.findall(r"^event: (\w+)\nid: (\S+)", self.sent.decode(), re.MULTILINE)


def hub_over(store: Store) -> Hub:
    """A hub without threads: the test steps."""
    hub = Hub("", cast(Sessions, store), lambda: 0, 100)
    hub._over.set()
    return hub


def following(hub: Hub, last_id: str = "") -> Wire:
    """Somebody who follows from now on, or from behind an id."""
    wire = Wire()
    hub.listen(EVERYTHING, last_id).attach(wire)
    return wire


def signals(*commits: int) -> list[tuple[str, str]]:
    return [("signals", f"1/1:{commit}") for commit in commits]


@pytest.mark.parametrize("back_from", ["1/1:1", "1/1:50"], ids=["pruned", "of another store"])
def test_who_begins_anew_leaves_nothing_out_for_the_others(back_from: str) -> None:
    store = Store(first=5, newest=9)
    hub = hub_over(store)
    live = following(hub)
    hub.step()

    def commit() -> None:
        store.newest = min(store.newest + 1, 15)

    back = following(hub, back_from)
    store.answered = commit  # somebody commits between any two questions
    for _ in range(3):
        hub.step()
    assert live.heard == signals(*range(10, 16))
    begun = back.heard[0]
    assert begun[0] == "reset"
    assert back.heard[1:] == signals(*range(int(begun[1].partition(":")[2]) + 1, 16))


def test_a_store_that_was_restored_begins_anew_for_all() -> None:
    store = Store(first=1, newest=8)
    hub = hub_over(store)
    live = following(hub)
    hub.step()
    store.newest = 9
    hub.step()
    store.newest, store.life = 5, "second"
    hub.step()
    store.newest = 9
    back = following(hub, "1/1:5")
    hub.step()
    assert live.heard == [*signals(9), ("reset", "1/1:5"), *signals(6, 7, 8, 9)]
    assert back.heard == signals(6, 7, 8, 9)
    # What it kept of the ninth commit was of the first life.
    assert b"first" not in back.sent


def test_a_hole_begins_anew_for_all() -> None:
    store = Store(first=1, newest=3)
    hub = hub_over(store)
    wires = [following(hub), following(hub)]
    hub.step()
    store.first, store.newest = 7, 9
    hub.step()
    store.newest = 10
    hub.step()
    assert [wire.heard for wire in wires] == [[("reset", "1/1:9"), *signals(10)]] * 2


def test_a_database_that_refuses_to_be_heard_for_a_while_is_asked_again() -> None:
    hub = Hub("", cast(Sessions, Store(1, 1)), lambda: 0, 100)
    waits: list[str] = []

    def wait(_: float) -> None:
        waits.append("asked")
        if len(waits) == 1:
            raise Terminal("PostgreSQL: cannot execute LISTEN during recovery")
        hub._over.set()

    hub._ear = cast(Any, SimpleNamespace(wait=wait, close=lambda: waits.append("closed")))
    hub._hear()
    assert waits == ["asked", "closed", "asked", "closed"]
