"""CSV that no spreadsheet runs, JSON that every reader takes."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.serve.api.render import as_csv, page_text, row_texts

AT = datetime(2024, 5, 1, tzinfo=UTC)


@given(st.sampled_from("=+-@\t\r\n"), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_no_text_begins_like_a_formula(first: str, rest: str) -> None:
    (_, (cell,)) = csv.reader(io.StringIO(as_csv([{"a": first + rest + "x"}], ["a"]).decode(), newline=""))
    assert cell == "'" + (first + rest + "x").replace("\x00", "")


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("-0.5", "-0.5"),
        (-3, "-3"),
        ("-5 apples", "'-5 apples"),
        (None, ""),
        (AT, "2024-05-01T00:00:00Z"),
        (True, "True"),
        ([], "[]"),
        (["AAPL", "O'X"], '"[""AAPL"",""O\'X""]"'),
    ],
)
def test_values_stay_what_they_are(value: object, cell: str) -> None:
    assert as_csv([{"a": value, "b": "x"}], ["a", "b"]).decode() == f"a,b\r\n{cell},x\r\n"


def test_json_has_times_in_utc_and_numbers_that_are_numbers() -> None:
    rows = [{"at": AT, "x": float("nan"), "d": '{"a": [1]}'}]
    body = page_text(row_texts(rows, {"d": "jsonb"}, ["at", "x", "d"]), "abc")
    row = {"at": "2024-05-01T00:00:00Z", "x": None, "d": {"a": [1]}}
    assert json.loads(body) == {"data": [row], "next": "abc"}
