import random
from contextlib import suppress

import pytest
from tests.mailroom.client_hellos import hello

from dovetail.errors import InvalidMessage
from dovetail.mailroom.client_hello import HELLO_LIMIT, host_of_hello

HELLO = hello("directory.example")


def record(message: bytes, *, kind: int = 22, version: bytes = b"\x03\x01") -> bytes:
    return bytes((kind,)) + version + len(message).to_bytes(2) + message


def message(body: bytes, *, kind: int = 1) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3) + body


def body(*extensions: bytes, session: bytes = b"", suites: bytes = b"\x13\x01") -> bytes:
    parts = b"".join(extensions)
    return (
        b"\x03\x03"
        + bytes(32)
        + bytes((len(session),))
        + session
        + len(suites).to_bytes(2)
        + suites
        + b"\x01\x00"
        + (len(parts).to_bytes(2) + parts if parts else b"")
    )


def server_name(*names: bytes, kind: int = 0) -> bytes:
    entries = b"".join(bytes((kind,)) + len(name).to_bytes(2) + name for name in names)
    value = len(entries).to_bytes(2) + entries
    return b"\x00\x00" + len(value).to_bytes(2) + value


def test_the_host_is_read_from_a_real_hello():
    assert host_of_hello(HELLO) == "directory.example"
    assert host_of_hello(hello("")) == ""


def test_every_part_of_one_needs_more():
    assert {host_of_hello(HELLO[:size]) for size in range(len(HELLO))} == {None}


def test_one_in_many_records_is_read():
    whole = HELLO[5:]
    pieces = b"".join(record(whole[at : at + 7]) for at in range(0, len(whole), 7))
    assert host_of_hello(pieces) == "directory.example"


def test_the_name_is_lower_case():
    assert host_of_hello(record(message(body(server_name(b"Directory.EXAMPLE"))))) == (
        "directory.example"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"G",
        b"SSH-2.0",
        b"\x16\x02\x00",
        record(b"", kind=22),
        record(message(body()), kind=23),
        record(message(body(), kind=2)),
        record(message(body()) + b"\x00"),
        record(b"\x01\x00\x50\x00"),
        record(message(body(session=bytes(33)))),
        record(message(body(suites=b""))),
        record(message(body(suites=b"\x13"))),
        record(message(body() + b"\x00")),
        record(message(body(server_name(b"x")) + b"\x00")),
        record(message(body(server_name(b"x"), server_name(b"x")))),
        record(message(body(server_name(b"x", b"y")))),
        record(message(body(server_name(b"x", kind=1)))),
        record(message(body(server_name(b"")))),
        record(message(body(server_name(b"x\x00y")))),
        record(message(body(server_name("\u00e9".encode())))),
        record(message(body(b"\x00\x00\x00\x01\x00"))),
        record(message(body()[:20])),
        b"\x16\x03\x01\x40\x01",
    ],
)
def test_what_is_no_hello_is_refused(data: bytes):
    with pytest.raises(InvalidMessage):
        host_of_hello(data)


def test_no_more_is_looked_at_than_a_hello_has():
    endless = b"".join(record(b"\x01\x00\x3f\xff"[at : at + 1] or b"\x00") for at in range(4_000))
    with pytest.raises(InvalidMessage):
        host_of_hello(endless[:HELLO_LIMIT])


def test_any_damage_is_read_or_refused():
    rng = random.Random(7)
    for _ in range(2_000):
        data = bytearray(HELLO)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with suppress(InvalidMessage):
            host = host_of_hello(bytes(data))
            assert host is None or host.isprintable()
