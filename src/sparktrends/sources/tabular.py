"""Reads a table of text from CSV (gzip, zip and jar too) or Parquet, and judges its columns; says which row is bad."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl

from sparktrends.errors import BadFile, BadRecord, NotFound
from sparktrends.sources.decoding import number

# [0-9], for \d takes the digits of every script, which the stream refuses.
_PLAIN = r"^[0-9]{1,20}(\.[0-9]{1,18})?$"
ZERO = r"^[0.]*$"
"""A plain number that is 0."""
# Spreadsheets write +1.5, .5 and 5. too.
_ODD = re.compile(r"\+?(-?)([0-9]*)(?:\.([0-9]*))?([eE][+-]?[0-9]+)?")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?([eE]\+?[0-9]+)?")
_DAY = re.compile(r"(19|20)[0-9]{6}")
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}")
_ARCHIVE = (b"PK\x03\x04", b"PK\x05\x06")
# An archive that is encrypted, packed in a way that Python does not know, or damaged ends in any of these.
_UNPACKING = (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
_NO_TEXT = (pl.List, pl.Array, pl.Struct, pl.Duration, pl.Object)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 4_102_444_800_000_000  # the year 2100
# A number below the bound is in units of which this many make a microsecond's worth: seconds, ms, µs, else ns.
_UNITS = ((10**11, Decimal(10**6)), (10**14, Decimal(10**3)), (10**17, Decimal(1)), (10**30, Decimal("0.001")))
_LARGEST = 1e29


@dataclass(frozen=True, slots=True)
class Table:
    """All cells as text; ``names`` maps lower-case names to columns; ``content`` is what the file unpacked to, and
    ``textless`` says of columns that have no text (by lower-case name) what they hold."""

    path: Path
    frame: pl.DataFrame
    names: dict[str, str]
    content: bytes
    textless: Mapping[str, str] = field(default_factory=dict)

    @property
    def height(self) -> int:
        """How many rows."""
        return self.frame.height

    def column(self, wanted: Sequence[str]) -> pl.Series:
        """The first of ``wanted`` that is there, named as in the file; BadFile names what was found and wanted."""
        for name in wanted:
            if name in self.names:
                return self.frame[self.names[name]].str.strip_chars().alias(self.names[name].strip())
        found = ", ".join(self.frame.columns)[:300]
        hint = "trades need a time, price and size; bars a start, open, high, low, close and volume"
        raise BadFile(f"{self.path} has the columns {found}, but none named {' or '.join(wanted)}", hint=hint)

    def require_text(self, read: Iterable[str]) -> None:
        """Raise BadFile where a column that is to be ``read`` has no text: as if it were not there, rows of two symbols
        would become one series."""
        for name in read:
            if name in self.textless:
                raise BadFile(
                    f"{self.path}: the column {name} holds {self.textless[name]}, which is no text and no number",
                    hint="write it as text, or give it another name if it is not meant",
                )

    def line(self, index: int) -> int:
        """The line of the file, from 1, on which row ``index`` (from 0) begins; of Parquet the number of the row."""
        return index + 1 if _is_parquet(self.content) else _line(self.content, index + 1)

    def bad_row(self, index: int, what: str, value: object, hint: str = "") -> BadFile:
        """The error for row ``index`` (from 0): says the line of the file, and what stands there."""
        where = f"{self.path}, line {self.line(index)}"
        return BadFile(f"{where}: {what} is {value!r}; nothing was published", hint=hint)

    def decimals(self, wanted: Sequence[str], *, positive: bool) -> pl.Series:
        """A column of numbers as plain text with every digit kept; above 0 where ``positive``, else at least 0."""
        texts = self.column(wanted)
        fine = texts.str.contains(_PLAIN).fill_null(False)
        if positive:
            fine &= ~texts.str.contains(ZERO).fill_null(True)
        return self._mend(texts, fine, lambda text: _decimal(text, positive))

    def times(self, wanted: Sequence[str]) -> pl.Series:
        """A column of times as microseconds since 1970 UTC, between 1970 and 2100."""
        texts = self.column(wanted)
        numbers = texts.drop_nulls().head(1).to_list()
        # 20240102 is a day, as many exchanges write it; as seconds it would be one of August 1970.
        if not numbers or not _NUMBER.fullmatch(numbers[0]) or _DAY.fullmatch(numbers[0]):
            return self._parsed(texts, _iso)
        # The median: one wrong cell must not change the unit of all others.
        values = texts.cast(pl.Float64, strict=False).fill_nan(None).clip(0, _LARGEST)
        middle = Decimal(values.median() or 0)  # type: ignore[arg-type]
        factor = next(factor for bound, factor in _UNITS if middle < bound)
        return self._parsed(texts, lambda text: _moment(text, factor))

    def _parsed(self, texts: pl.Series, parse: Callable[[str], int]) -> pl.Series:
        values: list[int] = []
        for index, text in enumerate(texts):
            if text is None:
                raise self.bad_row(index, texts.name, text)
            try:
                value = parse(text)
            except (ValueError, ArithmeticError) as error:
                hint = "date and time must stand in one column" if _CLOCK.match(text) else ""
                raise self.bad_row(index, texts.name, text, hint) from error
            if not 0 <= value < _LATEST:
                raise self.bad_row(index, texts.name, text)
            values.append(value)
        return pl.Series(values, dtype=pl.Int64)

    def _mend(self, texts: pl.Series, fine: pl.Series, parse: Callable[[str], str]) -> pl.Series:
        # Nearly all rows are plain and are never touched in Python; the odd ones (exponents, signs) one by one.
        odd = (~fine).arg_true().to_list()
        mended = texts.to_list() if odd else []
        for index in odd:
            try:
                mended[index] = parse(mended[index])
            except (ValueError, TypeError) as error:
                raise self.bad_row(index, texts.name, mended[index]) from error
        return pl.Series(mended, dtype=pl.String) if odd else texts


def read_table(path: Path, member: str | None = None) -> Table:
    """The table in a file; ``member`` names the CSV inside a zip or jar. Raises NotFound and BadFile."""
    content = _content(path, member)
    parquet = _is_parquet(content)
    textless: Mapping[str, str] = {}
    try:
        if parquet:
            frame, textless = _as_text(pl.read_parquet(io.BytesIO(content)))
        else:
            frame = _read_csv(content)
    # A panic of Polars is no Exception; some damaged Parquet files end in one.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, UnicodeDecodeError) as error:
        where = "" if parquet else _ragged(content)
        raise BadFile(f"{path} cannot be read as a table{where}: {str(error).splitlines()[0]}") from error
    return Table(path, frame, {name.strip().lower(): name for name in frame.columns}, content, textless)


def _content(path: Path, member: str | None) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}") from error
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}") from error
    try:
        if content[:2] == b"\x1f\x8b":
            return gzip.decompress(content)
        if content[:4] in _ARCHIVE:
            return _member(path, content, member)
    except _UNPACKING as error:
        raise BadFile(f"{path} cannot be unpacked: {str(error) or 'it ends too early'}") from error
    return content


def _is_parquet(content: bytes) -> bool:
    # By contents: people rename files.
    return content[:4] == b"PAR1"


def _member(path: Path, content: bytes, member: str | None) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        tables = [name for name in archive.namelist() if name.endswith(member or ".csv")]
        if len(tables) != 1:
            raise BadFile(f"{path} holds {len(tables)} files that end in {member or '.csv'}, not one")
        return archive.read(tables[0])


def _read_csv(content: bytes) -> pl.DataFrame:
    text = io.BytesIO(content.rstrip(b"\r\n"))  # blank lines at the end are no rows
    # Without inference every cell stays the text it was: no digit is lost to a float.
    return pl.read_csv(text, infer_schema=False, separator=_separator(content), quote_char='"')


def _separator(content: bytes) -> str:
    # Spreadsheets write a byte order mark.
    header = content.split(b"\n", 1)[0].decode("utf-8-sig")
    return max(",;\t|", key=header.count)


def _as_text(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, str]]:
    """All columns as text; those that have none (trade files often have a list of conditions) by what they hold."""
    # Impala, Hive and old releases of Spark write texts as bytes.
    decoded = [_decoded(column) for column in frame if column.dtype == pl.Binary]
    frame = frame.with_columns(text for text in decoded if text is not None)
    without = {name: kind for name, kind in frame.schema.items() if isinstance(kind, (*_NO_TEXT, pl.Binary))}
    frame = frame.drop(without)
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    # A time without zone is UTC; one with a zone is turned into UTC before it is written out.
    moved = [pl.col(n).dt.convert_time_zone("UTC").dt.replace_time_zone(None) if _zone(frame, n) else n for n in times]
    frame = frame.with_columns(moved).with_columns(pl.col(n).dt.to_string("iso") for n in times)
    return frame.with_columns(pl.all().cast(pl.String)), {n.strip().lower(): str(kind) for n, kind in without.items()}


def _decoded(column: pl.Series) -> pl.Series | None:
    """A column of bytes as text; None when they are not UTF-8."""
    try:
        return column.cast(pl.String)
    except pl.exceptions.PolarsError:
        return None


def _zone(frame: pl.DataFrame, name: str) -> str | None:
    kind = frame.schema[name]
    return kind.time_zone if isinstance(kind, pl.Datetime) else None


def _line(content: bytes, record: int) -> int:
    """The line on which a record of a CSV begins (the header is record 0), as Polars parts them: blank lines before
    the header are none, and one within quotes goes on."""
    found, quotes = -1, 0
    for at, line in enumerate(io.BytesIO(content), 1):
        if quotes % 2 == 0 and (found >= 0 or line.removeprefix(codecs.BOM_UTF8) not in (b"\n", b"\r\n")):
            found += 1
            if found == record:
                return at
        quotes += line.count(b'"')
    return record + 1  # parted by Polars in some other way: near it, and no traceback


def _ragged(content: bytes) -> str:
    """Where the first line with more cells than the header is, as words."""
    try:
        rows = csv.reader(io.StringIO(content.decode("utf-8", "replace"), newline=""), delimiter=_separator(content))
        width = len(next(filter(None, rows), []))  # blank lines before the header are none
        odd = (f" (line {rows.line_num} has {len(row)} cells, not {width})" for row in rows if len(row) > width)
        return next(odd, "")
    except (csv.Error, UnicodeDecodeError):  # not of text at all: Polars has said so
        return ""


def _decimal(text: str, positive: bool) -> str:
    match = _ODD.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise ValueError(text)
    try:
        # What does not fit the stream would refuse record by record, and much later.
        value = number(f"{match[1]}{match[2] or '0'}.{match[3] or '0'}{match[4] or ''}", "bad_number")
    except BadRecord as error:
        raise ValueError(text) from error
    if value < 0 or (positive and value == 0):
        raise ValueError(text)
    return format(abs(value), "f")


def _moment(text: str, factor: Decimal) -> int:
    # Else Decimal would take 1_700_000_000.
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    value = Decimal(text) * factor
    # Before it is made an integer: 1e99999999 would be one of a hundred million digits.
    if value >= _LATEST:
        raise ValueError(text)
    return int(value)


def _iso(text: str) -> int:
    moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    span = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds
