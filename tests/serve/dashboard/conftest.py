"""A running dashboard with a market of its own, and a real browser to look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from serve.api.world import World, serving
from serve.dashboard import hostile
from serve.dashboard.browsing import launched
from serve.dashboard.harness import Seen
from serve.dashboard.standing import Site, dashboard_of
from sparktrends.ops import ports
from sparktrends.ops.stack import Stack
from sparktrends.serve.dashboard import config as config_module
from sparktrends.serve.dashboard.config import DashboardConfig, configure


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium with an empty profile."""
    with launched() as started:
        yield started


@pytest.fixture(scope="module")
def site(database: tuple[Stack, Callable[[], World]]) -> Iterator[Site]:
    """API and dashboard, as two processes would run them."""
    world = database[1]()
    hostile.add(world)
    hostile.add_news(world)
    port = ports.any_free()
    address = f"http://127.0.0.1:{port}"
    with serving(world, origins=(address,)) as (_, api), dashboard_of(world, api, port) as pid:
        allowed = frozenset({f"127.0.0.1:{port}", api.removeprefix("http://")})
        yield Site(address, allowed, world=world, pid=pid)


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """A browser without memory."""
    made = browser.new_context(viewport={"width": 1300, "height": 950}, timezone_id="America/New_York")
    yield made
    made.close()


@pytest.fixture(scope="module")
def filled(database: tuple[Stack, Callable[[], World]]) -> World:
    """A market with hostile names in it."""
    world = database[1]()
    hostile.add(world)
    hostile.add_news(world, 40)
    world.run("INSERT INTO core.quality VALUES (1, '2024-05-01', 97.5, 30, '{\"late\": 2.5}', '{\"late\": 3}', now())")
    return world


@pytest.fixture
def configured(filled: World) -> Iterator[DashboardConfig]:
    """The dashboard of this process on that market; no API, no broker."""
    config = DashboardConfig(filled.reader, "http://127.0.0.1:9", actions=Seen())
    configure(config)
    yield config
    config_module._given.clear()
