"""Any CSV or Parquet file of trades or bars as a recording; every row is checked before the first one is yielded.

Columns (any order, upper or lower case; others are ignored):

=========  ==================================================  ===========================================
trades     ``ts`` | ``timestamp`` | ``time`` | ``datetime``    seconds, ms, µs or ns since 1970 UTC (told
trades     | ``ts_utc`` | ``date`` | ``start``                 by magnitude), or ISO 8601 (UTC when naive;
                                                               20240102 is a day)
trades     ``price``                                           decimal, up to 20 and 18 digits, all kept
trades     ``size``, else the only one of ``amount``,          decimal; 0 is a price update
trades     ``quantity``, ``volume`` and ``qty``
trades     ``symbol``, ``source``, ``id``                      optional; a repeated id (not an empty one) is dropped
bars       ``start`` or a time column as above                 the beginning of the bar
bars       ``open`` ``high`` ``low`` ``close``                 decimals
bars       ``volume``, else as the size of trades              decimal
bars       ``symbol``, ``source``, ``interval``                optional; the interval is else inferred
=========  ==================================================  ===========================================

gzip, and a CSV inside a zip or jar, are read as they are. The whole file is held in memory.

Trades are played as they stand there: one far behind another of its symbol came late. Where the times of a symbol never
rise, its newest trade stands first, and they are played from the last row to the first.
Bars are played by their ends, whatever their order in the file. After a stop those that end with the last one that was
published come again: of two bars for one key the later record counts, so nothing is counted twice.

Law 3: `received` of a trade is the running maximum of the recorded time, per symbol, so no symbol makes another late.
Every symbol has a heartbeat at each recorded minute; ``start`` when its first trade lies within a minute, because the
minute's first part was perhaps not recorded; none in holes of more than a day; and ``closed`` ones past the grace
after the end. Bars need no heartbeats: they are never late. The source becomes ``<name>~replay`` (law 9).
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import polars as pl

from sparktrends.errors import BadFile, BadRecord
from sparktrends.model import DAY, INTERVALS, MAX_NAME, MINUTE, Heartbeat, ProviderBar, Status, Trade, check_name
from sparktrends.sources.recording import Event, LastSeen, Series
from sparktrends.sources.tabular import ZERO, Table, read_table

GRACE = 15 * MINUTE
SUFFIX = "~replay"
DEMO_MEMBER = "bitstamp_trades_from_20131125_usd.csv"
"""The 100,000 Bitstamp trades inside the jar ``ta4j-examples``."""

_TIME = ("ts", "timestamp", "time", "datetime", "ts_utc", "date", "start")
_SIZE = ("size", "amount", "quantity", "volume", "qty")
_PRICES = ("open", "high", "low", "close")
_OPTIONAL = ("source", "symbol", "id", "interval")
_CHUNK = 50_000
# A file's id, then the number of the row; no more digits than a file has rows.
_ID = re.compile(r"[0-9a-f]{12}-[0-9]{1,10}")


class Replay:
    """The recording in ``path``. ``source`` and ``symbol`` stand in where the file has no such column.

    ``latest`` (µs UTC) is the last time that a row may have, if there is one; rows more than ``grace`` (µs) behind one
    before them are late, and bars that had not ended by ``latest`` are left out: ``remarks`` says so. Raises BadFile:
    not readable, columns missing, or the first bad row with its line number and value.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "mine.csv")
    ...     _ = path.write_text("time,price,size\\n1385337600,800.01,0.1\\n")
    ...     recording = Replay(path, symbol="BTC/USD")
    >>> [type(event).__name__ for event in recording.events({})][:3]
    ['Heartbeat', 'Trade', 'Heartbeat']
    >>> recording.series
    (('mine~replay', 'BTC/USD'),)
    """

    def __init__(
        self,
        path: Path,
        *,
        source: str | None = None,
        symbol: str | None = None,
        member: str | None = None,
        latest: int | None = None,
        grace: int = GRACE,
    ) -> None:
        table = read_table(path, member)
        table.require_text({*_OPTIONAL, *_TIME, *_SIZE, *_PRICES, "price"})
        self.path = path
        self.bars = all(name in table.names for name in _PRICES)
        names = _series(table, source or _stem(path), symbol or _stem(path).upper()[:MAX_NAME])
        if not table.height:
            raise BadFile(f"{path} holds no rows")
        self._grace, self._latest = grace, latest
        frame = _bars(table, names, latest) if self.bars else _trades(table, names, latest)
        self.file_id = _file_id(table, frame)
        frame, self.remarks = _ended(table, frame, latest) if self.bars else _timely(table, frame, grace)
        found = frame.unique(["source", "symbol"], maintain_order=True)
        self.series: tuple[Series, ...] = tuple(zip(found["source"].to_list(), found["symbol"].to_list(), strict=True))
        self.total: int | None = frame.height
        self.span = (int(frame["received"][0]), int(frame["received"][-1]))
        self._frame = frame

    def events(self, seen: Mapping[Series, LastSeen]) -> Iterator[Event]:
        """Everything after what was seen. Raises BadFile when the log's series came from another file."""
        if self.bars:
            return self._bar_events(seen)
        # Before the first event is asked for: another version of the file is refused at once.
        return self._trade_events(self._after(seen), {series: last.received for series, last in seen.items()})

    def owns(self, id_: str, price: str) -> bool:  # noqa: ARG002
        """Rows of any version of a file: what goes on in another one is refused. Bars have no ids."""
        return not self.bars and _ID.fullmatch(id_) is not None

    def left(self, seen: Mapping[Series, LastSeen]) -> int:
        """How many trades or bars come after what was seen. Raises BadFile as `events` does."""
        return self._after(seen).height

    def _after(self, seen: Mapping[Series, LastSeen]) -> pl.DataFrame:
        if self.bars:
            column, done = "received", {series: last.received for series, last in seen.items()}
        else:
            column, done = "row", {series: self._row(series, last) for series, last in seen.items() if last.id}
        keys = self._frame.select("source", "symbol").iter_rows()
        limits = pl.Series([done.get((source, symbol), -1) for source, symbol in keys], dtype=pl.Int64)
        return self._frame.filter(self._frame[column] > limits)

    def _row(self, series: Series, last: LastSeen) -> int:
        file_id, _, row = last.id.rpartition("-")
        if file_id != self.file_id:
            name = series[0].removesuffix(SUFFIX)
            # Row numbers of another version mean other trades: going on by them would mix two recordings.
            hint = "give this one another name with --source NAME=FILE, or use another --home"
            raise BadFile(f"{name} {series[1]} was replayed from another version of {self.path.name} before", hint=hint)
        return int(row)

    def _bar_events(self, seen: Mapping[Series, LastSeen]) -> Iterator[ProviderBar]:
        since = {series: last.received for series, last in seen.items()}
        for row in self._frame.iter_rows(named=True):
            # Bars of several intervals end together, and a stop may lie between them; told again they change nothing.
            if row["received"] >= since.get((row["source"], row["symbol"]), -1):
                yield _bar(row)

    def _trade_events(self, frame: pl.DataFrame, arrived: Mapping[Series, int]) -> Iterator[Event]:
        # Of the whole recording: one series may have stopped before a hole that lies behind another.
        holes = _holes(self._frame["received"])
        beats = _Beats({series: arrived[series] for series in self.series if series in arrived}, holes)
        prefix = f"{self.file_id}-"
        for chunk in frame.iter_slices(_CHUNK):
            for source, symbol, row, ts, received, price, size in chunk.iter_rows():
                # Two comparisons for each trade; the generator is entered once a minute.
                if received >= beats.due or (source, symbol) not in beats.started:
                    yield from beats.until(received, (source, symbol))
                yield Trade(source, symbol, ts, Decimal(price), Decimal(size), f"{prefix}{row}", received)
        yield from beats.ending(self.span[1], self._grace, self._latest)


