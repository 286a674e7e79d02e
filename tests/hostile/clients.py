"""Clients of our own BIP 78 endpoint that mean to keep it busy, on real sockets."""

from collections.abc import Awaitable, Callable

from tests.bip78.shop import Shop, address_of, opened, said
from tests.hostile.payment import Played, Stage
from tests.hostile.record import Play, Tricks

from dovetail.bip78 import V1ServerSettings
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions import receiver

SETTINGS = V1ServerSettings(read_timeout=0.4, max_connections=4)

Abuse = Callable[[Shop, bytes], Awaitable[None]]
"""What is done at a shop, to the path of an invoice."""


def _head(path: bytes, *lines: bytes) -> bytes:
    head = b"POST %s?v=1 HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\n" % path
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def posts(status: bytes, *lines: bytes, body: bytes = b"", to: bytes | None = None) -> Play:
    async def abuse(shop: Shop, path: bytes) -> None:
        answer = await said(shop.port, _head(to or path, *lines) + body)
        assert answer.startswith(b"HTTP/1.1 " + status), answer[:60]
        assert b"\x1b" not in answer

    return at_a_shop(abuse)


def at_a_shop(abuse: Abuse) -> Play:
    """The invoice stays as it is, and can be paid afterwards."""

    async def play(stage: Stage) -> Played:
        async with opened(stage.world, settings=SETTINGS) as shop:
            invoice = await shop.invoice()
            url = address_of(invoice)
            await abuse(shop, url.removeprefix(shop.url.rstrip("/")).encode())
            state = invoice.state
            assert isinstance(state, receiver.Initialized)
            stage.hear(state)
            address = PayjoinUri.parse(invoice.uri).address
        return Played(address=address)

    return play


CLOSE = b"connection: close"

TRICKS = Tricks()
TRICKS.update(
    announces_a_body_without_end=posts(b"413", b"content-length: 10000000000"),
    sends_chunks=posts(b"411", b"transfer-encoding: chunked", body=b"ffffffff\r\n"),
    drips_a_body=posts(b"408", b"content-length: 900", body=b"cHNidP8"),
    posts_a_page=posts(b"400", b"content-length: 7", CLOSE, body=b"\x1b[2J\x07<>"),
    guesses=posts(b"404 ", b"content-length: 4", CLOSE, body=b"cHNi", to=b"/AAAAAAAAAAAAAAAA"),
)


@TRICKS.by(at_a_shop)
async def says_half_a_head(shop: Shop, _path: bytes) -> None:
    assert await said(shop.port, b"POST /x HTTP/1.1\r\nhost:") == b""
