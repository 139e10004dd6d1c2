"""Tables of text: every digit kept, every bad row named."""

from __future__ import annotations

import gzip
import io
import tempfile
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.bars import Limits, judge
from sparktrends.bus.codec import encode_trade
from sparktrends.errors import BadFile, NotFound
from sparktrends.model import Coordinates, Quarantined, Trade
from sparktrends.sources.tabular import Table, read_table


def table(**columns: list[str]) -> Table:
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    return Table(Path("t.csv"), frame, {name: name for name in columns}, b"header\n" + b"row\n" * frame.height)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "0",
            "1.50",
            "007",
            "0.000000000000000001",
            "99999999999999999999",
            "+1.5",
            "1e-7",
            ".5",
            "5.",
            "-0",
            "0e-99",
        ),
        *("1.5000000000000000000000", "12345678901234567890.123456789012345678", "1E+19", "100e-20"),
    ],
)
def test_digits_stay_as_they_are(text: str) -> None:
    assert Decimal(table(size=["1", text]).decimals(["size"], positive=False)[1]) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    [
        *("-1", "", "x", "1,5", "NaN", "inf", "1e20", "1e-19", "0.0000000000000000001", "1 000", None, ".", "e5"),
        *("1_000", "１２", "٣", "+-1", "--1", "1e99999999", "100000000000000000000", "1e-99999999"),
        # More digits than Python's decimal context has: rounded, they look as if they fitted.
        *(
            "1234567890.1234567890123456789",
            "99999999999999999999.9999999999999999999",
            "0.12345678901234567890123456789",
        ),
    ],
)
def test_a_bad_number_is_named_with_its_line(text: str | None) -> None:
    with pytest.raises(BadFile, match=r"line 4: size is"):
        table(size=["1", "2", text]).decimals(["size"], positive=False)  # type: ignore[list-item]


@pytest.mark.parametrize("text", ["0", "0.00", "0e3"])
def test_a_price_of_zero_is_bad(text: str) -> None:
    with pytest.raises(BadFile, match="line 2: price"):
        table(price=[text]).decimals(["price"], positive=True)


def digits(least: int, most: int) -> st.SearchStrategy[str]:
    return st.integers(least, most).flatmap(lambda many: st.text("0123456789", min_size=many, max_size=many))


_NUMBERS = st.one_of(
    # About where the limits lie: a number of more than 28 digits is rounded by Python's decimal context.
    st.tuples(digits(10, 21), st.just("."), digits(17, 20)).map("".join),
    st.tuples(digits(0, 25), st.just("."), digits(0, 25), st.sampled_from(["e-9", "E5", "e+19"])).map("".join),
    st.text("0123456789.eE+-_ １٣,", max_size=20),
    st.decimals(allow_nan=False).map(str),
)


@given(_NUMBERS, st.booleans())
def test_what_a_file_may_hold_the_judge_accepts_with_every_digit(text: str, positive: bool) -> None:
    try:
        (found,) = table(price=[text]).decimals(["price"], positive=positive)
    except BadFile:
        return
    assert Decimal(found) == Decimal(text)
    price, size = (Decimal(found), Decimal(1)) if positive else (Decimal(1), Decimal(found))
    value = encode_trade(Trade("x~replay", "A", 5, price, size, received=5))
    assert not isinstance(judge(value, Coordinates("raw.trades", 0, 0, 5), Limits()), Quarantined)


@pytest.mark.parametrize(
    "text",
    [
        "1385337600",
        "1385337600.0",
        "1385337600000",
        "1385337600000000",
        "1385337600000000000",
        "2013-11-25T00:00:00Z",
        "2013-11-25 00:00:00",
        "2013-11-25",
        "2013-11-25T01:00:00+01:00",
        "2013-11-25 00:00:00 UTC",
        "20131125",
        "1.3853376e+18",
    ],
)
def test_times_of_any_kind(text: str) -> None:
    assert table(ts=[text]).times(["ts"]).to_list() == [1385337600000000]


@given(st.integers(1_000_000_000_000_000, 4_000_000_000_000_000))
def test_a_fraction_of_a_second_is_exact(micros: int) -> None:
    text = f"{micros // 10**6}.{micros % 10**6:06d}"
    assert table(ts=[text]).times(["ts"]).to_list() == [micros]


@given(st.datetimes(datetime(1970, 1, 2), datetime(2099, 12, 30)))
def test_iso_times_are_exact(moment: datetime) -> None:
    expected = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // (
        datetime(1970, 1, 1, 0, 0, 0, 1) - datetime(1970, 1, 1)
    )
    assert table(ts=[moment.isoformat()]).times(["ts"]).to_list() == [expected]


