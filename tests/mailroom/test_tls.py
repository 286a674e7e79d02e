"""A mailroom whose own port speaks TLS."""

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path

import httpx2 as httpx
import pytest
from tests.mailroom.client import MESSAGE, Client, new_mailbox, quick
from tests.support.certificates import Certificate, make_certificate
from tests.support.waiting import until

from dovetail.crypto.ohttp import KeyConfig
from dovetail.errors import ConfigurationError
from dovetail.mailroom import MailroomServer


def served(folder: Path, made: Certificate, **changes: object) -> MailroomServer:
    return MailroomServer(quick(folder, tls_cert=made.cert, tls_key=made.key, **changes))


async def shown(port: int, trust: ssl.SSLContext) -> bytes:
    """The certificate that a handshake gets."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    assert isinstance(found, bytes)
    return found


def der(made: Certificate) -> bytes:
    return ssl.PEM_cert_to_DER_cert(made.cert.read_text())


async def test_a_message_goes_through_a_relay_and_a_directory_with_tls(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    with (
        served(tmp_path / "directory", made, wait=20) as directory,
        served(tmp_path / "relay", made, directory=False, ca_file=made.cert) as hop,
    ):
        assert directory.url.startswith("https://")
        async with httpx.AsyncClient(verify=made.trust()) as http:
            keys = (await http.get(f"{directory.url}/ohttp-keys")).content
            client = Client(http, KeyConfig.parse(keys), directory.url, hop.url)
            mailbox = new_mailbox()
            poll = asyncio.create_task(client.poll(mailbox))
            await until(lambda: directory.mailroom._waits.count == 1)
            (await client.post(mailbox)).confirm_posted()
            assert (await poll).message() == MESSAGE


async def test_keys_come_through_a_tunnel_inside_tls(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    trust = made.trust()
    with (
        served(tmp_path / "directory", made) as directory,
        served(tmp_path / "relay", made, directory=False, ca_file=made.cert) as hop,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", hop.port, ssl=trust)
        there = f"127.0.0.1:{directory.port}"
        writer.write(f"CONNECT {there} HTTP/1.1\r\nhost: {there}\r\n\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        await writer.start_tls(trust, server_hostname="127.0.0.1")
        writer.write(b"GET /ohttp-keys HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    KeyConfig.parse(answer.partition(b"\r\n\r\n")[2])


async def test_every_handshake_succeeds_however_early_its_first_bytes_come(
    tmp_path: Path,
) -> None:
    made = make_certificate(tmp_path)
    trust = made.trust()
    with served(tmp_path / "data", made) as server:
        for _ in range(8):
            found = await asyncio.gather(*[shown(server.port, trust) for _ in range(8)])
            assert set(found) == {der(made)}


async def test_plain_http_at_a_port_with_tls_is_hung_up_on(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    with served(tmp_path / "data", made) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        with suppress(ConnectionError):
            assert b"HTTP/1.1" not in await asyncio.wait_for(reader.read(), 5)
        writer.close()


async def test_only_tls_of_today_is_spoken(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    old = made.trust()
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
    with served(tmp_path / "data", made) as server:
        assert await shown(server.port, old) == der(made)
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(OSError):  # which one depends on the system
            await shown(server.port, old)


async def test_a_renewed_certificate_is_served_and_connections_go_on(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    first, trust = der(made), made.trust()
    with served(tmp_path / "data", made) as server:
        async with httpx.AsyncClient(verify=trust) as http:
            assert (await http.get(f"{server.url}/health")).status_code == 200
            make_certificate(tmp_path)
            assert await shown(server.port, trust) == first
            assert "read anew" in await asyncio.wrap_future(server.reload())
            assert await shown(server.port, made.trust()) == der(made) != first
            assert (await http.get(f"{server.url}/health")).status_code == 200


async def test_a_renewal_that_went_wrong_leaves_the_former_certificate(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    other = make_certificate(tmp_path, name="other")
    first, trust = der(made), made.trust()
    with served(tmp_path / "data", made) as server:
        made.key.write_bytes(other.key.read_bytes())
        words = await asyncio.wrap_future(server.reload())
        assert "Nothing was changed" in words
        assert "`tls_key` does not belong" in words
        assert await shown(server.port, trust) == first


def test_a_certificate_that_does_not_fit_starts_nothing(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    other = make_certificate(tmp_path, name="other")
    settings = quick(tmp_path / "data", tls_cert=made.cert, tls_key=other.key)
    with pytest.raises(ConfigurationError, match="`tls_key` does not belong"):
        MailroomServer(settings)
    assert not settings.data_dir.exists()


@pytest.mark.parametrize("name", ["tls_cert", "tls_key"])
def test_a_certificate_needs_its_key(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="`tls_cert` and `tls_key` belong together"):
        quick(tmp_path, **{name: tmp_path / "some.pem"})