class _Beats:
    """The heartbeats of a recording: which are due when a row of a series has been received.

    They are those of the whole recording, without the minutes of ``holes``; each series gets what comes after its own
    end in the log. So it has the same ones wherever a run stopped, and if others stopped elsewhere.
    """

    def __init__(self, arrived: Mapping[Series, int], holes: Sequence[tuple[int, int]]) -> None:
        self.started: dict[Series, int] = dict(arrived)
        self._holes = holes
        # The whole minute after the earliest end, so that no series misses one that another already has.
        self.due = min(map(_next_minute, arrived.values()), default=_NEVER)

    def until(self, received: int, series: Series) -> Iterator[Heartbeat]:
        if received >= self.due:
            yield from self._ok(received + 1)
            self.due = _next_minute(received)
        if series not in self.started:
            self.started[series] = received
            # Others may be far ahead: what was published of this one was lost with its partition.
            self.due = min(self.due, _next_minute(received))
            status = Status.START if received % MINUTE else Status.OK
            yield Heartbeat(*series, received, status, received)

    def ending(self, last: int, grace: int, latest: int | None) -> Iterator[Heartbeat]:
        end = _next_minute(last)
        yield from self._ok(end)
        # One past the grace (law 3), so that the last minutes are settled; `closed` ones make no rows.
        past = end + grace + MINUTE
        # Of a recording that ends now, the rest comes with a later run: what is in the future the stream refuses.
        for ts in range(end, min(past, past if latest is None else latest) + 1, MINUTE):
            yield from self._all(ts, Status.CLOSED)

    def _ok(self, before: int) -> Iterator[Heartbeat]:
        ts = self._out_of_hole(self.due)
        while ts < before:
            yield from self._all(ts, Status.OK)
            ts = self._out_of_hole(ts + MINUTE)

    def _out_of_hole(self, ts: int) -> int:
        """This minute, or if it lies in a hole, the one after it."""
        at = bisect_right(self._holes, (ts, _NEVER))
        return max(ts, self._holes[at - 1][1]) if at else ts

    def _all(self, ts: int, status: Status) -> Iterator[Heartbeat]:
        for (source, symbol), arrived in self.started.items():
            # Not before its first row: a heartbeat there would claim a minute that was not recorded.
            if ts > arrived:
                yield Heartbeat(source, symbol, ts, status, ts)


