"""What a clause says: directions meet what they move, and negations, hedges and degrees act on the result.

"loss narrows" is a move down of a bad thing, so good; "fails to beat" takes the beat back; "fell less than feared"
turns a fall round. The idea is polarity composition (Moilanen & Pulman 2007; for finance Malo et al. 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparktrends.sentiment.lexicon import BOOST, FAIL, HEDGE, MOVE, NEGATE, THING, VERDICT, Term
from sparktrends.sentiment.reading import Clause, Item

_AHEAD, _BACK, _SCOPE = 4, 6, 5
"""Words between a move and the thing behind it, the thing before it; between a negation and what it negates."""
_TURNED = 0.6
"""What is left of a move that another one turns: a decline that slows is good news of half the size."""
_FAINT = 0.8
"""A verdict fainter than this outweighs nothing: an investigation that is launched stays bad."""
_BE = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "trading",
        "trades",
        "closes",
        "closed",
        "opens",
        "opened",
        "ends",
        "ended",
        "finishes",
        "finished",
    ]
)
_INTO = frozenset(["into", "to", "at", "by", "with", "for", "over", "toward", "towards", "under", "near", "against"])
"""Behind these stands where a move leads, not what moves: "collapses into bankruptcy", "adds firms to index"."""
_TRANSPARENT = frozenset((BOOST, HEDGE, NEGATE))


@dataclass(slots=True)
class Finding:
    """A valued group of items; ``anchor`` is the item that decides who does what to whom."""

    value: float
    anchor: Item
    items: list[Item]

    @property
    def start(self) -> int:
        return min(item.start for item in self.items)

    @property
    def end(self) -> int:
        return max(item.end for item in self.items)


def compose(clause: Clause, words: Sequence[str]) -> list[Finding]:
    """The findings of a clause in the order of the text, the clause's weight in their values."""
    items = clause.items
    if not items:
        return []
    found = _single(items[0], words) if len(items) == 1 else _Composer(items, words).findings()
    if clause.weight != 1.0:
        for finding in found:
            finding.value *= clause.weight
    return found


def _single(item: Item, words: Sequence[str]) -> list[Finding]:
    """Most clauses have one term: nothing to combine."""
    term = item.term
    if term.kind > FAIL or (term.beside and not _placed(item, None, words)):
        return []
    value = (term.value if term.kind >= VERDICT else term.alone) * _size(item, words)
    return [Finding(value, item, [item])] if value else []


