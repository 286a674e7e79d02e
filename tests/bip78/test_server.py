import asyncio
import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from tests.bip78.shop import address_of, opened, post
from tests.support.certificates import make_certificate
from tests.support.stepping import Side
from tests.support.world import World, until

from dovetail.bip78 import V1ServerSettings, load_tls
from dovetail.errors import ConfigurationError
from dovetail.sessions import receiver


async def test_what_was_asked_before_the_end_is_answered_and_durable(
    world: World, alice: Side, bob: Side
):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        body = shop.original(invoice).to_base64().encode()
        bob.party.chain.away = True
        asked = asyncio.create_task(post(address_of(invoice), body))
        await until(invoice, receiver.UncheckedOriginalPayload)
        bob.party.chain.away = False
    answer = await asked  # the server has stopped meanwhile
    assert answer.status_code == 200
    async with opened(world, resume=False) as shop:
        log = shop.agent.services.store.receiver(invoice.session_id)
        state = receiver.replay(log.load())
        assert isinstance(state, receiver.PayjoinProposal | receiver.Monitor)


async def test_who_cannot_be_answered_before_the_end_hears_that(
    world: World, alice: Side, bob: Side
):
    async with opened(world, settings=V1ServerSettings(drain_timeout=0.4)) as shop:
        invoice = await shop.invoice()
        body = shop.original(invoice).to_base64().encode()
        bob.party.chain.away = True
        asked = asyncio.create_task(post(address_of(invoice), body))
        await until(invoice, receiver.UncheckedOriginalPayload)
    answer = await asked
    assert answer.status_code == 503
    assert answer.json()["errorCode"] == "unavailable"


async def test_a_client_that_keeps_its_tls_connection_does_not_keep_the_server(
    world: World, tmp_path: Path
):
    made = make_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=made.cert)

    def asks_once(port: int) -> ssl.SSLSocket:
        """And then neither reads nor hangs up."""
        plain = socket.create_connection(("127.0.0.1", port))
        secured = trust.wrap_socket(plain, server_hostname="127.0.0.1")
        secured.sendall(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
        assert secured.recv(100).startswith(b"HTTP/1.1 405")
        return secured

    async with opened(world, tls=load_tls(made.cert, made.key)) as shop:
        client = await asyncio.to_thread(asks_once, shop.port)
        begun = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - begun < V1ServerSettings().drain_timeout / 2
    client.close()


async def test_a_tls_handshake_that_stalls_has_so_long_and_counts_as_its_clients(
    world: World, tmp_path: Path, alice: Side, bob: Side
):
    made = make_certificate(tmp_path)
    settings = V1ServerSettings(read_timeout=0.8, max_connections_per_client=2)
    assert V1ServerSettings().read_timeout == 10
    async with opened(world, tls=load_tls(made.cert, made.key), settings=settings) as shop:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        address = ("127.0.0.1", shop.port)
        stalled = [
            await asyncio.open_connection(*address, local_addr=(f"127.9.9.{n}", 0)) for n in (1, 2)
        ]
        stalled[0][1].write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
        await asyncio.sleep(0.1)
        reader, refused = await asyncio.open_connection(*address, local_addr=("127.9.9.3", 0))
        with suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 0.4) == b""
        assert loop.time() - begun < settings.read_timeout
        assert await _status(shop.port, made.trust()) == b"HTTP/1.1 405 Method Not Allowed\r\n"
        for each, _ in stalled:
            with suppress(ConnectionError):
                assert await asyncio.wait_for(each.read(), 5) == b""
        assert 0.7 < loop.time() - begun < 4
        for _, writer in (*stalled, (None, refused)):
            writer.close()
        assert await _status(shop.port, made.trust(), local="127.9.9.4")  # places are free again


async def _status(port: int, trust: ssl.SSLContext, *, local: str = "127.0.0.1") -> bytes:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=trust, local_addr=(local, 0)
    )
    writer.write(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
    line = await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return line


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n"])
async def test_an_end_does_not_wait_for_a_handshake_or_for_what_is_none(
    world: World, tmp_path: Path, data: bytes
):
    made = make_certificate(tmp_path)
    async with opened(world, tls=load_tls(made.cert, made.key)) as shop:
        reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
        writer.write(data)
        await asyncio.sleep(0.1)
        begun = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - begun < 2
    with suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def test_a_request_in_one_piece_with_the_end_of_the_handshake_is_answered(
    world: World, tmp_path: Path
):
    made = make_certificate(tmp_path)
    async with opened(world, tls=load_tls(made.cert, made.key)) as shop:
        answer = await asyncio.to_thread(_asks_early, shop.port, made.trust())
    assert answer.startswith(b"HTTP/1.1 405")


def _asks_early(port: int, trust: ssl.SSLContext) -> bytes:
    """Send the last flight of the handshake and a request together."""
    arrived, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
    secured = trust.wrap_bio(arrived, leaving, server_hostname="127.0.0.1")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        while True:
            try:
                secured.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(leaving.read())
                arrived.write(plain.recv(65_536))
        secured.write(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
        plain.sendall(leaving.read())
        while True:
            try:
                return secured.read(65_536)
            except ssl.SSLWantReadError:
                arrived.write(plain.recv(65_536))


async def test_a_port_that_is_taken_is_told(world: World, bob: Side):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="cannot be listened on"):
            async with opened(world, port=taken.getsockname()[1]):
                pass


def test_a_certificate_and_its_key_are_loaded(tmp_path: Path):
    made = make_certificate(tmp_path)
    assert load_tls(made.cert, made.key).get_ca_certs() == []


def test_files_that_do_not_fit_are_named_by_their_options(tmp_path: Path):
    made, other = make_certificate(tmp_path), make_certificate(tmp_path, name="other")
    for certificate, key, words in (
        (made.cert, other.key, "do not fit"),
        (made.key, made.key, "do not fit"),
        (tmp_path / "none", made.key, "cannot be read"),
    ):
        with pytest.raises(ConfigurationError, match=f"{words}.*`certificate` and `key`"):
            load_tls(certificate, key)


def test_an_encrypted_key_is_refused_and_nobody_is_asked(tmp_path: Path):
    made = make_certificate(tmp_path, password=b"secret")
    with pytest.raises(ConfigurationError, match="encrypted"):
        load_tls(made.cert, made.key)
