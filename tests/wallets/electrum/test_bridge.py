import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.support.certificates import make_certificate

from dovetail.errors import ChainError
from dovetail.regtest.electrum_server import ElectrumServer
from dovetail.wallets.electrum import bridge as electrum_bridge
from dovetail.wallets.electrum.bridge import bridge
from dovetail.wallets.server_url import ChainServer

PING = b'{"id":1,"method":"server.ping"}\n'
PONG = b'{"jsonrpc":"2.0","id":1,"result":null}\n'


@contextmanager
def crossing(server: ChainServer, timeout: float = 5) -> Iterator[socket.socket]:
    with bridge(server, timeout=timeout) as url:
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            yield connection


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


@pytest.fixture
def listener():
    """A server that does as a test says."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


def address(listener: socket.socket) -> ChainServer:
    return ChainServer(f"tcp://127.0.0.1:{listener.getsockname()[1]}")


def test_both_sides_hear_each_other(electrum):
    with crossing(ChainServer(electrum.url)) as connection:
        for _ in range(3):
            connection.sendall(PING)
            assert connection.recv(1000) == PONG


def test_large_answers_pass_whole_through_tls(server, tmp_path):
    certificate = make_certificate(tmp_path)
    with (
        ElectrumServer(server.node, tls=certificate.server()) as secured,
        crossing(ChainServer(secured.url, certificate.cert)) as connection,
    ):
        question = b'{"id":1,"method":"blockchain.block.headers","params":[0,2016]}\n'
        connection.sendall(question * 20)
        with connection.makefile("rb") as reader:
            answers = [reader.readline() for _ in range(20)]
        assert {len(json.loads(answer)["result"]["hex"]) for answer in answers} == {
            160 * (server.node.height + 1)
        }


def test_what_tls_says_of_its_own_affairs_holds_nothing_up(server, tmp_path):
    """After the handshake a server sends tickets, which bring nothing to pass on."""
    certificate = make_certificate(tmp_path)
    tls = certificate.server()
    tls.num_tickets = 4
    with (
        ElectrumServer(server.node, tls=tls) as secured,
        crossing(ChainServer(secured.url, certificate.cert), timeout=60) as connection,
    ):
        threading.Event().wait(0.2)
        connection.sendall(PING)
        assert connection.recv(1000) == PONG


def test_only_one_may_cross(electrum):
    with bridge(ChainServer(electrum.url), timeout=5) as url:
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 5) as first:
            first.sendall(PING)
            assert first.recv(1000) == PONG
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), 5)


def test_nobody_needs_to_cross(electrum):
    with bridge(ChainServer(electrum.url), timeout=5):
        pass
    with bridge(ChainServer(electrum.url), timeout=0.05) as url:
        threading.Event().wait(0.2)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 5)


def test_a_server_that_is_gone_is_told_at_once():
    server = ChainServer("tcp://127.0.0.1:1")
    with pytest.raises(ChainError, match="There is no connection to"), bridge(server, timeout=5):
        pass


def test_when_one_side_hangs_up_the_other_learns_it(listener):
    with crossing(address(listener)) as connection:
        far, _ = listener.accept()
        far.close()
        assert ended(connection)
    with bridge(address(listener), timeout=5) as url:
        near = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 5)
        far, _ = listener.accept()
        with far:
            near.close()
            assert ended(far)


def test_leaving_ends_both_sides_at_once(listener):
    with crossing(address(listener), timeout=60) as connection:
        far, _ = listener.accept()
    with far:
        assert ended(far)
    del connection


def test_a_line_that_is_too_long_or_too_slow_ends_it(listener, monkeypatch):
    monkeypatch.setattr(electrum_bridge, "_MAX_LINE", 10)
    with crossing(address(listener)) as connection:
        far, _ = listener.accept()
        with far:
            far.sendall(b"{}\n0123456789")
            assert connection.recv(100) == b"{}\n"
            far.sendall(b"0")
            assert ended(connection)
    with crossing(address(listener), timeout=0.2) as connection:
        far, _ = listener.accept()
        with far:
            far.sendall(b"{}\n{")
            assert connection.recv(100) == b"{}\n"
            assert ended(connection)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"garbage",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"id":7,"result":{"count":1,"hex":"00"}}',
        b'{"id":7,"result":{"count":1,"hex":""}}',
        b'{"id":7,"result":{"count":-1,"hex":""}}',
        b'{"id":7,"result":{"count":100000000000000000000,"hex":""}}',
        b'{"id":7,"result":{"hex":""}}',
        b'{"id":7,"result":{"count":1,"headers":[]}}',
        b'{"id":7,"result":{"count":1,"headers":["00"]}}',
        b'{"id":7,"result":5}',
    ],
)
def test_what_would_abort_the_client_is_kept_from_it(listener, line):
    with crossing(address(listener)) as connection:
        far, _ = listener.accept()
        with far:
            connection.sendall(b'{"id":7,"method":"blockchain.block.headers","params":[0,1]}\n')
            assert far.recv(100)
            far.sendall(line + b"\n")
            assert ended(connection)


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":7,"result":{"count":0,"hex":"","max":2016}}\n',
        b'{"id":7,"error":{"code":1,"message":"busy"}}\n',
        b'{"id":7,"result":{"count":1,"hex":"' + b"0" * 160 + b'"}}\n',
        b'{"id":7,"result":{"count":1,"headers":["' + b"0" * 160 + b'"]}}\n',
        b'{"id":8,"result":{"count":1,"hex":""}}\n',
        b'{"method":"blockchain.headers.subscribe","params":[]}\n',
    ],
)
def test_all_else_comes_through_as_it_was(listener, line):
    with crossing(address(listener)) as connection:
        far, _ = listener.accept()
        with far:
            connection.sendall(b'{"id":7,"method":"blockchain.block.headers","params":[0,1]}\n')
            assert far.recv(100)
            for each in range(len(line)):
                far.sendall(line[each : each + 1])
            with connection.makefile("rb") as reader:
                assert reader.readline() == line
