"""Faults applied: to the frames that a socket is about to be sent, and to the answer of a call. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from sparktrends.sandbox.exchange import Answer, Call, Frame, Provider, World
from sparktrends.sandbox.faults import Fault

Items = list[tuple[str, str]]


@dataclass(slots=True)
class Outcome:
    """What is sent in the end, and what was done: (kind, the trades it concerned)."""

    frames: list[Frame]
    notes: list[tuple[str, Items]] = field(default_factory=list)


def distort(frames: list[Frame], faults: Sequence[Fault], provider: Provider, random: Random) -> Outcome:
    """Send these frames through the faults that hold now. A frame that is cut or dropped delivers no trade."""
    outcome = Outcome(frames)
    for fault in faults:
        if not outcome.frames:
            break
        change = _CHANGES.get(fault.kind)
        if change:
            outcome.frames, items = change(outcome.frames, fault, provider, random)
            if items is not None:
                outcome.notes.append((fault.kind, items))
    return outcome


Changed = tuple[list[Frame], "Items | None"]


def _silence(frames: list[Frame], _fault: Fault, _provider: Provider, _random: Random) -> Changed:
    return [], [item for frame in frames for item in frame.items]


def _gap(frames: list[Frame], fault: Fault, _provider: Provider, random: Random) -> Changed:
    kept, lost = _split(frames, fault, random)
    return kept, [item for frame in lost for item in frame.items] or None


def _half(frames: list[Frame], fault: Fault, _provider: Provider, random: Random) -> Changed:
    _, cut = _split(frames, fault, random)
    marked = {id(frame) for frame in cut}
    out = [Frame(f.text[: len(f.text) // 2]) if id(f) in marked else f for f in frames]
    return out, [item for frame in cut for item in frame.items] or None


def _duplicate(frames: list[Frame], fault: Fault, _provider: Provider, random: Random) -> Changed:
    _, twice = _split(frames, fault, random)
    # The repeats come after everything else of the batch, as they do after a server's own reconnect.
    return frames + [Frame(f.text) for f in twice], [item for f in twice for item in f.items] or None


def _newest_first(frames: list[Frame], _fault: Fault, provider: Provider, _random: Random) -> Changed:
    return [provider.reverse(frame) for frame in reversed(frames)], []


def _out_of_order(frames: list[Frame], _fault: Fault, _provider: Provider, random: Random) -> Changed:
    return random.sample(frames, len(frames)), []


def _wrong_types(frames: list[Frame], fault: Fault, provider: Provider, random: Random) -> Changed:
    _, spoiled = _split(frames, fault, random)
    extra = [Frame(provider.spoil(frame.text)) for frame in spoiled]
    return extra + frames, [item for frame in spoiled for item in frame.items] or None


def _huge(frames: list[Frame], fault: Fault, _provider: Provider, random: Random) -> Changed:
    # Not with every batch: one in ten is enough to fill the reader's memory if it lets that happen.
    if random.random() > 0.1:
        return frames, None
    return [Frame('{"pad":"' + "x" * fault.size + '"}'), *frames], []


def _split(frames: list[Frame], fault: Fault, random: Random) -> tuple[list[Frame], list[Frame]]:
    """(kept, hit): each frame with trades is hit with the fault's share."""
    kept: list[Frame] = []
    hit: list[Frame] = []
    for frame in frames:
        struck = bool(frame.items) and random.uniform(0, 1) < fault.share
        (hit if struck else kept).append(frame)
    return kept, hit


_CHANGES = {
    "silence": _silence,
    "gap": _gap,
    "half_frame": _half,
    "duplicate": _duplicate,
    "newest_first": _newest_first,
    "out_of_order": _out_of_order,
    "wrong_types": _wrong_types,
    "huge": _huge,
}


def instead(fault: Fault, provider: Provider, call: Call, world: World) -> Answer | None:
    """The answer that comes in place of the real one; None when the fault changes or delays the real one."""
    if fault.kind in ("status", "refuse"):
        answer = provider.refusal(fault.status, call, world)
        headers = {k: v for k, v in answer.headers.items() if k != "retry-after"}
        if fault.retry_after is not None:
            headers["retry-after"] = f"{fault.retry_after:g}"
        return Answer(answer.status, answer.body, headers, answer.weight)
    if fault.kind == "words":
        return provider.refusal(200, call, world)
    if fault.kind == "redirect":
        return Answer(302, b"", {"location": fault.location})
    if fault.kind == "huge_answer":
        return Answer(200, b'{"pad":"' + b" " * fault.size + b'"}', {"content-type": "application/json"})
    return None


def changed(answer: Answer, faults: Sequence[Fault]) -> Answer:
    """The real answer as these faults leave it: cut in the middle, or with text for numbers."""
    body = answer.body
    for fault in faults:
        if fault.kind == "half_answer":
            body = body[: len(body) // 2]
        elif fault.kind == "wrong_answer":
            body = _NUMBERS.sub(rb'\1"wrong"', body, count=3)
    return Answer(answer.status, body, answer.headers, answer.weight) if body is not answer.body else answer


_NUMBERS = re.compile(rb'([:,\[])(?:-?[0-9]+(?:\.[0-9]+)?|"-?[0-9]+\.[0-9]+")(?=[,\]}])')
