"""Real Spark, real Python workers: both places of the fold answer what the definition answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparktrends.ops import java

# Spark lives in a process of its own: one process has one session, and this one needs no connector.
PROGRAM = """
import importlib.util, sys
from pathlib import Path
import pyarrow as pa
from sparktrends import spark
from sparktrends.bars import RAW_BARS, Limits, fold_records
from sparktrends.model import Coordinates
from sparktrends.streaming.fold import HAND_OVER, fold_dataframe

spec = importlib.util.spec_from_file_location("made", sys.argv[1])
made = sys.modules["made"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(made)
make = made.Maker()
records = make.records(11, 4000) + make.records(12, 400, RAW_BARS)
records += [(b"x" * 1_000_000, Coordinates(RAW_BARS, 9, i, made.NOW)) for i in range(20)]
def whole(records):
    values = pa.array([value for value, _ in records], pa.binary())
    return make.batch([(b"", at) for _, at in records]).set_column(4, "value", values)
session = spark.session("fold", spark.Settings("local[2]", (), Path(sys.argv[2])))
frame = session.createDataFrame(pa.Table.from_batches([whole(records)])).repartition(3, "topic", "partition")
exact = fold_records(records, Limits())
assert fold_dataframe(frame.sortWithinPartitions("offset"), 10, Limits()) == exact
few = frame.where("partition < 9 AND topic = 'raw.trades' AND length(value) < 2048").sortWithinPartitions("offset")
short = [record for record in records[:4000] if record[0] is not None and len(record[0]) < 2048]
assert fold_dataframe(few, 10, Limits()) == fold_records(short, Limits())
assert fold_dataframe(frame.sortWithinPartitions("offset"), 10, Limits(), threshold=0) == exact
for name, value in HAND_OVER.items():
    session.conf.set(name, value)
def sizes(batches):
    yield pa.RecordBatch.from_pydict({"rows": [max(batch.num_rows for batch in batches)]})
long = session.range(0, 5000, 1, 1).selectExpr("repeat('x', 40000) AS value")
assert long.mapInArrow(sizes, "rows long").collect()[0].rows == 4096, "a batch is no longer bounded by its rows"
session.stop()
print("equal")
"""


@pytest.mark.e2e
def test_driver_and_workers_answer_as_the_definition_does(tmp_path, cache):
    env = {**os.environ, **java.spark_env(java.find(os.environ, cache), os.environ)}
    here = Path(__file__).with_name("conftest.py")
    arguments = [sys.executable, "-c", PROGRAM, str(here), str(tmp_path)]
    done = subprocess.run(arguments, env=env, capture_output=True, text=True, timeout=200)
    assert done.stdout.endswith("equal\n"), done.stderr[-3000:]
