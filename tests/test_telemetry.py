"""Figures that are asked for at each scrape, and where they are shown."""

from __future__ import annotations

import socket
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sparktrends.errors import Unavailable
from sparktrends.telemetry import Figure, asked_at_scrape, correlated, correlation, resumed, serve_metrics


def shown(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


def test_a_part_is_asked_at_each_scrape_and_not_before() -> None:
    registry, asked = CollectorRegistry(), list[int]()

    def figures() -> list[Figure]:
        asked.append(1)
        return [Figure("tries", "how often", {("a",): len(asked)}, ("who",), total=True)]

    asked_at_scrape({"part": figures}, registry)
    assert not asked
    assert 'sparktrends_tries_total{who="a"} 1.0' in shown(registry)
    assert 'sparktrends_tries_total{who="a"} 2.0' in shown(registry)
    assert 'sparktrends_answers{part="part"} 1.0' in shown(registry)


def test_a_part_that_does_not_answer_is_told_and_the_others_are_shown() -> None:
    registry = CollectorRegistry()

    def away() -> list[Figure]:
        raise Unavailable("gone")

    asked_at_scrape({"away": away, "there": lambda: [Figure("size", "bytes", {(): 7})]}, registry)
    text = shown(registry)
    assert 'sparktrends_answers{part="away"} 0.0' in text
    assert "sparktrends_size 7.0" in text


def test_an_id_holds_inside_its_block_and_goes_on_elsewhere() -> None:
    assert correlation() is None
    with correlated("batch-1"):
        mine = correlation()
        assert mine is not None
        assert mine.endswith(".batch-1")
        with resumed("of another process"):
            assert correlation() == "of another process"
        with resumed(None):
            assert correlation() is None
        assert correlation() == mine
    assert correlation() is None


def test_a_defect_is_not_swallowed() -> None:
    registry = CollectorRegistry()

    def broken() -> list[Figure]:
        raise ZeroDivisionError

    asked_at_scrape({"broken": broken}, registry)
    with pytest.raises(ZeroDivisionError):
        shown(registry)


def test_a_taken_port_is_replaced() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = serve_metrics(taken.getsockname()[1])
        assert port != taken.getsockname()[1]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        assert b"process_cpu_seconds_total" in answer.read()
