"""The live chart by keyboard, by ear, by finger and on a narrow screen; and what it shows of doubt and of time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from serve.dashboard.browsing import cells, charted, followed, last_close, until
from serve.dashboard.standing import Site
from sparktrends.serve.dashboard.app import PAGES

pytestmark = pytest.mark.e2e
PHONE = {"width": 400, "height": 860}
SERIES = {"symbol": "BTC/USD", "source": "binance"}


@pytest.fixture
def phone(browser: Any) -> Iterator[Any]:
    """A browser of the width of a phone, that is touched."""
    made = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    yield made
    made.close()


def shown_range(frame: Any) -> list[str]:
    """From when to when the chart shows."""
    return [str(end) for end in frame.evaluate("sparktrends.range")]


def waited(tab: Any, true: Any, seconds: float = 60.0) -> None:
    until(true, seconds, lambda: tab.wait_for_timeout(50))


# The page with the chart in every run, the other ones where there is time.
TRIED = [pytest.param(page.name, marks=[pytest.mark.slow] * (page.name != "market")) for page in PAGES]


@pytest.mark.parametrize("page", TRIED)
def test_no_page_is_wider_than_a_phone(site: Site, phone: Any, page: str) -> None:
    site.problems.clear()
    tab = site.open(phone, page, **SERIES)
    tab.wait_for_timeout(3000)
    for part in ("document.documentElement", "document.querySelector('[data-testid=stMain]')"):
        assert tab.evaluate(f"{part}.scrollWidth") <= PHONE["width"], part
    assert not site.problems


@pytest.mark.parametrize("width", [400, 1300])
def test_the_frame_is_as_high_as_what_is_in_it(site: Site, browser: Any, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    tab = site.open(context, "market", **SERIES)
    frame = charted(tab)
    inside = "[document.body.scrollHeight - innerHeight, document.body.scrollWidth - innerWidth]"
    waited(tab, lambda: max(frame.evaluate(inside)) <= 0)
    frame.focus("#chart")
    tab.keyboard.press("Shift+ArrowLeft")
    frame.wait_for_selector("#bar:not([hidden])")
    waited(tab, lambda: max(frame.evaluate(inside)) <= 0)
    context.close()


def test_on_a_phone_the_chart_comes_before_its_settings_and_figures_stand_in_pairs(site: Site, phone: Any) -> None:
    tab = site.open(phone, "market", **SERIES)
    charted(tab)
    top = tab.locator("iframe[title*=live_chart]").bounding_box()["y"]
    assert top < tab.get_by_text("Overlays", exact=True).bounding_box()["y"]
    assert top < PHONE["height"] / 2
    tab = site.open(phone, "system")
    first, second = (tab.get_by_test_id("stMetric").nth(n).bounding_box() for n in (0, 1))
    assert first["y"] == second["y"]


def test_a_finger_zooms_and_comes_back_to_now(site: Site, phone: Any) -> None:
    tab = site.open(phone, "market", **SERIES)
    frame = charted(tab)
    following = shown_range(frame)
    assert frame.locator("#now").is_disabled()
    for button in ("#in", "#out"):
        box = frame.locator(button).bounding_box()
        assert min(box["width"], box["height"]) >= 40
        before = shown_range(frame)
        frame.locator(button).tap()
        waited(tab, lambda before=before: shown_range(frame) != before)
    frame.locator("#now").tap()
    waited(tab, lambda: shown_range(frame) == following)
    assert frame.locator("#now").is_disabled()


def test_every_control_of_the_chart_is_reached_by_tab_and_has_a_name(site: Site, context: Any) -> None:
    tab = site.open(context, "market", **SERIES)
    frame = charted(tab)
    frame.focus("#out")
    reached = []
    for _ in range(2):
        reached.append(frame.evaluate("document.activeElement.id"))
        tab.keyboard.press("Tab")
    assert reached == ["out", "in"]
    # "Now" is disabled while the chart follows, and passed over.
    assert frame.evaluate("document.activeElement.id") == "chart"
    assert frame.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert frame.get_by_role("application", name="Prices of BTC/USD, 1m").count() == 1
    for name in ("Zoom in", "Zoom out", "Now"):
        assert frame.get_by_role("button", name=name).count() == 1


def test_bars_are_read_one_by_one(site: Site, context: Any) -> None:
    tab = site.open(context, "market", **SERIES)
    frame = charted(tab)
    frame.focus("#chart")
    said = [""]
    for _ in range(3):
        tab.keyboard.press("Shift+ArrowLeft")
        waited(tab, lambda: frame.inner_text("#bar") != said[-1])
        said.append(frame.inner_text("#bar"))
    del said[0]
    assert [text[:20] for text in said] == [f"2024-05-01 00:{minute} UTC" for minute in (29, 28, 27)]
    assert "close 127.00 · volume 2.50 · final" in said[2]
    assert frame.evaluate("chart.layout.shapes.length") == 2
    tab.keyboard.press("Escape")
    frame.wait_for_selector("#bar", state="hidden")
    waited(tab, lambda: frame.evaluate("chart.layout.shapes.length") == 1)


PRESSED = """([key, more]) => {
  const event = new KeyboardEvent('keydown', { key, cancelable: true, bubbles: true, ...more });
  chart.dispatchEvent(event);
  return event.defaultPrevented;
}"""


@pytest.mark.parametrize("more", ["ctrlKey", "altKey", "metaKey"])
def test_the_keys_of_the_browser_stay_the_browsers(site: Site, context: Any, more: str) -> None:
    frame = charted(site.open(context, "market", **SERIES))
    for key in ("+", "-", "0", "ArrowLeft", "Home"):
        assert frame.evaluate(PRESSED, [key, {more: True}]) is False, key
        assert frame.evaluate(PRESSED, [key, {}]) is True, key


COUNTED = """() => {
  for (const [id, name] of [['said', 'said'], ['live', 'shown']]) {
    window[name] = 0;
    new MutationObserver((all) => window[name] += all.length).observe(document.getElementById(id), { childList: true });
  }
}"""


def test_who_listens_hears_of_changes_and_not_of_every_second(site: Site, context: Any) -> None:
    tab = site.open(context, "market", **SERIES)
    frame = charted(tab)
    followed(tab, frame)
    site.commit(120.0)
    waited(tab, lambda: frame.inner_text("#said") == "live")
    frame.evaluate(COUNTED)
    waited(tab, lambda: frame.evaluate("window.shown") >= 3)
    assert frame.evaluate("window.said") == 0
    assert frame.locator("[role=status] #live, #live[role=status], #live[aria-live]").count() == 0


def test_a_page_that_was_long_on_its_way_takes_nothing_back(site: Site, context: Any) -> None:
    """What was committed while history was on its way is newer than it."""
    held: list[float] = []
    asked: list[str] = []

    def hold(route: Any) -> None:
        answer = route.fetch()
        asked.append(route.request.url)
        # The first page is what is drawn at once; with the second, what is told is followed.
        if held and len(asked) == 2:
            site.commit(held.pop())
            time.sleep(1.5)  # the event overtakes the page
        route.fulfill(response=answer)

    first = site.open(context, "market", **SERIES)
    followed(first, charted(first))  # the stream is open, for other tabs too
    context.route("**/api/v1/bars?*", hold)
    held.append(117.0)
    tab = site.open(context, "market", **SERIES)
    frame = charted(tab)
    waited(tab, lambda: not held)
    # Once it was taken back it would not come again.
    tab.wait_for_timeout(2500)
    waited(tab, lambda: last_close(frame) == 117.0)
    context.unroute_all(behavior="wait")


def test_a_stream_that_is_opened_anew_makes_every_tab_load(site: Site, context: Any) -> None:
    """One connection serves all tabs: what is committed while it changes hands is told to nobody."""
    first = site.open(context, "market", **SERIES)
    frame = charted(first)
    followed(first, frame)
    waited(first, lambda: frame.evaluate("sparktrends.loads") >= 1)
    first.wait_for_timeout(1000)
    loads = frame.evaluate("sparktrends.loads")
    charted(site.open(context, "market", symbol="ETH/USD", source="binance"))
    waited(first, lambda: frame.evaluate("sparktrends.loads") > loads)


def test_a_change_that_rounds_to_nothing_has_no_sign(site: Site, context: Any) -> None:
    tab = site.open(context, "market", **SERIES)
    frame = charted(tab)
    followed(tab, frame)
    site.commit(100.499)  # of 100.5 in the beginning
    waited(tab, lambda: frame.inner_text("#last") == "100.499")
    assert frame.inner_text("#change") == "0.00 % in view"
    assert frame.locator("#change").get_attribute("class") == ""


TAKEN_BACK = """async () => {
  const { Series } = await import('./series.js');
  const series = new Series('s', 'A', '1m');
  const signal = (id) => ({ id, interval: '1m', start: '2024-05-01T00:00:00Z', retracted_at: null });
  series.takeSignals([signal('kept'), signal('gone')]);
  series.takeSignalsAnew([signal('kept'), signal('new')]);
  return [...series.signals.keys()];
}"""


def test_signals_that_were_taken_back_during_a_break_are_gone(site: Site, context: Any) -> None:
    frame = charted(site.open(context, "market", **SERIES))
    assert frame.evaluate(TAKEN_BACK) == ["kept", "new"]


def test_headlines_stay_when_the_view_changes(site: Site, context: Any) -> None:
    tab = site.open(context, "market", **SERIES)
    frame = charted(tab)
    marks = "chart.data.filter((t) => t.name === 'news' && t.x.length === 100).length"
    waited(tab, lambda: frame.evaluate(marks) == 1)
    tab.get_by_text("Log scale").click()
    waited(tab, lambda: frame.evaluate("chart.layout.yaxis.type") == "log")
    assert frame.evaluate(marks) == 1


def test_compared_symbols_are_lines_of_change(site: Site, context: Any) -> None:
    tab = site.open(context, "market", **SERIES, compare="binance|ETH/USD", log="1")
    frame = charted(tab)
    names = "chart.data.filter((t) => t.hovertemplate === '%{y:+.2f} %').map((t) => t.name)"
    waited(tab, lambda: frame.evaluate(names) == ["BTC/USD", "ETH/USD"])
    assert frame.evaluate("chart.data.find((t) => t.name === 'ETH/USD').y.at(-1)") == pytest.approx(29.0)
    assert frame.evaluate("chart.layout.yaxis.ticksuffix") == " %"


NAMED = """async () => {
  const { figure } = await import('./figure.js');
  const { Series } = await import('./series.js');
  const of = (source) => {
    const one = new Series(source, 'A', '1m');
    one.take([{ interval: '1m', start: '2024-05-01T00:00:00Z', open: 1, high: 1, low: 1, close: 1, volume: 1 }]);
    return one;
  };
  const view = { overlays: [], panes: [], symbol: 'A', interval: '1m' };
  const clock = (t) => new Date(t).toISOString();
  const made = figure(of('x'), view, { zoom: null, read: null, news: [] }, clock, {}, [of('y')]);
  return made.data.slice(0, 2).map((trace) => trace.name);
}"""


def test_an_average_of_the_settings_lies_over_the_candles(site: Site, context: Any) -> None:
    site.world.run("""UPDATE core.metrics SET extra = '{"sma_100": 110.25}' WHERE series = 1""")
    drawn = "chart.data.filter((t) => t.name === 'SMA 100').map((t) => [...new Set(t.y)])"

    def shown() -> bool:
        # Opened again: which averages there are is remembered for ten seconds, by whichever test asked before.
        tab = site.open(context, "market", **SERIES, overlays="sma_100")
        values = charted(tab).evaluate(drawn)
        tab.close()
        return bool(values == [[110.25]])

    until(shown, 60)


def test_two_sources_of_one_symbol_are_told_apart(site: Site, context: Any) -> None:
    frame = charted(site.open(context, "market", **SERIES))
    assert frame.evaluate(NAMED) == ["A · x", "A · y"]


def test_what_was_revised_or_is_incomplete_is_marked(site: Site, context: Any) -> None:
    at = "WHERE series = 2 AND start = timestamptz '2024-05-01Z' + %s * interval '1 minute'"
    site.world.run(f"UPDATE core.bars SET after_final = 2, state = 'revised' {at}", 20)  # noqa: S608
    site.world.commit([(2, 20)])
    frame = charted(site.open(context, "market", symbol="ETH/USD", source="binance"))
    marks = frame.evaluate("chart.data.filter((t) => t.name === 'revised or incomplete').map((t) => [t.x, t.text])")
    assert marks == [[["2024-05-01T00:20:00"], ["revised by 2 records"]]]


@pytest.mark.parametrize(("zone", "newest"), [("UTC", "2024-05-01T00:29"), ("Local", "2024-04-30T20:29")])
def test_times_are_those_of_the_zone_that_was_chosen(site: Site, context: Any, zone: str, newest: str) -> None:
    frame = charted(site.open(context, "market", **SERIES, zone=zone))
    assert frame.evaluate("chart.data.find((t) => t.type === 'candlestick').x.at(-1)").startswith(newest)
    assert newest.replace("T", " ") in frame.inner_text("#state")


def test_a_browser_without_shared_workers_follows_too(site: Site, context: Any) -> None:
    context.add_init_script("delete window.SharedWorker")
    tab = site.open(context, "market", **SERIES)
    frame = charted(tab)
    followed(tab, frame)
    site.commit(105.5)
    waited(tab, lambda: last_close(frame) == 105.5)


def test_a_renewal_keeps_place_and_selection_in_a_table_and_the_place_on_the_page(site: Site, context: Any) -> None:
    tab = site.open(context, "news")
    scroller = tab.locator(".dvn-scroller").first
    scroller.wait_for()
    tab.wait_for_timeout(1000)
    # Before all of it is laid out it does not go so far.
    waited(tab, lambda: scroller.evaluate("(one) => (one.scrollTop = 700, one.scrollTop)") == 700)
    tab.locator("[data-testid=stMain]").evaluate("(one) => one.scrollTop = 60")
    before = tab.locator("[data-testid=stMain]").evaluate("(one) => one.scrollTop")
    box = tab.locator("[data-testid=stDataFrame]").first.bounding_box()
    tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + 120)
    waited(tab, lambda: len(cells(tab, "[aria-selected=true]")) == 1)
    selected = cells(tab, "[aria-selected=true]")
    # Something else of the table is another now: it is drawn anew, not only asked for.
    site.world.run("UPDATE core.news SET score = -0.99 WHERE id = 'n150'")
    tab.wait_for_timeout(12_000)  # a renewal among it
    assert cells(tab, "[aria-selected=true]") == selected
    assert scroller.evaluate("(one) => one.scrollTop") == 700
    assert tab.locator("[data-testid=stMain]").evaluate("(one) => one.scrollTop") == before
