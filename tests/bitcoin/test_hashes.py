import hashlib

import pytest

from dovetail.bitcoin import hashes

# The RIPEMD-160 page of Dobbertin, Bosselaers and Preneel, test values.
RIPEMD160 = [
    (b"", "9c1185a5c5e9fc54612808977ee8f548b2258d31"),
    (b"abc", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
    (b"message digest", "5d0689ef49d2fae572b881b123a85ffa21595f36"),
    (
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "12a053384a9c0c88e405a06c27dcf49ada62eb2b",
    ),
    (b"1234567890" * 8, "9b752e45573d4b39f4dbd3323cab82bf63326bfb"),
]


@pytest.fixture(params=["OpenSSL has RIPEMD-160", "OpenSSL lacks RIPEMD-160"])
def build(request, monkeypatch):
    def refuse(name, data, **options):
        raise ValueError(name)

    def provide(name, data, **options):
        return hashlib.sha256(b"as OpenSSL answers: " + data)

    lacking = request.param == "OpenSSL lacks RIPEMD-160"
    monkeypatch.setattr(hashlib, "new", refuse if lacking else provide)
    return provide(None, b"abc").digest() if not lacking else bytes.fromhex(RIPEMD160[1][1])


@pytest.mark.parametrize(("data", "digest"), RIPEMD160)
def test_our_ripemd160_computes_the_published_values(data, digest, monkeypatch):
    def refuse(*args, **options):
        raise ValueError

    monkeypatch.setattr(hashlib, "new", refuse)
    assert hashes.ripemd160(data).hex() == digest


def test_ripemd160_is_taken_from_openssl_where_it_has_it(build):
    assert hashes.ripemd160(b"abc") == build


def test_hash160_names_the_generator_point_as_everyone_does():
    generator = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    digest = hashes.hash160(bytes.fromhex(generator))
    assert digest.hex() == "751e76e8199196d454941c45d1b3a323f1433bd6"  # BIP 173, Examples


def test_hash256_is_sha256_twice():
    assert hashes.hash256(b"dovetail") == hashes.sha256(hashes.sha256(b"dovetail"))
