"""The analysis as the settings want it: ``[indicators]``, ``[detectors.NAME]``, ``[rules] file``, ``[tags]``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from sparktrends.analysis.chain import Chain
from sparktrends.detectors import Detectors
from sparktrends.errors import BadSetting
from sparktrends.indicators import Kernel
from sparktrends.model import INTERVALS
from sparktrends.ops.settings import Settings
from sparktrends.rules import Names, Rules


def chains_of(settings: Settings, intervals: Sequence[str] = tuple(INTERVALS)) -> list[Chain]:
    """Kernel, detectors and rules of each interval; raises BadSetting with every fault, or BadFile."""
    kernel = Kernel(settings.table("indicators"), cache=settings.cache / "kernel")
    detectors = Detectors(kernel.columns, settings.table("detectors"))
    rules = rules_of(settings, Names(kernel.columns, detectors.thresholds))
    tags = {str(symbol): list(words) for symbol, words in settings.table("tags").items()}

    def tags_of(symbol: str) -> Collection[str]:
        return tags.get(symbol, ())

    return [Chain(kernel, detectors, rules, interval, tags_of) for interval in intervals]


def chain_of(settings: Settings, interval: str = "1m") -> Chain:
    """The chain of one interval."""
    return chains_of(settings, [interval])[0]


def rules_of(settings: Settings, names: Names) -> Rules:
    """The rules file that the settings name, else the shipped rules."""
    file = settings.table("rules").get("file")
    return Rules.load(Path(str(file)), names) if file else Rules.default(names)


def names_of(settings: Settings) -> Names:
    """What a rule may speak of, without compiling anything twice."""
    chain = chain_of(settings)
    return Names(chain.kernel.columns, chain.detectors.thresholds)


def channel_blocks(settings: Settings) -> dict[str, dict[str, str]]:
    """The ``[channels.NAME]`` tables, and Slack where ``SLACK_WEBHOOK`` is set."""
    blocks = {str(name): _block(str(name), block) for name, block in settings.table("channels").items()}
    webhook = settings.get("SLACK_WEBHOOK")
    if webhook:
        blocks.setdefault("slack", {"url": webhook})
    return blocks


def _block(name: str, block: Any) -> dict[str, str]:
    if not isinstance(block, dict):
        raise BadSetting(f"[channels] {name} is not a table", hint=f"write [channels.{name}]")
    return {str(key): str(value) for key, value in block.items()}
