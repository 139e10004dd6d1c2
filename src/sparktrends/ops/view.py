"""The terminal view of `up`: what happens, in sentences, and the figures, live."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sparktrends.model import is_replayed, is_simulated
from sparktrends.ops.endpoints import external, record
from sparktrends.ops.jars import Progress
from sparktrends.ops.ports import LOOPBACK
from sparktrends.ops.settings import Settings
from sparktrends.ops.stack import Database
from sparktrends.ops.status import Status, price

_LINE_EVERY_S = 5.0


class View:
    """On a terminal a table that renews itself; elsewhere a line now and then, on standard error."""

    def __init__(self, settings: Settings, live: bool) -> None:
        self._settings = settings
        self._console = Console(file=sys.stdout if live else sys.stderr, soft_wrap=True)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True) if live else None
        self._before: tuple[float, int] = (time.monotonic(), 0)
        self._rate = 0.0
        self._line_at = 0.0
        self._jar_percent: dict[str, int] = {}
        self._told: Sequence[str] = ()

    def __enter__(self) -> View:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, sentence: str) -> None:
        """Print an event above the figures."""
        self._console.print(Text(f"· {sentence}", style="dim"))

    def progress(self, step: Progress) -> None:
        """Say how far a download is, in steps that a log can bear too."""
        percent = 100 * step.size // max(1, step.all_size)
        if percent - self._jar_percent.get(step.name, -10) >= 10 or percent == 100:
            self._jar_percent[step.name] = percent
            self.say(f"jars of {step.name}: {percent} % of {step.all_size / 1e6:.0f} MB")

    def show(self, status: Status) -> None:
        """Show new figures."""
        now, trades = self._before
        elapsed = time.monotonic() - now
        if elapsed >= 1:
            self._rate = max(0.0, (status.trades - trades) / elapsed)
            self._before = (time.monotonic(), status.trades)
        for sentence in status.troubles:
            if sentence not in self._told:
                self.say(sentence)
        self._told = status.troubles
        if self._live:
            parts = (_figures(status, self._rate), _bars(status), _troubles(status), self._addresses())
            self._live.update(Group(*parts))
        elif time.monotonic() - self._line_at > _LINE_EVERY_S:
            self._line_at = time.monotonic()
            self._console.print(Text(_line(status, self._rate)))

    def _addresses(self) -> Text:
        own, there = record(self._settings.home), external(self._settings)
        database = there.database or Database(LOOPBACK, int(own.get("postgres_port", 0)))
        where = [f"Kafka {there.kafka or own.get('kafka', '–')}", f"PostgreSQL {database.host}:{database.port or '–'}"]
        numbers = own.get("ports", {})
        running = own.get("processes", {})
        where += [f"{name} http://127.0.0.1:{numbers[name]}" for name in ("api", "dashboard") if name in running]
        text = f"{'   '.join(where)}\nlogs {self._settings.home / 'logs'}   Ctrl-C stops everything"
        return Text(text, style="dim")


def _line(status: Status, rate: float) -> str:
    newest = max(status.newest, key=lambda bar: bar.start, default=None)
    words = f" · newest {newest.symbol} {newest.start:%Y-%m-%d %H:%M} {price(newest.close)}" if newest else ""
    return (
        f"{rate:,.0f} trades/s · {status.trades:,} trades · {status.bars:,} bars · {status.behind:,} behind"
        f" ({status.lag_s} s){words}"
    )


def _figures(status: Status, rate: float) -> Table:
    table = Table.grid(padding=(0, 3))
    table.add_row(
        f"[bold]{rate:,.0f}[/] trades/s",
        f"[bold]{status.trades:,}[/] trades",
        f"[bold]{status.bars:,}[/] bars",
        f"lag [bold]{status.lag_s}[/] s ({status.behind:,} records)",
        f"signals [bold]{status.signals:,}[/]  alerts [bold]{status.alerts:,}[/]",
        f"late {status.late:,}  quarantined {status.quarantined:,}",
        f"disk {status.disk_used_bytes / 1e6:,.0f} MB, {status.disk_free_bytes / 1e9:,.0f} GB free",
    )
    return table


def _troubles(status: Status) -> Text:
    return Text("\n".join(status.troubles), style="yellow")


def _bars(status: Status) -> Table:
    table = Table(box=None, header_style="dim")
    for name, justify in (("symbol", "left"), ("minute (UTC)", "left"), ("close", "right"), ("volume", "right")):
        table.add_column(name, justify="left" if justify == "left" else "right")
    table.add_column("trades", justify="right")
    table.add_column("", justify="left")
    for bar in status.newest[:24]:
        kind = "simulated" if is_simulated(bar.source) else "recorded" if is_replayed(bar.source) else bar.source
        minute = f"{bar.start:%Y-%m-%d %H:%M}"
        cells = (bar.symbol, minute, price(bar.close), f"{bar.volume:.4f}", str(bar.trades), f"{bar.state} · {kind}")
        # As text: anybody may write a symbol such as "[/x]", which as markup ends the whole program.
        table.add_row(*map(Text, cells))
    return table
