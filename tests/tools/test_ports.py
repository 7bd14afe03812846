"""Ports that nothing else uses."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from live_brokers.ports import PORT_NAMES, free_ports, is_free, lost_port


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_each_name_gets_a_port_of_its_own() -> None:
    ports = free_ports({}, ())
    assert tuple(ports) == PORT_NAMES
    assert len(set(ports.values())) == len(PORT_NAMES)
    assert all(is_free(port) for port in ports.values())


def test_a_port_with_a_listener_is_not_free(taken: int) -> None:
    assert not is_free(taken)


def test_preferred_ports_stay_where_they_are_free(taken: int) -> None:
    before = free_ports({}, ())
    after = free_ports({**before, "management": taken}, ())
    assert {name for name in PORT_NAMES if after[name] != before[name]} == {"management"}
    assert after["management"] != taken


def test_ports_to_avoid_are_not_chosen() -> None:
    before = free_ports({}, ())
    assert not set(free_ports(before, before.values()).values()) & set(before.values())


def test_a_port_in_use_is_lost(taken: int, tmp_path: Path) -> None:
    assert lost_port([taken], [tmp_path / "absent.log"])


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("Error: {could_not_start,{listen_error,eaddrinuse}}\n", True),
        ("the address is already in use\n", True),
        ("completed with 9 plugins\n", False),
    ],
)
def test_a_log_tells_that_a_port_was_lost(tmp_path: Path, text: str, lost: bool) -> None:
    log = tmp_path / "console.log"
    log.write_text(text)
    assert lost_port(free_ports({}, ()).values(), [log]) is lost
