import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.certificates import make_certificate
from tests.support.scripted_electrum import ScriptedElectrum

from dovetail.bitcoin import Network
from dovetail.errors import ChainError, ConfigurationError
from dovetail.tor import SocksProxy
from dovetail.wallets.electrum.chain import ElectrumChain
from dovetail.wallets.electrum.connection import connect, load_pin
from dovetail.wallets.server_url import ChainServer


def dial(url: str, certificate: Path | None = None, timeout: float = 5) -> None:
    with ElectrumChain(ChainServer(url, certificate), Network.REGTEST, timeout=timeout) as chain:
        chain.height()


@pytest.fixture
def secured(server, tmp_path):
    """An Electrum server over TLS that signs its own certificate, and the certificate."""
    certificate = make_certificate(tmp_path, ())
    with ScriptedElectrum(server.node, certificate.server()) as running:
        yield running, certificate.cert


def test_a_certificate_that_nobody_vouches_for_is_refused(secured):
    server, _ = secured
    with pytest.raises(ChainError, match=r"This system does not trust.*`chain_certificate`"):
        dial(server.url)
    assert server.asked == []


def test_a_certificate_that_the_system_trusts_is_taken_for_its_host_alone(secured, monkeypatch):
    server, certificate = secured
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    dial(server.url)
    with pytest.raises(ChainError, match="This system does not trust"):
        dial(server.url.replace("127.0.0.1", "localhost"))


def test_a_pinned_certificate_is_taken_whatever_its_name(secured):
    server, certificate = secured
    dial(server.url, certificate)
    dial(server.url.replace("127.0.0.1", "localhost"), certificate)


def test_another_certificate_than_the_pinned_one_is_refused(secured, tmp_path, monkeypatch):
    server, certificate = secured
    folder = tmp_path / "other"
    folder.mkdir()
    other = make_certificate(folder).cert
    # What the system trusts does not count beside a pin.
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(ChainError, match=r"is not the one that `chain_certificate` names"):
        dial(server.url, other)
    assert server.asked == []


def test_a_file_that_holds_no_certificate_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="`chain_certificate` names cannot be read"):
        load_pin(tmp_path / "none.pem")
    with pytest.raises(ConfigurationError, match="`chain_certificate` names cannot be read"):
        load_pin(tmp_path)
    path = tmp_path / "some.pem"
    for content in (b"", b"text", b"\xff\xff", b"-----BEGIN CERTIFICATE-----\nAA\n"):
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match="not one certificate in PEM"):
            load_pin(path)


def test_a_server_in_the_clear_is_not_taken_for_tls(scripted_electrum):
    url = scripted_electrum.url.replace("tcp://", "ssl://")
    with pytest.raises(ChainError, match="does not use TLS at this port; check the port"):
        dial(url)


def test_a_server_over_tls_is_not_spoken_to_in_the_clear(secured):
    server, _ = secured
    with pytest.raises(ChainError):
        dial(server.url.replace("ssl://", "tcp://"))


def test_a_server_that_is_gone_cannot_be_reached():
    for scheme in ("tcp", "ssl"):
        with pytest.raises(
            ChainError, match=r"no connection to the chain server.*: check `chain`"
        ) as caught:
            dial(f"{scheme}://127.0.0.1:1")
        assert "127.0.0.1" not in str(caught.value)


def test_a_name_that_is_none_cannot_be_reached():
    with pytest.raises(ChainError, match=r"no connection to the chain server.*: check `chain`"):
        dial(f"ssl://{'x' * 64}.invalid:1")


def test_a_server_that_never_ends_its_handshake_takes_too_long():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(ChainError, match="too long"):
            dial(f"ssl://127.0.0.1:{port}", timeout=0.1)


ONION = ChainServer(f"tcp://{'a' * 56}.onion:50001", proxy=SocksProxy("127.0.0.1", 1))


def through(*script: bytes) -> bytes:
    """What a proxy hears that says this, one piece after each thing it hears."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:

        def serve() -> bytes:
            heard = b""
            connection, _ = listener.accept()
            with connection:
                for piece in script:
                    heard += connection.recv(1000)
                    connection.sendall(piece)
            return heard

        hearing = pool.submit(serve)
        try:
            connect(
                ChainServer(ONION.url, proxy=SocksProxy(*listener.getsockname()[:2])), timeout=5
            ).close()
        finally:
            heard = hearing.result()
    return heard


def test_an_onion_address_goes_to_the_proxy_by_its_name():
    heard = through(b"\x05\x00", b"\x05\x00\x00\x01" + bytes(6))
    assert heard == b"\x05\x01\x00\x05\x01\x00\x03\x3e" + b"a" * 56 + b".onion" + b"\xc3\x51"
    through(b"\x05\x00", b"\x05\x00\x00\x03\x02ab" + bytes(2))


@pytest.mark.parametrize(
    "script",
    [
        (b"\x05\xff",),
        (b"HTTP",),
        (b"",),
        (b"\x05\x00", b"\x04\x00\x00\x01"),
        (b"\x05\x00", b"\x05"),
    ],
)
def test_what_is_no_socks_proxy_is_told_by_its_setting(script):
    with pytest.raises(ChainError, match="no SOCKS5 proxy without a login: correct `tor`"):
        through(*script)


def test_a_proxy_without_a_way_says_so():
    with pytest.raises(ChainError, match="Tor found no way"):
        through(b"\x05\x00", b"\x05\x04\x00\x01" + bytes(6))


def test_a_proxy_that_is_gone_is_told_by_its_setting():
    with pytest.raises(ChainError, match="Tor does not answer where `tor` says"):
        connect(ONION, timeout=5)


def test_tls_is_not_below_one_point_two(secured, monkeypatch):
    server, certificate = secured
    found = connect(ChainServer(server.url, certificate), timeout=5)
    assert isinstance(found, ssl.SSLSocket)
    assert found.version() in ("TLSv1.2", "TLSv1.3")
    found.close()
