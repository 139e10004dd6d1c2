"""Agreement with labels, figured by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparktrends.errors import BadFile
from sparktrends.sentiment.measure import agreement, read_labelled


def test_accuracy_and_f1_by_hand() -> None:
    found = agreement(["positive", "positive", "negative", "neutral"], ["positive", "negative", "negative", "negative"])
    assert found.accuracy == 0.5
    # positive: precision 1, recall 1/2; negative: 1/3, 1; neutral: 0.
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert found.confusion["positive"] == {"positive": 1, "neutral": 0, "negative": 1}


def test_a_label_that_does_not_occur_is_not_averaged() -> None:
    assert agreement(["positive"], ["positive"]).macro_f1 == 1.0


def test_labels_may_be_spelled_in_several_ways(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text('label,text\nBullish,"a, b"\n-1,c\nNEU,d\n\n')
    assert read_labelled(file) == [("a, b", "positive"), ("c", "negative"), ("d", "neutral")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has the columns none"),
        (b"a,b\n", "needs text and label"),
        (b"text,label\n", "no labelled text"),
        (b"text,label\nx,great\n", "line 2: 'great' is no label"),
        (b"text,label\nx\n", "line 2"),
        (b"text,label\n\xff,positive\n", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "labels.csv"
    file.write_bytes(content)
    with pytest.raises(BadFile, match=said):
        read_labelled(file)
