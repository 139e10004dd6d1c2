"""The compiled road and the definition agree on everything, and the compiled one is safe on any bytes."""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.bars import RAW_BARS, RAW_TRADES, Limits, fold_records
from sparktrends.model import MINUTE, Coordinates
from sparktrends.streaming import scan_table as t
from sparktrends.streaming.fold import fold_batches
from sparktrends.streaming.scan import Scanner, joined

LIMITS = Limits(graces=(("slow", 3600 * 1_000_000), ("schön", 1)))


def differences(make, records, limits=LIMITS):
    """The fields of the results of both roads that are not equal, with what stands there."""
    fast = fold_batches([make.batch(records)], limits)
    exact = fold_records(records, limits)
    names = [field.name for field in dataclasses.fields(exact)]
    return {
        name: (getattr(fast, name), getattr(exact, name))
        for name in names
        if getattr(fast, name) != getattr(exact, name)
    }


@pytest.mark.parametrize("seed", range(8))
def test_fuzzed_records_fold_alike(make, seed):
    assert differences(make, make.records(seed, 3_000)) == {}


def test_both_roads_count_fills(make):
    records = make.trades({"fill": True}, {"fill": True, "price": "1e0"}, {"fill": False}, {"size": "1e0"}, {})
    (bar,) = fold_records(records, LIMITS).bars
    assert (bar.trades, bar.fills) == (5, 2)
    assert differences(make, records) == {}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 150))
def test_many_fuzzed_records_fold_alike(make, seed):
    assert differences(make, make.records(seed, 4_000)) == {}


def test_the_fuzz_reaches_every_verdict(make):
    result = fold_records(make.records(1, 3_000), LIMITS)
    reasons = {record.reason for record in result.quarantined}
    assert reasons >= {
        "not_json", "not_utf8", "not_object", "empty", "too_deep", "bad_ts", "bad_price", "bad_size", "too_many_digits",
        "bad_source", "bad_symbol", "bad_kind", "bad_status", "bad_received", "future_ts", "future_arrival",
        "before_1970", "bad_id", "bad_conditions", "bad_fill",
    }  # fmt: skip
    total = dataclasses.asdict(result.counts[0])
    assert all(total[kind] for kind in ("trades", "prices", "heartbeats", "late", "quarantined"))


def test_plain_records_take_the_fast_road(make):
    records = make.trades({}, {"price": 2.5, "id": "7", "received": make.now, "extra": True}, {"kind": "price"})
    records += make.trades({"kind": "heartbeat", "status": "stale"}, {"conditions": [], "fill": True})
    records += make.trades({"price": "800.010000000000", "size": "0.100000000000000000"})
    scanner = Scanner(Limits())
    scanner.add(make.batch(records))
    assert scanner._exact.result().counts == ()


@pytest.mark.parametrize(
    "amount", ["1.", "1.0000000001", "1.00000000010", f"1.{'0' * 18}", f"1.{'0' * 19}", "0.1234567890000000000", ".50"]
)
def test_zeros_behind_the_ninth_digit_add_nothing(make, amount):
    assert differences(make, make.trades({"price": amount}, {"size": amount})) == {}


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_fold_alike(make, data):
    assert differences(make, [(data, Coordinates(RAW_TRADES, 0, 1, make.now))]) == {}


@given(
    st.dictionaries(
        st.sampled_from(["source", "symbol", "ts", "price", "size", "received", "kind", "x", "status", "fill"]),
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.decimals().map(str)),
    )
)
@settings(max_examples=300, deadline=None)
def test_any_fields_fold_alike(make, change):
    assert differences(make, make.trades(change)) == {}


@pytest.mark.parametrize("change", [{"symbol": "a\x7f"}, {"id": "\x7f"}, {"x": "a" * 2**20}, {"id": "i" * 129}])
def test_what_only_looks_plain_is_refused_by_both(make, change):
    value, at = make.trades(change)[0]
    records = [(value.replace(b"\\u007f", b"\x7f"), at)]
    assert differences(make, records) == {}
    assert fold_batches([make.batch(records)], Limits()).counts[0].quarantined == 1


@pytest.mark.parametrize(
    "pair", ['"price":"3","price":"4"', '"kind":"price","kind":"trade"', '"fill":false,"fill":true']
)
def test_of_a_doubled_name_the_last_counts_on_both_roads(make, pair):
    value, at = make.trades({"received": make.now + 10**6})[0]
    assert differences(make, [(value[:-1] + b"," + pair.encode() + b"}", at)]) == {}


