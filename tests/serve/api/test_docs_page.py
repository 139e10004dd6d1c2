"""The interactive documentation in a real browser: it lists every call, tries them, and says what came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from serve.api.world import World, serving
from serve.dashboard.browsing import launched
from sparktrends.ops.stack import Stack
from sparktrends.serve.api.document import build_document

pytestmark = pytest.mark.e2e


def opened(tab: Any, path: str) -> Any:
    """The part of the page about a call, unfolded by keyboard."""
    part = tab.locator("details", has=tab.locator("summary code", has_text=path)).first
    part.locator("summary").focus()
    tab.keyboard.press("Enter")
    return part


def test_calls_are_tried_and_the_stream_is_followed(database: tuple[Stack, Callable[[], World]]) -> None:
    world = database[1]()
    with serving(world) as (_, url), launched() as browser:
        tab = browser.new_page(viewport={"width": 400, "height": 860})
        problems: list[str] = []
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("request", lambda asked: asked.url.startswith((url, "data:")) or problems.append(asked.url))
        tab.goto(url)  # as `up` shows it
        tab.wait_for_selector("details")
        calls = sum(len(methods) for methods in build_document()["paths"].values())
        assert tab.locator("details").count() == calls
        assert tab.evaluate("document.documentElement.scrollWidth") <= 400
        unnamed = "[...document.querySelectorAll('input, select, textarea')].filter((e) => !e.labels.length).length"
        assert tab.evaluate(unnamed) == 0
        bars = opened(tab, "/bars")
        bars.locator("[name=symbol]").fill("BTC/USD")
        bars.locator("[name=limit]").fill("1")
        bars.get_by_role("button", name="Try it").click()
        bars.locator(".status.good").wait_for()
        assert '"2024-05-01T00:29:00Z"' in bars.locator("pre").inner_text()
        stream = opened(tab, "/stream")
        stream.get_by_role("button", name="Try it").click()
        stream.locator(".status.good").wait_for()
        tab.wait_for_function("() => document.querySelector('pre:not([hidden])')")
        tab.wait_for_timeout(300)
        world.commit([(1, 29)])
        stream.locator("pre", has_text="event: bars").wait_for(timeout=5000)
        stream.get_by_role("button", name="Stop").click()
        stream.locator(".status", has_text="Stopped").wait_for()
        # A key that is not known is said, for the stream too: an EventSource could neither send nor say it.
        tab.locator("#key").fill("wrong")
        stream.get_by_role("button", name="Try it").click()
        stream.locator(".status.bad", has_text="401").wait_for()
        assert "not known" in stream.locator("pre").inner_text()
        assert not problems
