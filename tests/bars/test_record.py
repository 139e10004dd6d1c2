from __future__ import annotations

import time

import pytest

from sparktrends.bars.record import MAX_BYTES, MAX_DEPTH, read_object
from sparktrends.errors import BadRecord


def reason(value: bytes | None) -> str:
    with pytest.raises(BadRecord) as caught:
        read_object(value)
    return caught.value.reason


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (None, "empty"), (b"", "empty"), (b" " * (MAX_BYTES + 1), "too_large"), (b'{"a":"\xff"}', "not_utf8"),
        ('{"a":1}'.encode("utf-16"), "not_utf8"), (b"\xed\xa0\x80", "not_utf8"), (b"\xef\xbb\xbf{}", "not_json"),
        (b'{"a":NaN}', "not_json"), (b'{"a":-Infinity}', "not_json"), (b"{} {}", "not_json"), (b'{"a":1', "not_json"),
        (b"{'a':1}", "not_json"), (b'{"a":1,}', "not_json"), (b'{"a":01}', "not_json"), (b'{"a":"\n"}', "not_json"),
        (b"[]", "not_object"), (b"null", "not_object"), (b"7", "not_object"), (b'"x"', "not_object"),
    ],
)  # fmt: skip
def test_what_is_no_record_says_why(value, word):
    assert reason(value) == word


def test_of_a_doubled_name_the_last_counts():
    assert read_object(b'{"a":1,"a":"2"}') == {"a": "2"}


@pytest.mark.parametrize("extra", [0, 1])
def test_depth_is_bounded_exactly(extra):
    inner = MAX_DEPTH - 1 + extra
    value = b'{"a":' + b"[" * inner + b"]" * inner + b"}"
    assert reason(value) == "too_deep" if extra else read_object(value)


def test_brackets_in_strings_and_side_by_side_are_not_deep():
    assert read_object(b'{"a":"' + b'[{\\"' * 500 + b'","b":[' + b"[]," * 500 + b"0]}")


@pytest.mark.parametrize("piece", [b'"\\"', b'\\"', b"[", b'{"a":', b'"', b"[]", b'["'])
def test_as_much_of_anything_as_is_read_is_judged_at_once(piece):
    value = piece * (MAX_BYTES // len(piece))
    begin = time.process_time()
    reason(value)
    assert time.process_time() - begin < 2.0
