"""A whole session of both parties, from the URI to both logs closed, every event as JSON."""

from collections.abc import Iterator
from secrets import token_bytes
from time import perf_counter

from benchmarks.harness import AtMost, Comparison, Figure, Timer, repeated
from benchmarks.payjoin_round import Payjoin
from benchmarks.primitives import context, new_key, response
from btclib_secp256k1 import ecdh, ellswift

TITLE = "A whole session, both parties in process, without HTTP and signing"
BASELINE = "the native peer, rust-payjoin: 1.47 ms on this kind of machine, not measured here"

_MESSAGE, _REQUEST = bytes(7088), bytes(8104)
_NATIVE_PEER = Figure(1.47e-3)


def comparisons() -> Iterator[Comparison]:
    """Both parties alone, beside the least their messages cost, and with the directory's work.

    Wallets sign off the clock, and read their PSBT there; all checks and all events are on it.
    """
    yield Comparison("both parties", _timer(with_directory=False), _NATIVE_PEER, target=AtMost(1.5))
    yield Comparison(
        "both parties, beside bare primitives alone",
        _timer(with_directory=False),
        repeated(_primitives),
    )
    yield Comparison(
        "the same, and the gateway and mailboxes",
        _timer(with_directory=True),
        _NATIVE_PEER,
    )


def _primitives() -> None:
    """Keys, ECDH, HMACs, ElligatorSwift and ChaCha20-Poly1305 of one session, called bare.

    Two lasting keys, Messages A and B at both ends (B with two ECDHs at each), four requests and
    their answers at the client's.
    """
    lasting, receiver = new_key()
    _, reply = new_key()
    for public in (receiver, reply):
        secret, encapsulated = new_key()
        cipher, nonce, _ = context(secret, public, encapsulated + public)
        message = cipher.encrypt(nonce, _MESSAGE, b"")
        ellswift.decode(ellswift.encode(encapsulated, token_bytes(32)), compressed=False)
        context(secret, public, encapsulated + public)[0].decrypt(nonce, message, b"")
    for _ in range(2):
        ecdh.shared_point(reply, lasting)
    for _ in range(4):
        secret, encapsulated = new_key()
        cipher, nonce, exporter = context(secret, receiver, encapsulated + receiver)
        cipher.encrypt(nonce, _REQUEST, b"")
        cipher, nonce = response(exporter, encapsulated, nonce)
        cipher.encrypt(nonce, _REQUEST, b"")


def _timer(*, with_directory: bool) -> Timer:
    def timer(repetitions: int) -> float:
        excluded = 0.0
        start = perf_counter()
        for _ in range(repetitions):
            payjoin = Payjoin()
            payjoin.run()
            excluded += payjoin.signing
            if not with_directory:
                excluded += payjoin.serving
        return perf_counter() - start - excluded

    return timer
