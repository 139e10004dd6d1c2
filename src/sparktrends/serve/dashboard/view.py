"""The URL holds the view: every choice is read from it, written to it, and kept when one moves between pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import streamlit as st

from sparktrends.serve.dashboard.words import exchange_zone, mark

T = TypeVar("T")
Key = tuple[str, str]
"""(source, symbol)."""
_KEPT = "kept_choices"


def said(name: str) -> str | None:
    """What the URL says of a choice, else what was chosen earlier in this tab."""
    kept: Mapping[str, str] = st.session_state.get(_KEPT, {})
    return st.query_params.get(name, kept.get(name))


def keep(name: str, value: str) -> None:
    """Write a choice into the URL, and remember it for the other pages."""
    st.session_state.setdefault(_KEPT, {})[name] = value
    # Only when it differs: each write is a message to the browser.
    if st.query_params.get(name) != value:
        st.query_params[name] = value


def one(label: str, options: Sequence[str], name: str, default: str = "", **more: Any) -> str:
    """Buttons of which one is pressed."""
    chosen = said(name)
    first = chosen if chosen in options else default if default in options else options[0]
    pressed = st.segmented_control(label, options, default=first, key=f"one_{name}", **more)
    value = str(pressed or first)  # pressing the pressed one releases it
    keep(name, value)
    return value


def some(label: str, options: Mapping[str, str], name: str, default: Sequence[str] = ()) -> list[str]:
    """Any of some named things."""
    words = said(name)
    # An empty choice in the URL is a choice: nothing, not the default.
    wanted = default if words is None else words.split(",")
    first = [option for option in wanted if option in options]
    chosen = st.multiselect(label, list(options), default=first, format_func=lambda o: options[o], key=f"some_{name}")
    keep(name, ",".join(chosen))
    return list(chosen)


def pick(label: str, options: Sequence[str], name: str, **more: Any) -> str:
    """One of a list; the first where the URL names none of it."""
    chosen = said(name)
    first = options.index(chosen) if chosen in options else 0
    value = str(st.selectbox(label, options, index=first, key=f"{name}_choice", **more))
    keep(name, value)
    return value


def step(label: str, options: Sequence[int], name: str, default: int) -> int:
    """One of some numbers, on a slider."""
    chosen = next((option for option in options if str(option) == said(name)), default)
    value = int(st.select_slider(label, options, value=chosen, key=f"step_{name}"))
    keep(name, str(value))
    return value


def tabs(names: Sequence[str], name: str = "tab") -> dict[str, Any]:
    """A container for each name, of which one is open."""
    key = f"tabs_{name}_{names[0]}"
    if key not in st.session_state:
        chosen = said(name)
        # The first one for as long as these tabs are shown: another default would make them, and what is in them, anew.
        st.session_state[f"first_{key}"] = chosen if chosen in names else None
    made = st.tabs(names, default=st.session_state[f"first_{key}"], key=key, on_change="rerun")
    opened = [one for one, tab in zip(names, made, strict=True) if tab.open]
    keep(name, (opened or names)[0])
    return dict(zip(names, made, strict=True))


def switch(label: str, name: str) -> bool:
    """On or off."""
    on = bool(st.toggle(label, value=said(name) == "1", key=f"switch_{name}"))
    keep(name, "1" if on else "0")
    return on


def series_choice(rows: Sequence[Mapping[str, Any]], label: str = "Symbol") -> Mapping[str, Any]:
    """The row of the series that a person looks at; real ones are offered first."""
    offered = sorted(rows, key=lambda row: (bool(row["simulated"]), row["symbol"], row["source"]))
    wanted = (said("source"), said("symbol"))
    fits = [n for n, row in enumerate(offered) if wanted[1] == row["symbol"] and wanted[0] in (None, row["source"])]
    names = [key_of(row) for row in offered]
    chosen = st.selectbox(label, names, index=fits[0] if fits else 0, format_func=titled, key="series_choice")
    row = offered[names.index(chosen)]
    keep("symbol", row["symbol"])
    keep("source", row["source"])
    return row


def key_of(row: Mapping[str, Any]) -> Key:
    """(source, symbol) of a row."""
    return row["source"], row["symbol"]


def titled(key: Key) -> str:
    """A series in words, with its mark."""
    source, symbol = key
    return f"{symbol} · {source.split('~')[0]}{f' ({mark(source)})' if mark(source) else ''}"


def zone() -> str:
    """The zone in which times are shown: UTC, the browser's, or that of the chosen symbol's exchange."""
    if said("zone") == "Local":
        return st.context.timezone or "UTC"
    return exchange_zone(said("symbol") or "") if said("zone") == "Exchange" else "UTC"


def renewed(every_s: float, body: Callable[[], None]) -> None:
    """Draw a part of the page now and every so many seconds, by itself: the rest of the page stays as it is."""
    st.fragment(body, run_every=every_s)()
