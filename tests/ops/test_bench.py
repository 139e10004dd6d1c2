"""The benchmarks measure what they say: their load is real records, their yardstick makes the same bars."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from sparktrends.bars import RAW_TRADES, Limits, fold_records
from sparktrends.errors import Unavailable
from sparktrends.model import MINUTE, PRICE_SCALE, Coordinates
from sparktrends.ops.bench import analysing, kernel, latency, load, polars_loop, report, shards, whole
from sparktrends.ops.cli import main
from sparktrends.sources import PROVIDERS, make_source

START = 1_732_147_200_000_000
UNIT = PRICE_SCALE // 10**9


@pytest.fixture(scope="module")
def values() -> list[bytes]:
    """Records of the load, as they lie in the topic."""
    frames = load.backlog(load.market(START, 7, 300.0), 5_000)
    return [value.encode() for frame in frames for value in frame["value"].to_list()]


def test_a_line_names_the_bench_first_and_says_what_was_measured_on_what() -> None:
    said = report.line("throughput", {"trades_per_s": 1})
    assert said.startswith('{"bench": "throughput", "trades_per_s": 1')
    found = json.loads(said)
    assert {"python", "spark", "kafka", "postgres", "numba", "polars"} <= found["versions"].keys()
    assert found["versions"]["postgres"][0].isdigit()
    assert found["machine"]["cores"] >= 1


def test_percentiles_take_the_nearest_rank() -> None:
    assert report.percentile(range(1, 101), 0.5) == 50
    assert report.percentile(range(1, 101), 0.99) == 99
    assert report.percentile([5.0], 0.99) == 5.0


def test_the_load_is_full_records_of_the_same_market(values: list[bytes]) -> None:
    source = load.market(START, 7, 300.0)
    trades = list(source.trades(source.next_block()))
    assert len(values) == 5_000
    for value, trade in zip(values, trades, strict=False):
        found = json.loads(value)
        assert (found["symbol"], found["ts"]) == (trade.symbol, trade.ts)
        assert (Decimal(found["price"]), Decimal(found["size"])) == (trade.price, trade.size)
        assert found["received"] >= found["ts"]
        assert len(found["id"]) == 2 * load.ID_BYTES


def test_every_record_of_the_load_has_an_id_of_its_own(values: list[bytes]) -> None:
    assert len({json.loads(value)["id"] for value in values}) == len(values)


def test_the_loop_by_hand_makes_the_bars_that_the_laws_define(values: list[bytes]) -> None:
    places = [Coordinates(RAW_TRADES, 0, index, START + index) for index in range(len(values))]
    wanted = fold_records(zip(values, places, strict=True), Limits()).bars
    order = list(range(len(values)))
    parts = [polars_loop.fold(values[a:b], order[a:b]) for a, b in ((0, 1_700), (1_700, 5_000))]
    found = polars_loop.merge(parts)
    assert [_row(row) for row in found.iter_rows(named=True)] == [
        (b.symbol, b.start // MINUTE, *(p // UNIT for p in (b.open, b.high, b.low, b.close, b.volume) if p is not None))
        + (b.turnover // UNIT**2, b.trades)
        for b in wanted
    ]


def _row(row: dict[str, object]) -> tuple[object, ...]:
    names = ("symbol", "minute", "open", "high", "low", "close", "volume", "turnover", "trades")
    return tuple(row[name] for name in names)


def test_a_record_counts_as_committed_with_the_first_ledger_behind_it() -> None:
    commits, ends = np.array([100, 200, 300]), np.array([0, 3, 7])
    assert latency.committed_at(commits, ends, np.array([0, 2, 3, 6])).tolist() == [200, 200, 300, 300]


def test_what_is_measured_once_settled_leaves_out_the_beginning() -> None:
    meter = shards.Meter([0.0, 30.0, 31.0, 33.0], [0, 0, 400_000, 1_000_000], [0.0, 40.0, 44.0, 50.0])
    assert meter.since(400_000) == (300_000.0, 10.0)
    with pytest.raises(Unavailable, match="between two samples"):
        meter.since(1_000_000)


def test_the_slope_is_that_of_the_second_half() -> None:
    assert whole.slope([0.0, 1.0, 2.0, 3.0], [900.0, 1.0, 5.0, 5.0]) == 0.0
    assert whole.slope([0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 5.0, 8.0]) == 3.0


def test_a_batch_of_the_analysis_bench_changes_every_symbol_once() -> None:
    result = analysing.batch_of(50, START, 3)
    assert len({bar.symbol for bar in result.bars}) == len(result.marks) == 50
    assert all(bar.turnover > 0 for bar in result.bars)


def test_the_kernel_runs_over_plausible_bars() -> None:
    bars = kernel.walk(2_000)
    assert (bars[:, 1] >= bars[:, [0, 3]].max(axis=1)).all()
    assert kernel.run_rate(kernel.Kernel(), bars) > 1_000


@pytest.mark.slow
@pytest.mark.e2e
def test_throughput_stores_every_trade_and_both_ways_agree() -> None:
    found = _bench("throughput", "--trades", "60000", "--symbols", "20")
    assert found["equal"] is True
    assert found["trades"] == 60_000
    assert 0 < found["trades_per_s_with_startup"] < found["trades_per_s"]
    assert found["metrics"] == found["bars"] > 0


@pytest.mark.slow
@pytest.mark.e2e
def test_two_shards_store_what_one_stores() -> None:
    found = _bench("shards", "--trades", "2600000", "--symbols", "50")
    assert found["equal"] is True
    assert 0.5 < found["cpu_ratio"] < 3
    assert found["speed_up"] > 0.3


@pytest.mark.e2e
def test_the_analysis_is_a_part_of_its_step_and_that_of_its_batch() -> None:
    found = _bench("analysis", "--symbols", "40", "--minutes", "4")
    for kind in ("forming", "closing"):
        assert 0 < found[f"{kind}_pure_ms"] < found[f"{kind}_step_ms"] < found[f"{kind}_batch_ms"]


def _bench(*arguments: str) -> dict[str, object]:
    done = CliRunner().invoke(main, ["bench", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_the_api_keeps_its_times_beside_a_running_pipeline() -> None:
    found = _bench("api", "--seconds", "15", "--rate", "200", "--listeners", "200")
    print({name: found[name] for name in ("p50_ms", "p99_ms", "event_p50_ms", "event_p99_ms", "bad_answers")})
    assert (found["requests"], found["wrong"]) == (3000, [])
    assert found["p99_ms"] <= 100  # type: ignore[operator]
    assert found["events"] >= 200  # type: ignore[operator]
    assert found["event_p99_ms"] <= 300  # type: ignore[operator]
    # 429: who sends a thousand bad ones a second is held back as well.
    assert found["bad_answers"].keys() <= {"400", "404", "415", "422", "429"}  # type: ignore[attr-defined]


def test_polars_reads_decimals_exactly() -> None:
    frame = pl.DataFrame({"price": ["97123.45", "0.000000001", "1"]}).select(polars_loop._units("price"))
    assert frame["price"].to_list() == [97_123_450_000_000, 1, 10**9]


def test_every_socket_source_is_measured_with_the_share_of_each_stage() -> None:
    found = _bench("ingest", "--records", "3000")["sources"]
    assert set(found) == {name for name in PROVIDERS if make_source(name).stream}  # type: ignore[call-overload]
    for figures in found.values():  # type: ignore[attr-defined]
        assert figures["per_s"] > 500
        # No more: on a machine that is shared, one stage measured alone may take longer than the whole did.
        assert min(figures[f"{stage}_ns"] for stage in ("parse", "door", "encode")) > 0