@pytest.mark.parametrize(
    "bad",
    [None, "", "soon", "99999999999999", "-5", "nan", "1e400", "1e99999999", "1_385_337_600", "１３８５３３７６００"],
)
@pytest.mark.parametrize(
    "good", [["1385337600", "1385337601"], ["2024-01-02T00:00:00Z", "2024-01-02T00:00:01Z"]], ids=["number", "ISO"]
)
def test_one_bad_time_among_good_ones(bad: str | None, good: list[str]) -> None:
    with pytest.raises(BadFile, match="line 3: ts is"):
        table(ts=[good[0], bad, good[1]]).times(["ts"])  # type: ignore[list-item]


def test_a_column_of_no_times_at_all() -> None:
    with pytest.raises(BadFile, match="line 2: ts is None"):
        table(ts=[None, None]).times(["ts"])  # type: ignore[list-item]


@pytest.mark.parametrize("bad", ["1e400", "1e30", "nan"])
def test_a_column_of_impossible_times(bad: str) -> None:
    with pytest.raises(BadFile, match=r"line [23]: ts is"):
        table(ts=["1e400" if bad == "1e400" else "5", bad, bad]).times(["ts"])


def test_a_missing_column_names_what_is_there_and_what_is_wanted() -> None:
    with pytest.raises(BadFile, match="has the columns ts, cost, but none named price"):
        table(ts=[], cost=[]).column(["price"])


@pytest.mark.parametrize("pack", ["plain", "gzip", "zip", "semicolon", "bom", "crlf", "blank"])
def test_however_it_is_packed(tmp_path: Path, pack: str) -> None:
    text = b"ts,price\n1,2.50\n"
    path = tmp_path / "x.bin"
    packed = {
        "plain": text,
        "gzip": gzip.compress(text),
        "semicolon": text.replace(b",", b";"),
        "bom": b"\xef\xbb\xbf" + text,
        "crlf": text.replace(b"\n", b"\r\n"),
        "blank": text + b"\n\r\n",
    }
    if pack == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("folder/x.csv", text)
            archive.writestr("readme.txt", "hello")
    else:
        path.write_bytes(packed[pack])
    found = read_table(path)
    assert [found.column([n]).to_list() for n in ("ts", "price")] == [["1"], ["2.50"]]


def test_parquet_keeps_decimals_and_times(tmp_path: Path) -> None:
    moment = datetime(2013, 11, 25, 0, 0, 0, 5)
    frame = pl.DataFrame({"TS": [moment], "Price": [Decimal("800.010")]})
    frame.with_columns(zoned=pl.col("TS").dt.replace_time_zone("Europe/Prague")).write_parquet(tmp_path / "x.parquet")
    found = read_table(tmp_path / "x.parquet")
    assert found.times(["ts"]).to_list() == [1385337600000005]
    assert found.times(["zoned"]).to_list() == [1385337600000005 - 3_600_000_000]
    assert found.decimals(["price"], positive=True).to_list() == ["800.010"]


def test_columns_without_a_text_are_left_out(tmp_path: Path) -> None:
    more = {"conditions": [["@", "T"]], "raw": [b"\xff"], "took": [timedelta(1)], "who": [{"id": 1}]}
    pl.DataFrame({"price": [1.5], **more}).write_parquet(tmp_path / "x.parquet")
    found = read_table(tmp_path / "x.parquet")
    assert found.column(["price"]).to_list() == ["1.5"]


def test_a_cell_is_counted_with_the_separator_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a;b\n1,5;2\n1;2;3\n")
    with pytest.raises(BadFile, match="line 3 has 3 cells, not 2"):
        read_table(path)


def test_a_parquet_file_with_any_wrong_byte_is_read_or_is_a_bad_file(tmp_path: Path) -> None:
    path, chance = tmp_path / "x.parquet", Random(1)
    pl.DataFrame({"price": [1.5, 2.5], "size": [1, 2]}).write_parquet(path)
    good, refused = path.read_bytes(), 0
    for _ in range(300):
        spoiled = bytearray(good)
        for _ in range(3):
            spoiled[chance.randrange(4, len(good))] = chance.randrange(256)
        path.write_bytes(spoiled)
        try:
            read_table(path)
        except BadFile:
            refused += 1
    assert refused > 200


def test_a_line_with_too_many_cells_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(BadFile, match="line 3 has 3 cells, not 2"):
        read_table(path)


