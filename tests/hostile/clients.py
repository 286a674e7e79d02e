"""Clients of our own BIP 78 endpoint that mean to keep it busy, on real sockets."""

from collections.abc import Awaitable, Callable

from tests.bip78.shop import Shop, address_of, opened, said
from tests.hostile.payment import Ends, Played, Stage
from tests.hostile.record import Decorator, Peer, Play, trick, tricks_in

from dovetail.bip78 import V1ServerSettings
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions import receiver

SETTINGS = V1ServerSettings(read_timeout=0.4, max_connections=4)

Abuse = Callable[[Shop, bytes], Awaitable[None]]
"""What is done at a shop, to the path of an invoice."""


def _head(path: bytes, *lines: bytes) -> bytes:
    head = b"POST %s?v=1 HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\n" % path
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def posts(status: bytes, *lines: bytes, body: bytes = b"") -> Abuse:
    async def abuse(shop: Shop, path: bytes) -> None:
        answer = await said(shop.port, _head(path, *lines) + body)
        assert answer.startswith(b"HTTP/1.1 " + status), answer[:60]
        assert b"\x1b" not in answer

    return abuse


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


def keeps_busy(we: str, rule: str, **named: str) -> Decorator:
    return trick(
        peer=Peer.CLIENT,
        we=we,
        rule=rule,
        told="Waiting for the sender.",
        ends=Ends.UNPAID,
        playing=at_a_shop,
        **named,
    )


CHECKS = "BIP 78, Protocol: what a request must be"


_TABLE_1 = (
    keeps_busy(
        "Answers 413, and reads nothing of it.",
        f"{CHECKS}; the length is compared before the body is read",
        name="announces a body without end",
        words="Announces ten gigabytes.",
    )(posts(b"413", b"content-length: 10000000000")),
    keeps_busy(
        "Answers 411, and reads nothing of it.",
        f"{CHECKS}: the length must be known",
        name="sends chunks",
        words="Sends a body of unknown length.",
    )(posts(b"411", b"transfer-encoding: chunked", body=b"ffffffff\r\n")),
    keeps_busy(
        "Answers 408 after ten seconds, and closes the connection.",
        "A body has a deadline",
        name="drips a body",
        words="Announces 900 bytes and sends seven.",
    )(posts(b"408", b"content-length: 900", body=b"cHNidP8")),
)


@keeps_busy("Closes the connection after ten seconds.", "A head has a deadline")
async def says_half_a_head(shop: Shop, _path: bytes) -> None:
    """Begins a request and does not end it."""
    assert await said(shop.port, b"POST /x HTTP/1.1\r\nhost:") == b""


_TABLE_2 = (
    keeps_busy(
        "Answers `original-psbt-rejected`, and repeats nothing of it.",
        f"{CHECKS}: a PSBT in base64",
        name="posts a page",
        words="Posts terminal escapes instead of a PSBT.",
    )(posts(b"400", b"content-length: 7", b"connection: close", body=b"\x1b[2J\x07<>")),
)


@keeps_busy("Answers 404; places are drawn at random, 80 bits long.", "ADR 0017")
async def guesses(shop: Shop, _path: bytes) -> None:
    """Posts to places that no invoice has, to find those that one has."""
    lines = b"content-length: 4", b"connection: close"
    answer = await said(shop.port, _head(b"/AAAAAAAAAAAAAAAA", *lines) + b"cHNi")
    assert answer.startswith(b"HTTP/1.1 404 ")


TRICKS = tricks_in(globals())
