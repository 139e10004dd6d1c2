"""Wanted ports, taken ports, remembered ports."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparktrends.errors import Unavailable
from sparktrends.ops import ports


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def test_a_free_port_is_given_as_wanted(tmp_path: Path) -> None:
    free = ports.any_free()
    chosen = ports.choose({"kafka": free}, tmp_path / "ports")
    assert chosen["kafka"].number == free
    assert not chosen["kafka"].replaced


def test_a_taken_port_is_replaced_and_says_so(taken: int, tmp_path: Path) -> None:
    port = ports.choose({"kafka": taken}, tmp_path / "ports")["kafka"]
    assert port.replaced
    assert port.wanted == taken
    assert ports.is_free(port.number)


def test_a_port_taken_on_all_interfaces_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not ports.is_free(server.getsockname()[1])


def test_the_replacement_is_remembered(tmp_path: Path) -> None:
    memory = tmp_path / "ports"
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        wanted = {"kafka": server.getsockname()[1]}
        first = ports.choose(wanted, memory)
    assert ports.choose(wanted, memory) == first


def test_a_new_wish_outweighs_the_memory(tmp_path: Path) -> None:
    memory = tmp_path / "ports"
    ports.choose({"kafka": ports.any_free()}, memory)
    wish = ports.any_free()
    assert ports.choose({"kafka": wish}, memory)["kafka"].number == wish


def test_no_two_parts_get_one_port(tmp_path: Path) -> None:
    free = ports.any_free()
    chosen = ports.choose({"api": free, "dashboard": free}, tmp_path / "ports")
    assert len({port.number for port in chosen.values()}) == 2


@pytest.mark.parametrize("junk", ["", "[]", "{", '{"kafka": 5}', '{"kafka": ["a", "b"]}'])
def test_a_broken_memory_is_no_obstacle(junk: str, tmp_path: Path) -> None:
    (tmp_path / "ports").write_text(junk)
    free = ports.any_free()
    assert ports.choose({"kafka": free}, tmp_path / "ports")["kafka"].number == free


def test_a_port_that_is_given_out_is_free_and_no_system_gives_it_out_by_itself() -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        taken = server.getsockname()[1]
        drawn = iter([taken, 23_456, *range(23_457, 23_600)])
        number = ports.any_free(lambda _: next(drawn))
    assert number != taken
    assert ports.is_free(number)
    assert ports.any_free() < 32_768


def test_without_a_free_port_one_is_told(taken: int) -> None:
    with pytest.raises(Unavailable, match="no port is free"):
        ports.any_free(lambda _: taken)


def test_the_contract_names_these_ports() -> None:
    contract = {"postgres": 5434, "kafka": 9094, "spark_ui": 8081, "api": 8000, "dashboard": 8501}
    assert contract.items() <= ports.WANTED.items()