def zipped(
    kind: int = zipfile.ZIP_STORED, *, flags: int = 0, method: int | None = None, spoiled: slice = slice(0)
) -> bytes:
    """An archive of one table, whose two headers are then given these flags and this method; some bytes are 255."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", kind) as archive:
        archive.writestr("a.csv", "ts,price\n" + "1,2.50\n" * 50)
    content = bytearray(packed.getvalue())
    for header in (4, content.index(b"PK\x01\x02") + 6):
        content[header + 2] |= flags
        content[header + 4] = content[header + 4] if method is None else method
    content[spoiled] = b"\xff" * len(content[spoiled])
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        *(
            gzip.compress(b"a,b\n" * 99, mtime=0)[:-9],
            b"\x1f\x8bjunk",
            b"PK\x03\x04junk",
            b"PAR1junk",
            b"",
            b"\xff\xfe\x00",
        ),
        zipped(flags=1),  # encrypted
        zipped(method=9),  # Deflate64, as Windows packs what is large
        zipped(zipfile.ZIP_LZMA, spoiled=slice(50, 60)),
        zipped(flags=1, method=99),
        b"PK\x05\x06" + b"\0" * 18,  # an archive of nothing
    ],
)
def test_a_damaged_file_is_a_bad_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=str(path)):
        read_table(path)


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_with_any_wrong_byte_is_read_or_is_a_bad_file(tmp_path: Path, kind: int) -> None:
    path, chance, good, refused = tmp_path / "x.zip", Random(1), zipped(kind), 0
    for _ in range(500):
        spoiled = bytearray(good)
        for _ in range(3):
            spoiled[chance.randrange(4, len(good))] = chance.randrange(256)
        path.write_bytes(spoiled)
        try:
            read_table(path)
        except BadFile:
            refused += 1
    assert refused > 200


def test_a_table_whose_first_column_is_called_as_an_archive_begins(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("PK,price\n1,2.50\n")
    assert read_table(path).column(["pk"]).to_list() == ["1"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'ts,size,note\n1,1,"two\nlines"\n2,xx,z\n', 4),
        (b'ts,size,note\n1,1,"two\r\n\r\nlines, ""quoted"""\r\n2,xx,"a\nb"\r\n', 5),
        (b'ts,size,"no\nte"\n1,xx,z\n', 3),
        (b"\n\r\n\nts,size\n1,1\n2,xx\n", 6),
        (b"\xef\xbb\xbf\nts,size\n1,xx\n", 3),
        (b"ts,size\n1,1\n\n2,xx\n", 3),  # a blank line among the rows is one without a size
    ],
)
def test_the_line_is_that_of_the_file(tmp_path: Path, content: bytes, line: int) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=f"x.csv, line {line}: size is"):
        read_table(path).decimals(["size"], positive=False)


_CELLS = st.text('ab,;"\n\r ', max_size=6)


@given(st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=8), st.integers(0, 3))
def test_every_row_has_the_line_on_which_it_was_written(rows: list[tuple[str, str]], blank: int) -> None:
    text, lines = "\n" * blank + "a,b\n", []
    for row in rows:
        lines.append(text.count("\n") + 1)
        text += ",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.csv")
        path.write_bytes(text.encode())
        found = read_table(path)
    assert [found.line(index) for index in range(found.height)] == lines


def test_a_row_of_parquet_is_told_by_its_number(tmp_path: Path) -> None:
    pl.DataFrame({"size": ["1", "xx"]}).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(BadFile, match="line 2: size is 'xx'"):
        read_table(tmp_path / "x.parquet").decimals(["size"], positive=False)


def test_a_bad_cell_is_told_by_the_name_of_its_column(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("Date , Amount\nsoon,xx\n")
    found = read_table(path)
    with pytest.raises(BadFile, match="line 2: Amount is 'xx'; nothing"):
        found.decimals(["size", "amount"], positive=False)
    with pytest.raises(BadFile, match=r"line 2: Date is 'soon'; nothing was published$"):
        found.times(["ts", "date"])


@pytest.mark.parametrize("clock", ["09:30:00", "9:30", "09:30:00.123"])
def test_a_time_without_its_date_is_told_so(clock: str) -> None:
    with pytest.raises(BadFile, match=rf"line 2: time is '{clock}'; .*: date and time must stand in one column"):
        table(date=["2024-01-02"], time=[clock]).times(["time", "date"])


def test_a_line_of_too_many_cells_is_named_wherever_the_header_stands(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("\n\na,b\n1\n1,2,3\n")
    with pytest.raises(BadFile, match="line 5 has 3 cells, not 2"):
        read_table(path)


def test_an_archive_must_hold_one_table(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.jar", "w") as archive:
        archive.writestr("a.csv", "x\n")
        archive.writestr("b.csv", "y\n")
    with pytest.raises(BadFile, match="holds 2 files"):
        read_table(tmp_path / "x.jar")
    assert read_table(tmp_path / "x.jar", "b.csv").frame.columns == ["y"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file"):
        read_table(tmp_path / "nowhere.csv")


def test_a_folder_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cannot be read"):
        read_table(tmp_path)
