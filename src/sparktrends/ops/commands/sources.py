"""The options that say what to take in, and what they mean."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from sparktrends.errors import BadSetting
from sparktrends.ingest.places import Place
from sparktrends.ingest.playback import Track
from sparktrends.ingest.run import Feeder
from sparktrends.ops import feeding, jars, java
from sparktrends.ops.laws import limits_of
from sparktrends.ops.settings import Settings
from sparktrends.sources import PROVIDERS
from sparktrends.sources.replay import DEMO_MEMBER, Replay
from sparktrends.sources.simulated import Simulated
from sparktrends.telemetry import Clock

DEMO_SPEED = 600.0
DEMO_SYMBOLS = 20
SIMULATOR = "simulator"
DEMO = "demo"
_MOST_RATE = 1_000_000


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that `up` and `ingest` share, handed over as one `Choice`."""

    @functools.wraps(command)
    def with_choice(*args: Any, **options: Any) -> Any:
        chosen = Choice(**{name: options.pop(name) for name in Choice.__slots__})
        return command(*args, choice=chosen, **options)

    decorated: Callable[..., Any] = with_choice
    for option in reversed(
        (
            click.option("--source", "sources", multiple=True, metavar="NAME|FILE", help="What to take in."),
            click.option("--symbols", default="", metavar="A,B|N", help="Symbols, or how many of the simulator."),
            click.option("--speed", default="", metavar="N|max", help="How many times faster than life to replay."),
            click.option("--rate", default=0.0, metavar="N", help="Trades a second of the simulator, in all."),
            click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Seed of the simulator."),
            click.option(
                "--sandbox", is_flag=True, help="Live sources from the offline twin: no keys, made-up values."
            ),
        )
    ):
        decorated = option(decorated)
    return decorated


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person asked to take in."""

    sources: tuple[str, ...] = ()
    symbols: str = ""
    speed: str = ""
    rate: float = 0.0
    seed: int = 7
    sandbox: bool = False

    def arguments(self) -> list[str]:
        """The same as arguments for a child."""
        arguments = [word for source in self.sources for word in ("--source", source)]
        named = (("--symbols", self.symbols), ("--speed", self.speed), ("--rate", self.rate), ("--seed", self.seed))
        arguments += [word for name, value in named if value for word in (name, str(value))]
        return arguments + ["--sandbox"] * self.sandbox

    @property
    def wanted(self) -> tuple[str, ...]:
        """The sources: by default the recorded week with simulated symbols beside it; at full speed the week alone."""
        if self.sandbox:
            return self.sources or tuple(PROVIDERS)
        return self.sources or ((DEMO,) if self.speed == "max" else (DEMO, SIMULATOR))

    @property
    def live(self) -> list[str]:
        """The providers among the sources."""
        return feeding.split(self.wanted)[0]

    @property
    def named(self) -> list[str]:
        """The symbols, as live sources write them; a number is how many symbols the simulator has and names none."""
        return [] if self.symbols.isdecimal() else [s.strip().upper() for s in self.symbols.split(",") if s.strip()]

    def feeders(self, settings: Settings, sandbox_port: int = 0) -> list[Feeder]:
        """The live sources among them; raises BadSetting, also for a symbol that none of them can have."""
        found = [feeding.feeder(settings, provider, self.named, sandbox_port) for provider in self.live]
        nobodys = [s for s in self.named if not any(s in feeder.symbols for feeder in found)]
        # Beside a recording it may be the recording's.
        if nobodys and len(found) == len(self.wanted):
            hint = "write a stock as AAPL, a pair as BTC/USDT, and name a source that has it"
            raise BadSetting(f"none of {', '.join(self.live)} has {', '.join(nobodys)}", hint=hint)
        return found


def daily_arguments(choice: Choice) -> list[str]:
    """What ``batch daily`` is asked for beside the date: the live sources that were chosen, and their symbols."""
    arguments = [word for provider in choice.live for word in ("--source", provider)]
    named = ["--symbols", ",".join(choice.named)] if choice.named else []
    return arguments + named + ["--sandbox"] * choice.sandbox


def ending(choice: Choice) -> Choice:
    """The choice of a run that is to end by itself: the recorded week alone where nobody named anything.

    Raises BadSetting for a source that never ends: the run would wait for ever.
    """
    endless = [source for source in choice.wanted if source == SIMULATOR or source in PROVIDERS]
    if endless and (choice.sources or choice.sandbox):
        hint = "leave --exit-when-done out, or say how long with --for SECONDS"
        raise BadSetting(f"{', '.join(endless)} never ends", hint=hint)
    return replace(choice, sources=choice.sources or (DEMO,))


def tracks_of(settings: Settings, clock: Clock, choice: Choice) -> list[Track]:
    """What to play; raises BadSetting, also for two recordings of one series, or BadFile."""
    pace = _speed(choice.speed)
    tracks = {source: _track(settings, clock, source, choice, pace) for source in feeding.split(choice.wanted)[1]}
    _require_distinct(tracks)
    return list(tracks.values())


def require_usable(settings: Settings, clock: Clock, choice: Choice) -> list[str]:
    """Read every file that was named, so that a bad one is refused before anything is started.

    Returns what is to be said of them; raises BadSetting or BadFile. The recorded week is checked by its hash when it
    is fetched.
    """
    choice.feeders(settings, sandbox_port=int(choice.sandbox))
    named = tuple(source for source in feeding.split(choice.wanted)[1] if source != DEMO)
    tracks = tracks_of(settings, clock, replace(choice, sources=named)) if named else []
    return [words for track in tracks for words in track.recording.remarks]


def _require_distinct(tracks: Mapping[str, Track]) -> None:
    """The log says of a series where one recording of it stopped: of two, trades would be doubled or left out."""
    owners = dict[Place, str]()
    for source, track in tracks.items():
        for place in track.places.values():
            owner = owners.setdefault(place, source)
            if owner != source:
                hint = "give one another name with --source NAME=FILE, or put both into one file"
                raise BadSetting(f"{owner} and {source} are both {' '.join(place[1:])}", hint=hint)


def _track(settings: Settings, clock: Clock, source: str, choice: Choice, pace: float | None) -> Track:
    if source == SIMULATOR:
        number = _symbol_count(choice.symbols)
        if not 0 <= choice.rate <= _MOST_RATE:
            raise BadSetting(f"--rate {choice.rate:g}", hint=f"give trades a second, up to {_MOST_RATE:,}")
        rate = choice.rate or 2.5 * number
        return Track(Simulated(start=clock(), symbols=number, rate=rate, seed=choice.seed), 1.0)
    if source == DEMO:
        return Track(demo_recording(settings), pace)
    name, path = _named_file(source)
    if not path.is_file():
        allowed = ", ".join([*PROVIDERS, DEMO, SIMULATOR])
        raise BadSetting(f"there is no source and no file {source!r}", hint=f"give a file, or one of {allowed}")
    # Several are those of live sources, a number is how many the simulator has: neither is the name of a file's one.
    symbol = choice.named[0] if len(choice.named) == 1 else None
    limits = limits_of(settings)
    # The stream would refuse what is later, and by the clock that it sets everything after it.
    latest = clock() + limits.future
    return Track(Replay(path, source=name, symbol=symbol, latest=latest, grace=limits.grace), pace)


def _named_file(source: str) -> tuple[str | None, Path]:
    """``NAME=FILE`` as both; a file may have = in its own name. A shell knows no ~ behind a =, so it is meant here."""
    name, equals, file = source.partition("=")
    if not equals or Path(source).is_file():
        return None, Path(source)
    return name, Path(os.path.expanduser(file))


def demo_recording(settings: Settings) -> Replay:
    """The 100,000 recorded Bitstamp trades."""
    found = java.find(settings.env, settings.cache)
    (jar,) = jars.Resolver(found, settings.cache, settings.env).ensure([jars.DEMO])[jars.DEMO]
    return Replay(jar, source="bitstamp", symbol="BTC/USD", member=DEMO_MEMBER)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        pace = float(text) if text else DEMO_SPEED
    except ValueError:
        pace = 0.0
    if not 0 < pace < 1e9:
        raise BadSetting(f"--speed {text}", hint="give a number above 0, or max")
    return pace


def _symbol_count(text: str) -> int:
    if not text:
        return DEMO_SYMBOLS
    if not text.isdecimal() or not 0 < int(text) <= 10_000:
        raise BadSetting(f"--symbols {text}", hint="the simulator takes a number from 1 to 10000")
    return int(text)
