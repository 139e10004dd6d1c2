"""Machine code is kept on disk, loaded by the next process, and made anew where nothing can be kept."""

from __future__ import annotations

import subprocess
import sys

import numba
import pyarrow as pa
import pytest
from numba.core import caching

from sparktrends.bars import Limits
from sparktrends.streaming import scan_record, scan_table
from sparktrends.streaming.scan import Scanner, warm_scanner
from sparktrends.streaming.scan_doors import fold_rows
from sparktrends.streaming.scan_jit import compiled, kept, version


def double(x: int) -> int:
    return 2 * x


def test_integers_wrap_at_64_bits_and_nothing_is_counted():
    assert compiled(double)(2**62) == -(2**63)


def test_where_no_cache_can_be_kept_it_still_compiles(monkeypatch):
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator"):
        numba.njit(double, cache=True)
    assert kept(double)(21) == 42


def test_a_numba_without_our_option_still_compiles(monkeypatch):
    real = numba.njit

    def older(function, **options):
        if "_nrt" in options:
            raise KeyError("_nrt")
        return real(function, **options)

    monkeypatch.setattr(numba, "njit", older)
    assert compiled(double)(21) == 42


def test_the_next_process_loads_what_this_one_compiled():
    warm_scanner()
    assert len(fold_rows.signatures) == 1
    code = (
        "from sparktrends.streaming.scan import warm_scanner; warm_scanner()\n"
        "from sparktrends.streaming.scan_doors import fold_rows\n"
        "stats = fold_rows.stats\n"
        "assert sum(stats.cache_hits.values()) == 1 and not stats.cache_misses, stats\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("value", [b"{}", None], ids=["values", "tombstones alone"])
def test_what_is_warmed_is_what_a_batch_of_spark_needs(value):
    names = ["topic", "partition", "offset", "timestamp", "value"]
    columns = [["raw.trades"], pa.array([0], pa.int32()), [0], [0], pa.array([value], pa.binary())]
    batch = pa.RecordBatch.from_arrays([pa.array(column) for column in columns], names)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    received = pa.ipc.open_stream(sink.getvalue()).read_next_batch()
    warm_scanner()
    Scanner(Limits()).add(received)
    assert len(fold_rows.signatures) == 1


def test_no_session_and_no_pyspark_are_needed_where_workers_import():
    code = "import sys, sparktrends.streaming.fold\nassert 'pyspark' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_code_of_another_version_is_never_taken_for_this(tmp_path):
    source = tmp_path / "helper.py"
    source.write_text("a = 1")
    before = version(str(source))
    source.write_text("a = 2")
    assert version(str(source)) != before
    held = [cell.cell_contents for cell in fold_rows.py_func.__closure__]
    assert held == [version(scan_record.__file__, scan_table.__file__)]
