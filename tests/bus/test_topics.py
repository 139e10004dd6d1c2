"""One table of topics, and the changes that bring a broker to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparktrends.bus.topics import TABLE, AddPartitions, Create, Existing, SetConfig, plan, wanted


def as_wanted() -> dict[str, Existing]:
    return {t.name: Existing(t.partitions, t.config) for t in TABLE}


def test_the_topics_of_the_contract() -> None:
    names = {t.name for t in TABLE}
    assert names == {"raw.trades", "raw.bars", "raw.payloads", "ops.quarantine", "out.bars", "out.signals"}


def test_exactly_the_raw_topics_are_stamped_by_the_broker() -> None:
    assert {t.name for t in TABLE if t.log_append} == {t.name for t in TABLE if t.name.startswith("raw.")}


def test_every_log_is_bounded_in_time_and_size() -> None:
    assert all(t.retention_ms > 0 and t.retention_bytes > 0 for t in TABLE)


def test_trades_have_four_partitions_on_one_node_and_more_when_asked() -> None:
    assert {t.name: t.partitions for t in TABLE}["raw.trades"] == 4
    big = {t.name: t for t in wanted(trade_partitions=32)}
    assert big["raw.trades"].partitions == 32


def test_an_empty_broker_gets_every_topic() -> None:
    assert plan({}) == [Create(t) for t in TABLE]


def test_a_broker_as_wanted_needs_nothing() -> None:
    assert plan(as_wanted()) == []


def test_a_wrong_setting_is_set_alone() -> None:
    existing = as_wanted()
    existing["raw.trades"] = Existing(4, {**TABLE[0].config, "message.timestamp.type": "CreateTime"})
    assert plan(existing) == [SetConfig("raw.trades", {"message.timestamp.type": "LogAppendTime"})]


def test_settings_that_the_table_does_not_name_are_left_alone() -> None:
    existing = as_wanted()
    existing["raw.trades"] = Existing(4, {**TABLE[0].config, "segment.ms": "1"})
    assert plan(existing) == []


@pytest.mark.parametrize(("told", "kept"), [("-1", True), (str(2**40), True), ("5", False)])
def test_who_keeps_more_of_the_log_may(told: str, kept: bool) -> None:
    config = {**TABLE[0].config, "retention.bytes": told, "retention.ms": told}
    changes = plan({"raw.trades": Existing(4, config)}, TABLE[:1])
    wanted_ = {key: TABLE[0].config[key] for key in ("retention.ms", "retention.bytes")}
    assert changes == ([] if kept else [SetConfig("raw.trades", wanted_)])


@pytest.mark.parametrize(("has", "changes"), [(2, [AddPartitions("raw.trades", 4)]), (8, [])])
def test_partitions_grow_and_never_shrink(has: int, changes: list[AddPartitions]) -> None:
    assert plan({"raw.trades": Existing(has, TABLE[0].config)}, TABLE[:1]) == changes


def test_changes_read_as_sentences() -> None:
    changes = [*plan({}, TABLE[:1]), AddPartitions("a", 4), SetConfig("a", {"retention.ms": "1"})]
    assert [str(c) for c in changes] == [
        "create raw.trades with 4 partitions",
        "grow a to 4 partitions",
        "set retention.ms=1 on a",
    ]


def test_a_plan_carried_out_is_empty_the_next_time() -> None:
    start = {"raw.trades": Existing(1, {}), "raw.bars": Existing(2, {"retention.ms": "5"})}
    after = dict(start)
    for change in plan(start):
        if isinstance(change, Create):
            after[change.topic.name] = Existing(change.topic.partitions, change.topic.config)
        elif isinstance(change, AddPartitions):
            after[change.name] = replace(after[change.name], partitions=change.total)
        else:
            after[change.name] = replace(after[change.name], config={**after[change.name].config, **change.config})
    assert plan(after) == []
