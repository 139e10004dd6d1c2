"""Pages run by Streamlit's own test harness, without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from sparktrends.serve.dashboard import config

APP = Path(config.__file__).with_name("app.py")


class Seen:
    """Notes what a person did."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    def acknowledge(self, alert: str) -> None:
        self.done.append(("acknowledge", alert))

    def silence(self, match: Any, hours: float) -> int:
        self.done.append(("silence", dict(match), hours))
        return 1


def opened(page: str, **query: str) -> AppTest:
    """A page as it is drawn first, with these words in its URL."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    for name, value in {"page": page, **query}.items():
        app.query_params[name] = value
    return app.run()


def text_of(app: AppTest) -> str:
    """Every sentence of a page."""
    return "\n".join(
        str(one.value) for kind in (app.markdown, app.text, app.caption, app.info, app.warning) for one in kind
    )


def press(app: AppTest, label: str) -> AppTest:
    """Press the button of this name; the page as it is drawn then."""
    return app.button[[one.label for one in app.button].index(label)].click().run()
