"""Whatever the judge takes is named as the judge names it; so batch work passes over no record that is in a bar."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparktrends.bars import RAW_TRADES, Limits, judge
from sparktrends.bars.judge import Beat
from sparktrends.batch.told import told_by
from sparktrends.model import Coordinates, Quarantined

NOW = 1_732_147_200_000_000
# As they stand in the record: what no JSON writer of Python writes is what matters here.
PIECES = st.sampled_from(
    [
        *("0", "-0", "7", "-7", "1e400", "-1E+999999", "0.5", "18446744073709551616", "9" * 20, "9" * 400, "9" * 4500),
        *(
            '"7"',
            '"\\ud800"',
            '"\\ud83d\\ude00"',
            '"\\u0000"',
            '"Ω"',
            '""',
            "null",
            "true",
            "[]",
            "{}",
            '[{"a":[1e999]}]',
        ),
        *("[" * 64 + "]" * 64, "[" * 62 + "]" * 62, '{"ts":5}', "NaN", "1.", "", '"'),
    ]
)
NAMES = ["source", "symbol", "ts", "price", "size", "id", "received", "kind", "fill", "note", "\\ud800", "conditions"]
GOOD = [("source", '"demo"'), ("symbol", '"X"'), ("ts", str(NOW)), ("price", '"1"'), ("size", "2"), ("id", '"7"')]
# A name that stands there twice counts by its last value.
RECORDS = st.lists(st.tuples(st.sampled_from(NAMES), PIECES), max_size=3).flatmap(
    lambda odd: st.permutations([*GOOD, *odd])
)


@settings(max_examples=800, deadline=None)
@given(RECORDS)
def test_what_the_judge_takes_is_told_as_the_judge_reads_it(fields: list[tuple[str, str]]) -> None:
    value = ("{" + ",".join(f'"{name}":{piece}' for name, piece in fields) + "}").encode()
    verdict: Any = judge(value, Coordinates(RAW_TRADES, 0, 0, NOW), Limits())
    told = told_by(value)
    assert not told or (type(told["source"]), type(told["symbol"]), type(told["ts"])) == (str, str, int)
    if isinstance(verdict, Quarantined):
        return
    said: Any = verdict.heartbeat if isinstance(verdict, Beat) else verdict.trade
    assert (told["source"], told["symbol"], told["ts"]) == (said.source, said.symbol, said.ts)
    # The id of a heartbeat is not looked at.
    if not isinstance(verdict, Beat):
        assert ("" if told.get("id") is None else str(told["id"])) == said.id


@given(st.binary(max_size=200))
@example(None)
def test_any_bytes_tell_nothing(value: bytes | None) -> None:
    assert told_by(value) == {}
