"""The Python client: pages as one frame, the stream as an iterator that comes back by itself.

>>> from sparktrends import Client
>>> Client("http://127.0.0.1:8000")
Client('http://127.0.0.1:8000')
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, cast

import httpx
import orjson

from sparktrends.errors import AccessDenied, BadSetting, NotFound, RateLimited, SparkTrendsError, Unavailable

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Frame = Literal["polars", "pandas"]
When = datetime | date | str
_PAGE = 1000
_KINDS = {
    "exact": "open high low close volume turnover vwap last_close price step share shares market_cap",
    "time": "start updated_at detected_at retracted_at created_at resolved_at acknowledged_at first_sent_at clock_at "
    "first_minute last_minute last_start last_price_at published_at opens closes",
    "day": "day",
    "json": "detail values extra reasons faulty evidence",
    "text": "source symbol interval state reason origin adjustment last_state id kind name direction severity rule "
    "title status ended inhibited_by silent correlation label acknowledged_by deliveries headline summary url "
    "publisher model provider_label tag against exchange currency sector industry country",
    "texts": "channels signals inhibits symbols topics changes",
    "count": "trades revision minutes headlines rank",
    "truth": "simulated replayed warm final point_of_control in_value_area exchange_closed",
}
KIND: Mapping[str, str] = {name: kind for kind, names in _KINDS.items() for name in names.split()}
"""What each column of a listing is; those that are not named are numbers."""
# Three heartbeats of the server: who says nothing for so long is gone.
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Event:
    """What a commit changed: ``kind`` is ``bars``, ``signals``, ``reset`` or ``slow``; ``rows`` as the API names them.

    ``id`` is where the stream stands: give it to `Client.stream` to go on behind this event.
    """

    id: str
    kind: str
    rows: list[dict[str, Any]]
    data: dict[str, Any] = field(repr=False)


class Client:
    """Asks one API. Raises Unavailable, RateLimited, AccessDenied, NotFound and BadSetting with the API's own words.

    ``frame`` is what listings come as, ``polars`` or ``pandas``. Prices and sums are floats; ``exact=True`` leaves
    them as the text of exact decimals. Times are UTC, days are dates; what explains a row (``detail``, ``values``,
    ``reasons`` …) is JSON text. A column has the same type whatever is in it.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", key: str = "", *, frame: Frame = "polars", exact: bool = False
    ) -> None:
        self._url = url.rstrip("/")
        self._frame = frame
        self._exact = exact
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=f"{self._url}/api/v1", headers=headers, timeout=15.0)

    def __repr__(self) -> str:
        return f"Client({self._url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def symbols(self) -> Any:
        """Every series with its newest price."""
        return self.rows("symbols", limit=None)

    def bars(self, symbol: str | Sequence[str], interval: str = "1m", *, limit: int | None = 500, **choice: Any) -> Any:
        """The newest ``limit`` bars of a symbol or of some (None: all), in the order of time.

        ``choice``: ``start`` and ``end`` (half-open), ``source``, ``metrics`` (columns to put beside raw bars),
        ``fields``, ``adjustment``.
        """
        return self.rows("bars", symbol=symbol, interval=interval, limit=limit, **choice)

    def metrics(
        self, symbol: str | Sequence[str], interval: str = "1m", *, limit: int | None = 500, **choice: Any
    ) -> Any:
        """The indicators of the newest bars, in the order of time; takes what `bars` takes."""
        return self.rows("metrics", symbol=symbol, interval=interval, limit=limit, **choice)

    def signals(self, *, limit: int | None = 500, **choice: Any) -> Any:
        """The newest signals, in the order of time; ``choice``: symbol, source, kind, name, severity, start, end."""
        return self.rows("signals", limit=limit, **choice)

    def alerts(self, *, limit: int | None = 500, **choice: Any) -> Any:
        """The newest alerts, in the order of time; ``choice``: symbol, rule, severity, status, start, end."""
        return self.rows("alerts", limit=limit, **choice)

    def rows(self, path: str, *, limit: int | None = 500, **choice: Any) -> Any:
        """Any listing of the API as one frame: cursors are followed until ``limit`` rows (None: all) are there."""
        found: list[dict[str, Any]] = []
        parameters = _parameters(choice)
        while True:
            wanted = _PAGE if limit is None else min(_PAGE, limit - len(found))
            page = self._get(path, {**parameters, "limit": str(wanted)})
            found += page["data"]
            if page["next"] is None or (limit is not None and len(found) >= limit):
                break
            parameters["cursor"] = page["next"]
        # Pages come newest first, so that a limit takes the newest; charts and frames want the order of time.
        if path != "symbols" and parameters.get("order", "desc") == "desc":
            found.reverse()
        return self._framed(found)

    def stream(
        self,
        symbol: str | Sequence[str] | None = None,
        *,
        source: str | Sequence[str] | None = None,
        kind: str | Sequence[str] | None = None,
        last_id: str = "",
        reconnect: bool = True,
    ) -> Iterator[Event]:
        """Every change from now on (or behind ``last_id``), without an end.

        After a break it goes on behind the last event: nothing is left out or told twice. With ``reconnect=False``
        it raises Unavailable instead, also when the server ended the stream in due form.
        """
        chosen = _parameters({"symbol": symbol, "source": source, "kind": kind})
        reader = _Reader(last_id)
        wait = 0.25
        while True:
            broken: Exception = Unavailable("the server ended it")
            try:
                for event in self._follow(chosen, reader):
                    wait = 0.25
                    yield event
            except (httpx.TransportError, Unavailable, RateLimited) as error:
                broken = error
            if not reconnect:
                raise Unavailable(f"the stream of {self._url} broke: {broken}") from broken
            time.sleep(wait)
            wait = min(wait * 2, 10.0)

    def _follow(self, chosen: dict[str, str], reader: _Reader) -> Iterator[Event]:
        headers = {"Last-Event-ID": reader.last_id} if reader.last_id else {}
        patience = httpx.Timeout(15.0, read=_PATIENCE_S)
        with self._http.stream("GET", "stream", params=chosen, headers=headers, timeout=patience) as answer:
            # Before `_check`: an answer that streams has no content to read words from.
            if answer.is_error:
                answer.read()
            _check(answer)
            reader.begin()
            for line in answer.iter_lines():
                event = reader.feed(line)
                if event is not None:
                    yield event

    def _get(self, path: str, parameters: dict[str, str]) -> dict[str, Any]:
        try:
            answer = self._http.get(path, params=parameters)
        except httpx.TransportError as error:
            raise Unavailable(f"{self._url} does not answer: {error}", hint="is the API running?") from error
        _check(answer)
        return cast(dict[str, Any], orjson.loads(answer.content))

    def _framed(self, rows: list[dict[str, Any]]) -> pl.DataFrame | pd.DataFrame:
        import polars as pl

        for row in rows:
            for name in (name for name in row if KIND.get(name) == "json"):
                # As text: each signal explains itself by other numbers, and one struct of all would be mostly holes.
                row[name] = None if row[name] is None else orjson.dumps(row[name]).decode()
        frame = pl.DataFrame(rows, infer_schema_length=None)
        # A column that is null in every row has no type of its own.
        sent: dict[str, Any] = {"count": pl.Int64, "truth": pl.Boolean, "texts": pl.List(pl.String)}
        sent |= dict.fromkeys(("exact", "time", "day", "json", "text"), pl.String)
        empty = [name for name, kind in frame.schema.items() if kind in (pl.Null, pl.List(pl.Null))]
        frame = frame.with_columns(pl.col(name).cast(sent.get(KIND.get(name, ""), pl.Float64)) for name in empty)
        of = {kind: [name for name in frame.columns if KIND.get(name) == kind] for kind in ("time", "day", "exact")}
        casts = [pl.col(name).str.to_datetime(time_zone="UTC") for name in of["time"]]
        casts += [pl.col(name).str.to_date() for name in of["day"]]
        casts += [] if self._exact else [pl.col(name).cast(pl.Float64) for name in of["exact"]]
        frame = frame.with_columns(casts)
        return frame.to_pandas() if self._frame == "pandas" else frame