class _Composer:
    def __init__(self, items: list[Item], words: Sequence[str]) -> None:
        self._items = items
        self._words = words
        self._claimed = [item.term.kind > FAIL for item in items]
        self._found: list[Finding] = []

    def findings(self) -> list[Finding]:
        # In this order: what a verdict has taken no move takes, and what neither took speaks for itself.
        kinds = [item.term.kind for item in self._items]
        if VERDICT in kinds or FAIL in kinds:
            for place, kind in enumerate(kinds):
                if kind in (VERDICT, FAIL):
                    self._judge(place, self._items[place])
        if MOVE in kinds:
            for place, kind in enumerate(kinds):
                if kind == MOVE:
                    self._move(place, self._items[place])
        if THING in kinds:
            self._remaining()
        if len(self._found) > 1:
            self._found.sort(key=_place)
            self._shift()
        if max(kinds) >= FAIL:
            self._modify()
        return [finding for finding in self._found if finding.value]

    def _remaining(self) -> None:
        """Things that nothing moved, a compound as one: what denies "fraud allegations" denies both."""
        last: Finding | None = None
        for place, item in enumerate(self._items):
            if self._claimed[place] or item.term.kind != THING:
                last = None
            elif last and item.start == last.items[-1].end:
                last.value += item.term.alone
                last.items.append(item)
            else:
                last = Finding(item.term.alone, item, [item])
                self._found.append(last)

    def _judge(self, place: int, item: Item) -> None:
        """A verdict swallows the thing behind it, and a contrary one right before it: "losses improve"."""
        self._claimed[place] = True
        things = (self._ahead(place) or self._contrary(place)) if abs(item.term.value) > _FAINT else []
        for thing_place in things:
            self._claimed[thing_place] = True
        self._found.append(Finding(item.term.value, item, [item, *(self._items[at] for at in things)]))

    def _contrary(self, place: int) -> list[int]:
        """The free thing right before a verdict that says the opposite."""
        item, before = self._items[place], self._items[place - 1]
        free = place > 0 and not self._claimed[place - 1] and before.end == item.start and before.term.kind == THING
        return [place - 1] if free and before.term.alone * item.term.value < 0 else []

    def _move(self, place: int, item: Item) -> None:
        self._claimed[place] = True
        term = item.term
        looks = (self._back, self._ahead) if term.back else (self._ahead, self._back)
        things = [] if term.shift and self._moves_next(place) else looks[0](place) or looks[1](place)
        if term.level and not things and self._repeats(item):
            return
        if things and term.ahead and self._items[things[0]].start < item.start:
            # "Stocks end higher" ends nothing; "strike ends" does.
            things = [at for at in things if self._items[at].term.value < 0]
        if term.beside and not _placed(item, self._items[things[-1]] if things else None, self._words):
            return
        for thing_place in things:
            self._claimed[thing_place] = True
        moved = [self._items[at] for at in things]
        value = _moved(item, moved) if moved else term.alone
        self._found.append(Finding(value * _size(item, self._words), item, [item, *moved]))

    def _moves_next(self, place: int) -> bool:
        """Whether a move stands right behind: "pares gains"."""
        behind = self._items[place + 1] if place + 1 < len(self._items) else None
        return behind is not None and behind.term.kind == MOVE and behind.start == self._items[place].end

    def _repeats(self, item: Item) -> bool:
        """Whether a level only says how far a move went: "falls to lowest since 2020"."""
        moves = [f.anchor for f in self._found if f.anchor.term.kind == MOVE and f.anchor.end <= item.start]
        return any(item.start - move.end <= _BACK for move in moves)

    def _ahead(self, place: int) -> list[int]:
        """The free things next behind an item, a compound taken whole."""
        found: list[int] = []
        items, claimed, mover = self._items, self._claimed, self._items[place].term
        end = items[place].end
        for at in range(place + 1, len(items)):
            item, of = items[at], False
            if item.start > end:
                between = self._words[end : item.start]
                of = bool(found) and between == ["of"]
                if len(between) > (of if found else _AHEAD) or _elsewhere(mover, between):
                    break
            if item.term.kind == THING and not claimed[at]:
                # Of "risk of death" the head is the risk.
                found.insert(0 if of else len(found), at)
            elif item.term.kind not in _TRANSPARENT:
                break
            end = item.end
        return found

    def _back(self, place: int) -> list[int]:
        """The free things next before an item, in the order of the text."""
        found: list[int] = []
        start = self._items[place].start
        for at in range(place - 1, -1, -1):
            item = self._items[at]
            if start - item.end > (0 if found else _BACK):
                break
            if item.term.kind == THING and not self._claimed[at]:
                found.insert(0, at)
            elif found or item.term.kind not in _TRANSPARENT:
                break
            start = item.start
        return found

    def _shift(self) -> None:
        """ "decline slows", "pares gains", "smaller drop": a move beside a move turns it (or lengthens it)."""
        for place, finding in enumerate(self._found):
            if not finding.anchor.term.shift or len(finding.items) > 1:
                continue
            other = self._neighbour(place)
            if other is not None:
                other.value *= _TURNED if finding.anchor.term.value > 0 else -_TURNED
                other.items.append(finding.anchor)
                finding.value = 0.0

    def _neighbour(self, place: int) -> Finding | None:
        anchor = self._found[place].anchor
        behind = self._found[place + 1] if place + 1 < len(self._found) else None
        if behind and behind.anchor.term.kind == MOVE and behind.start - anchor.end <= 2:
            return behind
        before = self._found[place - 1] if place else None
        if before and before.anchor.term.kind == MOVE and anchor.start - before.end <= 1 and anchor.term.back:
            return before
        return None

    def _modify(self) -> None:
        for item in self._items:
            kind = item.term.kind
            if kind == NEGATE:
                self._negate(item)
            elif kind == BOOST:
                self._boost(item)
            elif kind == FAIL:
                self._take_back(item)
        hedges = [item for item in self._items if item.term.kind == HEDGE]
        for finding in self._found if hedges else ():
            said = [hedge for hedge in hedges if hedge.start < finding.end]
            if said:
                finding.value *= min(hedge.term.value for hedge in said)
                finding.items.extend(said)

    def _negate(self, item: Item) -> None:
        governed = next(
            (f for f in self._found if f.value and f.end > item.start and f.start - item.end < _SCOPE), None
        )
        if governed:
            governed.value *= item.term.value
            governed.items.append(item)

    def _boost(self, item: Item) -> None:
        beside = [f for f in self._found if f.value and (0 <= item.start - f.anchor.end <= 2 or f.start == item.end)]
        if item.term.value < 0:
            beside = [f for f in self._found if f.value and f.anchor.end <= item.start][-1:]
        for finding in beside[:1]:
            finding.value *= item.term.value
            finding.items.append(item)

    def _take_back(self, item: Item) -> None:
        for finding in self._found:
            if finding.anchor is not item and finding.start >= item.end and finding.value > 0:
                finding.value = 0.0


def _place(finding: Finding) -> int:
    return finding.anchor.start


def _elsewhere(term: Term, between: Sequence[str]) -> bool:
    """Whether words behind a move part it from a thing: a preposition, or what is stopped ("stops reporting sales")."""
    return not _INTO.isdisjoint(between) or (term.ahead and between[0].endswith("ing"))


def _moved(item: Item, things: Sequence[Item]) -> float:
    """Direction times what is moved; a compound is what its last word is, unless that only carries another."""
    head = things[-1].term
    if head.carrier:
        head = next((thing.term for thing in things if thing.term.value < 0), head)
    value = item.term.value * head.value
    size = max(abs(value), 0.7 * abs(head.alone))
    return size if value > 0 else -size


def _placed(item: Item, thing: Item | None, words: Sequence[str]) -> bool:
    """Whether `up` or `down` is a direction here: a number behind it, or what it moves (or a form of be) before it."""
    after = words[item.end] if item.end < len(words) else ""
    before = words[item.start - 1] if item.start else ""
    return (
        after[:1].isdigit() or after.endswith("%") or before in _BE or (thing is not None and thing.end == item.start)
    )


def _size(item: Item, words: Sequence[str]) -> float:
    """How much a percentage beside a move makes of it: half for less than half a per cent, a quarter more from ten."""
    if item.term.kind != MOVE:
        return 1.0
    for word in words[item.start : item.end + 3]:
        if word[-1] == "%":
            try:
                share = abs(float(word.strip("+-−%$€£ ").replace(",", "")))
            except ValueError:
                return 1.0
            return 0.5 if share < 0.5 else 1.25 if share >= 10 else 1.0
    return 1.0
