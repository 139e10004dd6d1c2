"""The analysis as the settings want it: ``[indicators] [detectors.NAME] [candlesticks] [rules] [tags] [exchanges]``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from sparktrends.analysis.chain import Chain
from sparktrends.bars import Limits
from sparktrends.commit import Analysis
from sparktrends.detectors import Detectors
from sparktrends.detectors.candlesticks import SAID_AT, Candlesticks
from sparktrends.errors import BadSetting
from sparktrends.indicators import Kernel
from sparktrends.model import INTERVALS
from sparktrends.ops.exchanges import exchanges_of
from sparktrends.ops.settings import Settings, texts
from sparktrends.rules import Names, Rules, RulesFile
from sparktrends.sessions import calendar
from sparktrends.sources.symbols import exchange_of


class Analysing:
    """Kernel and detectors as the settings have them, compiled once, and the rules in use (of the file ``rules``, else
    as the settings say). Raises BadSetting with every fault, or BadFile."""

    def __init__(
        self, settings: Settings, intervals: Sequence[str] = tuple(INTERVALS), rules: Path | None = None
    ) -> None:
        self._kernel = Kernel(settings.table("indicators"), cache=settings.cache / "kernel")
        self._detectors = Detectors(self._kernel.columns, settings.table("detectors"))
        self._intervals = intervals
        self._tags = tags_of(settings)
        self._candlesticks = candlesticks_of(settings)
        self._hours = " ".join(f"{symbol}={code}" for symbol, code in sorted(exchanges_of(settings).items()))
        names = Names(self._kernel.columns, self._detectors.thresholds | self._candlesticks.thresholds)
        self.rules = RulesFile(rules or rules_path(settings), names)

    def chains(self) -> list[Chain]:
        """The chain of each interval, with the rules as they are now."""
        rules = self.rules.look()
        return [
            Chain(
                self._kernel,
                self._detectors,
                rules,
                interval,
                self.tags_of,
                is_trading,
                self._candlesticks,
                self._hours,
            )
            for interval in self._intervals
        ]

    def tags_of(self, symbol: str) -> Collection[str]:
        """The tags that the settings give a symbol."""
        return self._tags.get(symbol, ())


class Analyses:
    """The analyses of the stream, loaded or compiled when made: other ones as soon as the rules file is another one.

    Asked before every batch.
    """

    def __init__(self, settings: Settings, limits: Limits) -> None:
        self._analysing = Analysing(settings)
        self._limits = limits
        self._rules: Rules | None = None
        self._analyses: tuple[Analysis, ...] = ()
        self()

    def __call__(self) -> tuple[Analysis, ...]:
        rules = self._analysing.rules.look()
        if rules is not self._rules:
            self._rules = rules
            self._analyses = tuple(Analysis(chain.prepared(), self._limits) for chain in self._analysing.chains())
        return self._analyses


def candlesticks_of(settings: Settings) -> Candlesticks:
    """The candlestick patterns: ``[candlesticks] signals`` lists the intervals at which they are signals."""
    said_at = settings.only("candlesticks", "signals").get("signals", list(SAID_AT))
    return Candlesticks(texts("[candlesticks] signals", said_at))


def tags_of(settings: Settings) -> dict[str, list[str]]:
    """``[tags]``: what rules call symbols, by symbol."""
    return {str(symbol): texts(f"[tags] {symbol}", words) for symbol, words in settings.table("tags").items()}


def is_trading(symbol: str, at: int) -> bool:
    """Whether the exchange of a symbol trades at a time (µs)."""
    return calendar(exchange_of(symbol)).at(at).trading


def chains_of(
    settings: Settings, intervals: Sequence[str] = tuple(INTERVALS), rules: Path | None = None
) -> list[Chain]:
    """The chain of each interval; raises as `Analysing`."""
    return Analysing(settings, intervals, rules).chains()


def chain_of(settings: Settings, interval: str = "1m") -> Chain:
    """The chain of one interval."""
    return chains_of(settings, [interval])[0]


def rules_path(settings: Settings) -> Path | None:
    """The rules file that the settings name; None for the shipped rules."""
    file = settings.only("rules", "file").get("file")
    if file is not None and not isinstance(file, str):
        raise BadSetting(f"[rules] file = {file!r} is no file", hint='write file = "my-rules.toml"')
    return Path(file) if file else None


def names_of(settings: Settings) -> Names:
    """What a rule may speak of, without compiling anything twice."""
    chain = chain_of(settings)
    return Names(chain.kernel.columns, chain.detectors.thresholds | Candlesticks().thresholds)