@pytest.mark.parametrize("appended", [-(2**63), -1, 0, 2**60, 2**63 - 1])
def test_extreme_append_times_fold_alike(make, appended):
    values = [value for value, _ in make.records(5, 300)]
    records = [(value, Coordinates(RAW_TRADES, 2**31 - 1, 2**62 + i, appended)) for i, value in enumerate(values)]
    assert differences(make, records) == {}


def test_largest_amounts_of_many_records_do_not_overflow(make):
    top = "999999999.999999999"
    records = make.trades(*[{"price": top, "size": top}] * 5_000)
    bar = fold_batches([make.batch(records)], Limits()).bars[0]
    units = 10**27 - 10**9
    assert (bar.volume, bar.turnover) == (5_000 * units, 5_000 * units * units)


def test_limbs_hold_the_sums_of_a_thousand_million_records(make):
    tables = t.new_tables(1, 1)
    bar = tables.bars[0]
    unit = 10**18 - 1
    t.add_sums(bar, unit, unit)
    sums = bar[t.B_VOLUME : t.B_WIDTH] * 10**9
    assert (bar[t.B_VOLUME : t.B_WIDTH] <= (2**63 - 1) // 10**9).all()
    assert joined(sums[2:].tolist()) == unit * unit * 10**9


def test_tables_grow_without_losing_anything(make):
    rng = random.Random(3)
    changes = [
        {"symbol": f"S{rng.randrange(300)}", "ts": make.now - rng.randrange(20) * MINUTE, "fill": True}
        for _ in range(3_000)
    ]
    records = make.trades(*changes)
    scanner = Scanner(Limits(), series=2, bars=2)
    scanner.add(make.batch(records))
    assert scanner.result() == fold_records(records, Limits())


def test_both_topics_in_one_batch_are_told_apart(make):
    records = make.records(1, 200) + make.records(2, 200, RAW_BARS)
    assert differences(make, records) == {}


def test_sliced_large_and_empty_batches_fold_alike(make):
    records = make.records(9, 500)
    batch = make.batch(records)
    large = batch.set_column(4, "value", batch.column("value").cast(pa.large_binary()))
    expected = fold_records(records[100:400], LIMITS)
    assert fold_batches([batch.slice(100, 300), batch.slice(0, 0)], LIMITS) == expected
    assert fold_batches([large.slice(100, 300)], LIMITS) == expected


def test_append_times_of_any_unit_fold_alike(make):
    batch = make.batch(make.trades({}, {"symbol": "B"}))
    for kind in (pa.int64(), pa.timestamp("ns"), pa.timestamp("us", "Europe/Zurich")):
        other = batch.set_column(3, "timestamp", batch.column("timestamp").cast(kind))
        assert fold_batches([other], Limits()) == fold_batches([batch], Limits())


@pytest.mark.parametrize(
    ("received", "late"), [(15 * MINUTE, 0), (15 * MINUTE + 1, 1)], ids=["at the grace", "past the grace"]
)
def test_grace_is_exact(make, received, late):
    record = [
        (value, dataclasses.replace(at, appended=make.now + 16 * MINUTE))
        for value, at in make.trades({"received": make.now + received})
    ]
    result = fold_batches([make.batch(record)], Limits())
    assert (len(result.late), result.counts[0].late) == (late, late)


def test_uncompiled_code_never_reads_outside_its_record():
    """Without Numba an index beyond the array raises, and a negative one would change the result."""
    code = (
        "import importlib.util as u, numpy as np, random, sys\n"
        "spec = u.spec_from_file_location('c', sys.argv[1]); c = u.module_from_spec(spec)\n"
        "sys.modules['c'] = c; spec.loader.exec_module(c)\n"
        "from sparktrends.streaming import scan_record as s\n"
        "class Strict(np.ndarray):\n"
        "    def __getitem__(self, i):\n"
        "        assert 0 <= i < self.shape[0], i\n"
        "        return int(np.ndarray.__getitem__(self, i))\n"
        "rng, row, taken = random.Random(4), np.zeros(s.WIDTH, np.int64), 0\n"
        "for _ in range(2000):\n"
        "    data = c.any_record(rng) or b''\n"
        "    buf = np.frombuffer(data, np.uint8).view(Strict)\n"
        "    taken += s.scan_record(buf, 0, len(data), row)\n"
        "assert taken > 100, taken\n"
    )
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    here = Path(__file__).with_name("conftest.py")
    done = subprocess.run([sys.executable, "-c", code, str(here)], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
