"""Who is meant: names of companies in a headline, and which finding belongs to which of them.

A finding belongs to the company before it in its clause ("Nvidia gains while AMD falls"), else to the one behind it; a
clause without a company speaks of the one before. Verbs with roles share themselves out: in "Apple sues Samsung" nearly
all of it is Samsung's, and "Apple sued by Samsung" is the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from sparktrends.sentiment.composing import Finding
from sparktrends.sentiment.lexicon import MOVE
from sparktrends.sentiment.reading import Clause

_LEGAL = re.compile(
    r"[\s,]+(?:inc|corp|corporation|company|co|ltd|limited|plc|sa|ag|nv|n\.v|se|spa|ab|asa|lp|llc|group|holdings?|"
    r"incorporated|the|class [a-c]|common stock|ordinary shares|adr|trust)\.?$",
    re.IGNORECASE,
)
# First words that name no company by themselves: too many begin so.
_GENERIC = frozenset(
    [
        "general",
        "bank",
        "american",
        "united",
        "first",
        "national",
        "international",
        "new",
        "home",
        "best",
        "western",
        "eastern",
        "southern",
        "northern",
        "global",
        "royal",
        "standard",
        "public",
        "state",
        "city",
        "old",
        "great",
        "big",
        "central",
        "pacific",
        "atlantic",
        "advanced",
        "applied",
        "digital",
        "electronic",
        "energy",
        "food",
        "health",
        "life",
        "medical",
        "micro",
        "capital",
        "credit",
        "real",
        "texas",
        "u.s",
    ]
)
_ALSO: Mapping[str, tuple[str, ...]] = {
    "GOOG": ("Google", "Alphabet"), "GOOGL": ("Google", "Alphabet"), "META": ("Facebook", "Instagram"),
    "BRK.B": ("Berkshire",), "GM": ("GM",), "IBM": ("IBM",), "JNJ": ("J&J",), "BTC": ("Bitcoin",),
    "ETH": ("Ethereum", "Ether"), "SOL": ("Solana",), "XRP": ("Ripple",), "DOGE": ("Dogecoin",), "ADA": ("Cardano",),
    "BNB": ("Binance Coin",), "LTC": ("Litecoin",), "DOT": ("Polkadot",),
}  # fmt: skip
# Legal forms are taken off one by one: without an end a made-up name could cost any amount of time.
_LONGEST_SYMBOL, _LONGEST_NAME = 5, 120
_APART = frozenset(("while", "whereas", "meanwhile"))
_JOINED = frozenset(("and", "&", "or", ","))
_BE = frozenset(["is", "was", "were", "are", "been", "being", "gets", "got", "be"])


class Mention(NamedTuple):
    """A company, by its key, at the words [start, end)."""

    key: str
    start: int
    end: int


def names_of(symbol: str, name: str = "") -> tuple[str, ...]:
    """What headlines call a company (or the base of a pair): its symbol, its name without legal form, its first word.

    >>> names_of("MSFT", "Microsoft Corporation")
    ('MSFT', 'Microsoft')
    >>> names_of("BAC", "Bank of America Corp"), names_of("BTC/USD"), names_of("AMZN", "Amazon.com Inc")
    (('BAC', 'Bank of America'), ('BTC', 'Bitcoin'), ('AMZN', 'Amazon'))
    """
    base, short = symbol.partition("/")[0], " ".join(name[:_LONGEST_NAME].split())
    while (shorter := _LEGAL.sub("", short)) != short:
        short = shorter.rstrip(" ,&")
    short = short.removesuffix(".com")
    first = short.split(" ")[0]
    alone = (first,) if len(first) > 3 and first.lower() not in _GENERIC else ()
    return tuple(word for word in dict.fromkeys((base, short, *alone, *_ALSO.get(base, ()))) if word)


def mentions_in(written: Sequence[str], companies: Mapping[str, Sequence[str]]) -> list[Mention]:
    """The companies named in a text, in its order; the longer of two names at one place wins.

    >>> mentions_in(["Apple", "sues", "Samsung"], {"AAPL": ["AAPL", "Apple"]})
    [Mention(key='AAPL', start=0, end=1)]
    """
    by_first = _by_first(companies)
    plain = [word.removesuffix("'s").removesuffix("'S") for word in written]
    found: list[Mention] = []
    place = 0
    while place < len(plain):
        mention = _longest_at(plain, place, by_first.get(plain[place].lower(), ()))
        if mention:
            found.append(mention)
        place = mention.end if mention else place + 1
    return found


def _by_first(companies: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[list[str], str]]]:
    found: dict[str, list[tuple[list[str], str]]] = {}
    for key, names in companies.items():
        for name in names:
            if words := name.split():
                found.setdefault(words[0].lower(), []).append((words, key))
    return found


def _longest_at(plain: Sequence[str], place: int, names: Iterable[tuple[list[str], str]]) -> Mention | None:
    fitting = [
        Mention(key, place, place + len(words))
        for words, key in names
        if all(_same(given, said) for given, said in zip(words, plain[place : place + len(words)], strict=False))
        and place + len(words) <= len(plain)
    ]
    return max(fitting, key=lambda mention: mention.end, default=None)


def _same(given: str, said: str) -> bool:
    """A symbol stands in capitals; a name may change its case, but begins with a capital where it has one."""
    if given.isupper() and len(given) <= _LONGEST_SYMBOL:
        return given == said
    return given.lower() == said.lower() and said[:1].isupper() == given[:1].isupper()


def shares(
    found: Sequence[tuple[Clause, Sequence[Finding]]], mentions: Sequence[Mention], words: Sequence[str]
) -> dict[str, list[Finding]]:
    """The findings of each mentioned company, as much of each as is its own."""
    shared: dict[str, list[Finding]] = {mention.key: [] for mention in mentions}
    subjects: list[Mention] = []
    waiting: list[Finding] = []
    for clause, findings in found:
        inside = [mention for mention in mentions if clause.start <= mention.start < clause.end]
        if inside and subjects and clause.start - subjects[-1].end == 1 and words[subjects[-1].end] == ",":
            # "Apple, Microsoft fall": the first stands in a clause of its own, and falls too.
            inside = subjects + inside
        if clause.start and words[clause.start - 1] in _APART:
            waiting = []
            subjects = subjects if not inside else []
        if not inside and not subjects:
            waiting += findings
        for finding in [*waiting, *findings] if inside or subjects else ():
            for mention, part in _owners(finding, inside or subjects, words):
                shared[mention.key].append(replace(finding, value=finding.value * part))
            waiting = []
        subjects = _group(inside, words) if inside else subjects
    return shared


def _owners(finding: Finding, inside: Sequence[Mention], words: Sequence[str]) -> list[tuple[Mention, float]]:
    anchor = finding.anchor
    before = [mention for mention in inside if mention.start < anchor.start]
    behind = [mention for mention in inside if mention.start >= anchor.start]
    # "raises Apple price target": what lies between a verb and its object has it.
    holders = [mention for mention in behind if mention.start < finding.end]
    if holders and anchor.term.kind == MOVE:
        return [(mention, 1.0) for mention in holders]
    roles = next((item.term.roles for item in finding.items if item.term.roles), None)
    if roles is None:
        subjects = _group(before[::-1], words) if before else _group(behind, words)
        return [(mention, 1.0) for mention in subjects]
    subject, object_ = roles
    if _passive(finding, behind, words):
        subject, object_ = object_, subject
    return [(m, subject) for m in before if subject] + [(m, object_) for m in behind if object_]


def _passive(finding: Finding, behind: Sequence[Mention], words: Sequence[str]) -> bool:
    """ "sued by", "was upgraded", "fined $2bn": a participle without its object right behind it."""
    anchor = finding.anchor
    last = words[anchor.end - 1]
    if anchor.end < len(words) and words[anchor.end] == "by":
        return True
    if anchor.start and words[anchor.start - 1] in _BE:
        return True
    return last.endswith("ed") and not any(mention.start - anchor.end <= 1 for mention in behind)


def _group(mentions: Sequence[Mention], words: Sequence[str]) -> list[Mention]:
    """The first mention and those joined to it: "Apple and Microsoft"."""
    group = list(mentions[:1])
    for mention in mentions[1:]:
        low, high = sorted((group[-1], mention), key=lambda m: m.start)
        if high.start - low.end > 1 or (high.start > low.end and words[low.end] not in _JOINED):
            break
        group.append(mention)
    return group