class _Reader:
    """Lines of an event stream as events; remembers the last id through every break."""

    def __init__(self, last_id: str) -> None:
        self.last_id = last_id
        self.begin()

    def begin(self) -> None:
        """A new connection: what was half told is told again."""
        self._kind, self._data, self._id = "", "", ""

    def feed(self, line: str) -> Event | None:
        """The event that this line ends, if it ends one."""
        if line:
            name, _, value = line.partition(": ")
            if name == "event":
                self._kind = value
            elif name == "data":
                self._data = value
            elif name == "id":
                self._id = value
            return None
        kind, data = self._kind, self._data
        # Also for an event without data: a heartbeat's id moves on past what was not chosen.
        self.last_id = self._id or self.last_id
        self.begin()
        if not data:
            return None
        document = orjson.loads(data)
        return Event(self.last_id, kind, document.get(kind, []), document)


def _parameters(choice: dict[str, Any]) -> dict[str, str]:
    names = {"start": "from", "end": "to"}
    given = {names.get(name, name): value for name, value in choice.items() if value is not None}
    return {name: _text(value) for name, value in given.items()}


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        # Guessing a zone would shift the answer by hours, and nobody would see it.
        if value.tzinfo is None:
            raise BadSetting(f"{value} has no time zone", hint="give it one, such as datetime.UTC")
        return value.isoformat()
    if isinstance(value, date | str):
        return str(value)
    return ",".join(map(str, value)) if isinstance(value, Sequence) else str(value)


def _check(answer: httpx.Response) -> None:
    """Raise what an answer that is no success means."""
    if answer.is_success:
        return
    try:
        words = str(orjson.loads(answer.content)["detail"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        words = answer.reason_phrase
    raise _error(answer.status_code, words, answer.headers.get("Retry-After", ""))


def _error(status: int, words: str, retry: str) -> SparkTrendsError:
    delay = float(retry) if retry.isdigit() else None
    if status == 429:
        return RateLimited(words, delay=delay)
    if status >= 500:
        return Unavailable(words, delay=delay)
    kinds: dict[int, type[SparkTrendsError]] = {401: AccessDenied, 403: AccessDenied, 404: NotFound}
    return kinds.get(status, BadSetting)(words)