_NEVER = 2**63


def _next_minute(ts: int) -> int:
    return ts // MINUTE * MINUTE + MINUTE


def _holes(received: pl.Series) -> list[tuple[int, int]]:
    """Minutes [first, after) of more than a day in which nothing was received; ``received`` never falls.

    They are spans (decision 0004): heartbeats in them would make rows of them.
    """
    # The few wide steps first: whole columns of minutes would take the memory of a second recording.
    at = (received.diff() > DAY).arg_true()
    found = [
        (_next_minute(before), after // MINUTE * MINUTE)
        for before, after in zip(received.gather(at - 1), received.gather(at), strict=True)
    ]
    return [(first, after) for first, after in found if after - first > DAY]


def replayed(name: str) -> str:
    """The source name of a recording.

    >>> replayed("bitstamp"), replayed("sandbox~sim")
    ('bitstamp~replay', 'sandbox.sim~replay')
    """
    if name.endswith(SUFFIX):
        return name
    # One suffix only: what follows the first ~ says what a series is.
    return name.replace("~", ".")[: MAX_NAME - len(SUFFIX)] + SUFFIX


def _stem(path: Path) -> str:
    return re.sub(r"[^\w.-]+", "_", path.name.split(".")[0]) or "recording"


def _series(table: Table, source: str, symbol: str) -> pl.DataFrame:
    """Columns source and symbol; every distinct name is checked."""
    columns = {"source": source, "symbol": symbol}
    frame = pl.DataFrame(
        [
            (table.column([name]) if name in table.names else pl.Series([given] * table.height, dtype=pl.String))
            .fill_null("")
            .alias(name)
            for name, given in columns.items()
        ]
    )
    for name in columns:
        for value in frame[name].unique(maintain_order=True):
            try:
                check_name(value, name)
            except BadRecord as error:
                raise table.bad_row((frame[name] == value).arg_max() or 0, name, value) from error
    new: dict[str, str] = {}
    for name in frame["source"].unique(maintain_order=True):
        # What becomes one name would become one series of two sources' trades.
        if other := next((old for old, told in new.items() if told == replayed(name)), None):
            raise BadFile(f"{table.path}: the sources {other!r} and {name!r} would both be called {replayed(name)!r}")
        new[name] = replayed(name)
    return frame.with_columns(pl.col("source").replace(new))


def _trades(table: Table, series: pl.DataFrame, latest: int | None) -> pl.DataFrame:
    """source, symbol, row, ts, received, price, size, line: in the order of receipt."""
    times = table.times(_TIME)
    _refuse_later(table, _TIME, "in the future", times, latest)
    frame = series.with_columns(
        pl.int_range(1, pl.len() + 1, dtype=pl.UInt32).alias("row"),
        ts=times,
        # Filled in by `_in_order`; it stands here for the order of columns.
        received=pl.lit(0, pl.Int64),
        price=table.decimals(["price"], positive=True),
        size=_sizes(table, "size"),
    )
    if "id" in table.names:
        ids = frame.select("source", "symbol").with_columns(id=table.column(["id"]).fill_null(""))
        first = ids.select(pl.struct("source", "symbol", "id")).to_series().is_first_distinct()
        # Rows without an id are not repeats of each other.
        frame = frame.filter(first | (ids["id"] == ""))
    return _in_order(frame)


def _bars(table: Table, series: pl.DataFrame, latest: int | None) -> pl.DataFrame:
    """source, symbol, start, open to volume, interval, length, received: by their ends, the shorter interval first.

    Each bar was made once.
    """
    frame = series.with_columns(
        start=table.times(("start", *_TIME)),
        **{name: table.decimals([name], positive=True) for name in _PRICES},
        volume=_sizes(table, "volume"),
    )
    interval = table.column(["interval"]) if "interval" in table.names else pl.lit(_interval(table, frame))
    frame = frame.with_columns(interval=interval)
    # A word that is no interval of ours becomes 0 here, and `_bar` then names its line.
    length = pl.col("interval").replace_strict(dict(INTERVALS), default=0, return_dtype=pl.Int64)
    frame = frame.with_columns(length=length, received=pl.col("start") + length)
    _refuse_later(table, ("start", *_TIME), "in the future", frame["start"], latest)
    for index, row in enumerate(frame.iter_rows(named=True)):
        # As the stream judges it: what it would refuse is refused here, before anything is published.
        if row["start"] % MINUTE:
            texts = table.column(("start", *_TIME))
            raise table.bad_row(index, f"{texts.name} (not that of a minute)", texts[index])
        try:
            _bar(row)
        except BadRecord as error:
            values = ", ".join(f"{name} {row[name]}" for name in (*_PRICES, "volume", "interval"))
            raise table.bad_row(index, error.reason, values) from error
    # In whatever order they were written down: a bar is received when it ends. Of two for one key the last line counts.
    return frame.sort("received", "length", maintain_order=True)


def _sizes(table: Table, proper: str) -> pl.Series:
    """The column of what was traded, by its ``proper`` name, else the only one that may mean it; BadFile for several:
    beside a quantity many exports tell its worth in money."""
    if proper in table.names:
        return table.decimals([proper], positive=False)
    there = [name for name in _SIZE if name in table.names]
    if len(there) > 1:
        hint = f"call the one that counts units `{proper}`"
        raise BadFile(f"{table.path} has the columns {' and '.join(there)}: only one can be the {proper}", hint=hint)
    return table.decimals(_SIZE, positive=False)


def _refuse_later(table: Table, column: Sequence[str], what: str, times: pl.Series, latest: int | None) -> None:
    """Raise BadFile for the first row later than ``latest``: the stream would refuse it, and after it everything."""
    if latest is not None and (later := times > latest).any():
        index, texts = later.arg_max() or 0, table.column(column)
        raise table.bad_row(index, f"{texts.name} ({what})", texts[index])


def _in_order(frame: pl.DataFrame) -> pl.DataFrame:
    series, row = ["source", "symbol"], pl.col("row")
    step = pl.col("ts").diff()
    # Exports often begin with the newest trade, within a second too. What rises somewhere was not written backwards.
    turned = ((step.max() <= 0) & (step.min() < 0)).fill_null(False).over(series)
    number = pl.when(turned).then(row.reverse().over(series)).otherwise(row)
    frame = frame.with_columns(line=row, row=number).sort("row")
    # A stable sort keeps the rows of one symbol as they are: their running maximum never falls.
    return frame.with_columns(received=pl.col("ts").cum_max().over(series)).sort("received", maintain_order=True)


def _file_id(table: Table, frame: pl.DataFrame) -> str:
    """Of the contents, not the file: the same table packed another way goes on where it stopped."""
    found = hashlib.sha256(table.content)
    # Rows that were turned round have other numbers than an earlier release gave them.
    if "line" in frame.columns and (frame["line"] != frame["row"]).any():
        found.update(b"newest first")
    return found.hexdigest()[:12]


def _ended(table: Table, frame: pl.DataFrame, latest: int | None) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The bars that have ended, and a sentence on the others: exports often close with the day that is not over."""
    if latest is None or (forming := (frame["received"] > latest).sum()) == 0:
        return frame, ()
    if forming == frame.height:
        raise BadFile(f"no bar of {table.path} has ended yet")
    words = f"{table.path}: {forming:,} of {frame.height:,} bars have not ended and are left out"
    return frame.filter(pl.col("received") <= latest), (words,)


def _timely(table: Table, frame: pl.DataFrame, grace: int) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The trades, and a sentence on those that no bar will hold, if there are any."""
    late = frame.filter((pl.col("received") - pl.col("ts") > grace) & ~pl.col("size").str.contains(ZERO))
    frame = frame.drop("line")
    if late.is_empty():
        return frame, ()
    line = table.line(int(late["line"].min()) - 1)  # type: ignore[arg-type]
    behind = f"more than {grace / MINUTE:g} minutes behind a row before them"
    return frame, (
        f"{table.path}: {late.height:,} of {frame.height:,} rows stand {behind}, the first in line {line:,}: "
        "they are late and in no bar; sort the file by time if that is not how they came in",
    )


def _interval(table: Table, frame: pl.DataFrame) -> str:
    """The shortest distance between two bars of a symbol, if it is one of ours."""
    steps = frame.select(pl.col("start").sort().diff().over("source", "symbol")).to_series().drop_nulls()
    shortest = steps.filter(steps > 0).min()
    for name, length in INTERVALS.items():
        if shortest == length:
            return name
    allowed = ", ".join(INTERVALS)
    raise BadFile(f"{table.path}: the distance of its bars is none of {allowed}", hint="add a column `interval`")


def _bar(row: Mapping[str, str]) -> ProviderBar:
    opened, high, low, close, volume = (Decimal(row[name]) for name in (*_PRICES, "volume"))
    start, received = int(row["start"]), int(row["received"])
    names = (row["source"], row["symbol"], row["interval"])
    return ProviderBar(*names, start, opened, high, low, close, volume, received=received)
