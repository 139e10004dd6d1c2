"""Asks the store for every page, once a second at most for all tabs together, and says so when something is wrong."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from sparktrends.errors import AccessDenied, Retryable, SparkTrendsError
from sparktrends.serve.dashboard import view
from sparktrends.serve.dashboard.config import current, doubt
from sparktrends.store import board
from sparktrends.store.sessions import Sessions

EVERY_S = 2.0
"""How often tables renew themselves."""
SLOWLY_S = 10.0
"""How often those do that read much."""
_TIMEOUT_S = 5.0
_FAILED = "failed_at"


def ask(question: Callable[..., Any], *words: Any) -> Any:
    """What a function of the store answers now (at most a second ago); raises Retryable while the database is away."""
    return _asked((current().reader, question.__name__, *words), question)


def ask_slowly(question: Callable[..., Any], *words: Any) -> Any:
    """The same for questions that read much: at most ten seconds ago."""
    return _asked_slowly((current().reader, question.__name__, *words), question)


@st.cache_data(ttl=1.0, max_entries=300, show_spinner=False)
# Streamlit leaves an argument that begins with an underscore out of what the answer is kept by: `key` says it all.
def _asked(key: tuple[Any, ...], _question: Callable[..., Any]) -> Any:
    return _read(key, _question)


@st.cache_data(ttl=SLOWLY_S, max_entries=100, show_spinner=False)
def _asked_slowly(key: tuple[Any, ...], _question: Callable[..., Any]) -> Any:
    return _read(key, _question)


def _read(key: tuple[Any, ...], question: Callable[..., Any]) -> Any:
    """``key`` is what the answer is kept by: the account, the name of the question, its words."""
    return _sessions(key[0]).read(lambda cursor: question(cursor, *key[2:]))


@st.cache_resource(show_spinner=False)
def _sessions(reader: str) -> Sessions:
    return Sessions(reader, "dashboard", size=4, timeout_s=_TIMEOUT_S)


def wait_for(question: Callable[..., Any], say: Callable[[], None], every_s: float = EVERY_S) -> None:
    """Say what is missing until the question finds something; then draw the page."""

    def wait() -> None:
        with said_plainly():
            if ask(question):
                # The whole page: this part of it could only draw itself again.
                st.rerun()
            say()

    view.renewed(every_s, wait)


@contextmanager
def said_plainly(asked: str = "database") -> Iterator[None]:
    """Show an error of ours where the block would have drawn: what it is, what to do, and that nothing is lost."""
    try:
        yield
    except SparkTrendsError as error:
        tell(error, asked)


def recovering(body: Callable[[], None]) -> None:
    """Draw a page; when an error of ours stops it, say so and draw it again once the database answers."""
    try:
        body()
    except SparkTrendsError as error:
        tell(error)
        st.session_state[_FAILED] = time.monotonic()
        st.fragment(_draw_again, run_every=EVERY_S)()


def _draw_again() -> None:
    # Not at once: what fails for another reason than the database's absence would be drawn without pause.
    if time.monotonic() - st.session_state.get(_FAILED, 0.0) < EVERY_S / 2:
        return
    with contextlib.suppress(SparkTrendsError):
        ask(board.views)
        st.rerun()


def tell(error: SparkTrendsError, asked: str = "database") -> None:
    """Say an error in words. The text itself may hold names from outside, so it is never Markdown."""
    if isinstance(error, Retryable):
        doubt()
        st.warning(f"**Waiting for the {asked}.** This page asks again by itself; nothing that was stored is lost.")
        st.text(str(error))
        st.caption("Not running? Start everything with `sparktrends up`. `sparktrends status` says what runs.")
    elif isinstance(error, AccessDenied):
        st.error(f"**The {asked} refuses the reader's account.** `sparktrends env` prints the right one.")
        st.text(str(error))
    else:
        st.error("**This could not be shown.**")
        st.text(str(error))
