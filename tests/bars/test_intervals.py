from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sparktrends.bars.intervals import end_of, merge_spans, minute_of
from sparktrends.model import MINUTE

spans = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 10)).map(lambda s: (s[0], s[0] + s[1])), max_size=8)


@given(st.integers(0, 2**60))
def test_every_moment_lies_in_its_minute(ts):
    start = minute_of(ts)
    assert start <= ts < end_of(start)
    assert start % MINUTE == 0


@given(spans, spans)
def test_merged_spans_cover_the_same_and_never_touch(a, b):
    merged = merge_spans(tuple(a), tuple(b))
    assert {x for first, last in merged for x in range(first, last)} == {x for f, to in a + b for x in range(f, to)}
    assert all(one[1] < two[0] for one, two in pairwise(merged))
