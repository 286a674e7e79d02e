"""What the system says of connections, files and ports, in our words."""

import errno
import socket
import ssl
from contextlib import closing

import pytest
from tests.support.certificates import make_certificate

from dovetail.causes import chain_of, no_connection, no_file, no_port, place


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_a_port_where_nothing_listens():
    with listening() as server:
        address = server.getsockname()
    with pytest.raises(OSError, match="refused") as caught:
        socket.create_connection(address, 5)
    assert no_connection(caught.value) == "nothing listens at its port"


def test_a_name_that_nobody_has():
    with pytest.raises(socket.gaierror) as caught:
        socket.create_connection(("nobody.invalid", 1), 5)
    assert no_connection(caught.value).startswith("its name is not known")


def test_a_server_that_does_not_answer():
    with listening() as server, closing(socket.create_connection(server.getsockname())) as client:
        client.settimeout(0.01)
        with pytest.raises(TimeoutError) as caught:
            client.recv(1)
    assert no_connection(caught.value) == "it does not answer"


def test_a_server_that_speaks_no_tls():
    with listening() as server, closing(socket.create_connection(server.getsockname())) as client:
        accepted, _ = server.accept()
        with accepted:
            accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            with pytest.raises(ssl.SSLError) as caught:
                ssl.create_default_context().wrap_socket(client, server_hostname="localhost")
    assert "may be meant for http" in no_connection(caught.value)


def test_a_certificate_that_nobody_vouches_for(tmp_path):
    certificate = make_certificate(tmp_path)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = certificate.server().wrap_bio(outgoing, incoming, server_side=True)
    ours = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    for side in (ours, theirs):
        with pytest.raises(ssl.SSLWantReadError):
            side.do_handshake()
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        ours.do_handshake()
    assert no_connection(caught.value).startswith("its certificate cannot be trusted (")


def test_a_cause_is_found_under_what_came_of_it():
    refused = OSError(errno.ECONNREFUSED, "refused")
    grouped = ExceptionGroup("several", [ValueError(), refused])
    outer = RuntimeError("no way")
    outer.__cause__ = grouped
    assert list(chain_of(outer))[:2] == [outer, grouped]
    assert no_connection(outer) == "nothing listens at its port"
    assert no_connection(RuntimeError()) == ""


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "its mode"),
        (errno.ENOTDIR, "is a file"),
        (errno.EIO, "health"),
        (errno.ELOOP, "the system refuses it (Too many levels)"),
    ],
)
def test_what_is_wrong_with_a_file(number, words):
    assert words in no_file(OSError(number, "Too many levels"))
    assert no_file(OSError()).startswith("the system refuses it (OSError)")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EADDRINUSE, "another program listens there"),
        (errno.EACCES, "from 1024 on"),
        (errno.EADDRNOTAVAIL, "none of this machine's"),
        (errno.EINVAL, "choose another port or host"),
    ],
)
def test_what_is_wrong_with_a_port(number, words):
    assert words in no_port(OSError(number, ""))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://relay.example/a/secret?with=more#fragment", "relay.example"),
        ("http://user:word@127.0.0.1:8080/x", "127.0.0.1:8080"),
        ("http://[::1]:80/", "[::1]:80"),
        ("http://[::1/", ""),
        ("http://a:b/", ""),
    ],
)
def test_of_a_url_only_the_place_is_shown(url, shown):
    assert place(url) == shown
