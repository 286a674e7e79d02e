import json
import socket
from contextlib import suppress

import pytest
from tests.support.certificates import make_certificate

from dovetail.bitcoin import Sats, Script
from dovetail.errors import ConfigurationError
from dovetail.regtest import RegtestServer
from dovetail.regtest.electrum_server import ElectrumServer

PING = b'{"id":1,"method":"server.ping"}\n'
PONG = b'{"jsonrpc":"2.0","id":1,"result":null}\n'


@pytest.fixture(scope="module")
def chain():
    with RegtestServer(blocks=101, electrum=0) as running:
        yield running


def connected(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 5)


def test_the_chain_serves_electrum_when_asked(chain):
    assert chain.electrum_url.startswith("tcp://127.0.0.1:")
    with connected(chain.electrum_url) as connection, connection.makefile("rb") as reader:
        connection.sendall(PING + PING[:5])
        assert reader.readline() == PONG
        connection.sendall(PING[5:] + PING)
        assert [reader.readline(), reader.readline()] == [PONG, PONG]
    with RegtestServer(blocks=0) as without:
        assert without.electrum_url is None


def test_news_come_by_themselves(chain):
    with connected(chain.electrum_url) as connection, connection.makefile("rb") as reader:
        connection.sendall(b'{"id":1,"method":"blockchain.headers.subscribe"}\n')
        height = json.loads(reader.readline())["result"]["height"]
        chain.node.fund(Script(b"\x00\x14" + bytes(20)), Sats(10_000))
        assert json.loads(reader.readline())["params"][0]["height"] == height + 1


def test_it_serves_over_tls(chain, tmp_path):
    certificate = make_certificate(tmp_path)
    with ElectrumServer(chain.node, tls=certificate.server()) as secured:
        assert secured.url.startswith("ssl://127.0.0.1:")
        context = certificate.trust()
        with (
            connected(secured.url) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            connection.sendall(PING)
            assert connection.recv(100) == PONG
        with connected(secured.url) as plain:
            plain.sendall(b"no TLS\n")
            with suppress(ConnectionError):
                plain.recv(100)
        with (
            connected(secured.url) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as again,
        ):
            again.sendall(PING)
            assert again.recv(100) == PONG


def test_closing_ends_its_connections(chain):
    server = ElectrumServer(chain.node)
    with connected(server.url) as connection:
        connection.sendall(PING)
        assert connection.recv(100) == PONG
        server.close()
        server.close()
        assert connection.recv(100) == b""


def test_a_port_that_is_taken_is_named(chain):
    taken = int(chain.electrum_url.rpartition(":")[2])
    for port, words in ((taken, f"Port {taken} cannot be listened on"), (65_536, "is no port")):
        with pytest.raises(ConfigurationError, match=words):
            ElectrumServer(chain.node, port=port)
    with pytest.raises(ConfigurationError, match="cannot be listened on"):
        RegtestServer(blocks=0, electrum=taken)


def test_it_serves_an_address_of_version_six(chain):
    with ElectrumServer(chain.node, host="::1") as server:
        assert server.url.startswith("tcp://[::1]:")
        with socket.create_connection(("::1", server.port), 5) as connection:
            connection.sendall(PING)
            assert connection.recv(100) == PONG
