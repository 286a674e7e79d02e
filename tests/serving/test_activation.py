import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dovetail.errors import ConfigurationError
from dovetail.serving.activation import inherited_listener


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def told(count: object = 1, pid: int | None = None) -> dict[str, str]:
    """What systemd sets for a process."""
    return {
        "LISTEN_PID": str(os.getpid() if pid is None else pid),
        "LISTEN_FDS": str(count),
        "LISTEN_FDNAMES": "mailroom.socket",
        "OTHER": "stays",
    }


def test_the_socket_that_was_passed_is_taken_and_no_child_takes_it(
    listening: socket.socket,
) -> None:
    environment = told()
    copy = os.dup(listening.fileno())
    os.set_inheritable(copy, True)
    passed = inherited_listener(environment, first=copy)
    assert passed is not None
    with passed:
        assert passed.getsockname() == listening.getsockname()
        assert not os.get_inheritable(copy)
    assert environment == {"OTHER": "stays"}


@pytest.mark.parametrize("environment", [{}, told(pid=1), told("none"), told(0)])
def test_what_is_for_another_process_is_left(environment: dict[str, str]) -> None:
    assert inherited_listener(environment) is None
    assert "LISTEN_FDS" not in environment


def test_several_sockets_are_a_wrong_setting() -> None:
    with pytest.raises(ConfigurationError, match="passed 2 sockets"):
        inherited_listener(told(2))


@pytest.mark.parametrize("kind", ["unix", "udp", "not listening", "file"])
def test_what_is_no_tcp_socket_that_listens_is_a_wrong_setting(kind: str, tmp_path: Path) -> None:
    if kind == "file":
        number = os.open(tmp_path / "file", os.O_CREAT)
    else:
        family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
        made = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
        if kind == "unix":
            made.bind(str(tmp_path / "socket"))
            made.listen()
        number = made.detach()
    with pytest.raises(ConfigurationError, match="no TCP socket that listens"):
        inherited_listener(told(), first=number)
    if kind == "file":
        os.close(number)
