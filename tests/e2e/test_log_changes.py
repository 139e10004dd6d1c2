"""The log changes under the stream: its end is lost as after a power cut, or it gets more partitions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable

import pytest

from e2e.product import TRADES, Product, services, until
from e2e.test_bad_input import START, accept, changed, good, send, stopped_at_a_gap
from embedded import delete_topic
from sparktrends.bus.admin import Admin
from sparktrends.bus.kafka import Producer
from sparktrends.bus.topics import AddPartitions
from sparktrends.ops import jars

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def fold(product: Product, values: Iterable[bytes | None]) -> None:
    """Publish, and fold with a stream that is stopped then."""
    send(product, list(values))
    command = product.start("stream")
    product.wait_folded()
    assert command.stop() == 0, command.err[-3000:]


@pytest.mark.timeout(900)
def test_a_lost_end_may_be_accepted_twice_and_the_audit_is_clean(resolver: jars.Resolver) -> None:
    """An older copy of the log under the ledger: what a disk holds that had not written all."""
    late = changed(received=START + 16 * 60_000_000)
    with Product.fresh() as product:
        with services(product, resolver):
            fold(product, [*map(good, range(10)), late, b"{"])
        log, copy = product.home / "kafka", product.home / "copy"
        shutil.copytree(log, copy)
        for number in (1, 2):
            first = number * 10_000
            with services(product, resolver):
                fold(product, [*map(good, range(first, first + 10)), late, b"{"])
                assert product.audit()["ok"]
            shutil.rmtree(log)
            shutil.copytree(copy, log)
            with services(product, resolver):
                if number == 2:
                    # Somebody was quicker, and took the places of all that was lost, and more.
                    send(product, [good(first + 4_000 + n) for n in range(20)])
                said = stopped_at_a_gap(product)
                assert "the ledger stands at" in said
                assert "count again what a source still sends" in said
                command = product.start("stream", "--accept-gap")
                gaps = "SELECT count(*) FROM core.log_gaps"
                until(lambda gaps=gaps, number=number: product.sql(gaps) == [(number,)], 90, "nothing is accepted")
                send(product, [good(first + 5_000)])
                product.wait_folded()
                assert command.stop() == 0, command.err[-3000:]
                report = product.audit()
                assert report["ok"], report
                assert report["unchecked"]["rows of former topics"] == 2 * number


def send_of_fifty(product: Product) -> None:
    """A trade of each of fifty symbols: of every partition some."""
    producer = Producer(product.where().kafka)
    for number in range(50):
        producer.send(TRADES, f"S{number}", json.dumps({**json.loads(good(number)), "symbol": f"S{number}"}).encode())
    producer.close()


def test_a_topic_that_is_made_anew_with_fewer_partitions_is_no_end(resolver: jars.Resolver) -> None:
    """As when a log is lost whose topic had more than the table says: what was counted of it is told on."""
    with Product.fresh() as product, services(product, resolver):
        product.run("topics", "--apply", "--partitions", "8")
        send_of_fifty(product)
        command = product.start("stream")
        product.wait_folded()
        assert command.stop() == 0, command.err[-3000:]
        kafka = product.where().kafka
        assert all(high for _, high in Admin(kafka).watermarks(TRADES).values())
        delete_topic(kafka, TRADES)
        Admin(kafka).ensure()
        stopped_at_a_gap(product)
        accept(product, good(5_000))
        assert product.run("status", "--json").json()["trades"] == 51
        report = product.audit()
        assert sum(span["trimmed"] for span in report["spans"]) > 0
        product.run("batch", "repair", "--json")


def test_a_partition_that_is_added_is_read_without_a_restart(resolver: jars.Resolver) -> None:
    with Product.fresh() as product, services(product, resolver):
        command = product.start("stream")
        send(product, [good(1)])
        product.wait_folded()
        admin = Admin(product.where().kafka)
        before = admin.partitions(TRADES)
        admin.apply([AddPartitions(TRADES, len(before) + 1)])
        send_of_fifty(product)
        assert admin.watermarks(TRADES)[len(before)][1] > 0
        product.wait_folded()
        assert command.process.poll() is None
        assert product.audit()["ok"]
        assert command.stop() == 0, command.err[-3000:]
