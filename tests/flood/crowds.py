"""What a hostile client does with whole requests: takes the places of those who wait or write."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from tests.flood.rebinding import OPT_IN
from tests.flood.sending import GATEWAY, HOST, OHTTP, Attack, Target, keep_on

from dovetail.crypto import BhttpRequest, KeyConfig, SecretKey, encapsulate
from dovetail.protocol import ShortId

_MESSAGE = bytes(range(256)) * 28


def _new() -> ShortId:
    return ShortId.of(SecretKey.generate().public_key)


def _whole(path: bytes, body: bytes, fields: bytes = b"") -> bytes:
    length = b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + fields + length + body


def _sealed(keys: KeyConfig, method: str, mailbox: ShortId, body: bytes = b"") -> bytes:
    inner = BhttpRequest(method, "https", "mailroom.test", f"/{mailbox}", body=body)
    return _whole(GATEWAY, encapsulate(keys, inner.serialize(8_104))[0], OHTTP)


def sealed(request: Callable[[KeyConfig], bytes], *, count: int, networks: int = 1) -> Attack:
    """Requests that the gateway opens."""

    async def attack(target: Target) -> None:
        keys = KeyConfig.parse(await target.fetch(GATEWAY))
        await keep_on(lambda: target.ask(request(keys), networks=networks), count)

    return attack


def _forwards(networks: int) -> Attack:
    """Requests for a gateway of one's own, which opts in and then says nothing."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # the attack is over
            if (await reader.readline()).startswith(b"GET"):
                writer.write(OPT_IN)
            await reader.read()
        writer.close()

    async def attack(target: Target) -> None:
        gateway = await asyncio.start_server(say, "127.0.0.9", 0)
        async with gateway:
            port = gateway.sockets[0].getsockname()[1]
            request = _whole(b"/http://127.0.0.9:%d/" % port, bytes(8_192), OHTTP)
            await keep_on(lambda: target.ask(request, networks=networks), 300)

    return attack


def _plaintext(networks: int) -> Attack:
    def request() -> bytes:
        return _whole(b"/" + str(_new()).encode(), b"cHNidP8=")

    return lambda target: keep_on(lambda: target.ask(request(), networks=networks), 300)


def _posts(keys: KeyConfig) -> bytes:
    return _sealed(keys, "POST", _new(), _MESSAGE)


def _polls(keys: KeyConfig) -> bytes:
    return _sealed(keys, "GET", _new())


CROWDS: dict[str, Attack] = {
    "new mailboxes": sealed(_posts, count=8),
    "new mailboxes, 12 networks": sealed(_posts, count=12, networks=12),
    "polls of empty mailboxes": sealed(_polls, count=300),
    "polls of empty mailboxes, 12 networks": sealed(_polls, count=300, networks=12),
    "polls of one mailbox": sealed(partial(_sealed, method="GET", mailbox=_new()), count=300),
    "senders of BIP 78": _plaintext(1),
    "senders of BIP 78, 12 networks": _plaintext(12),
    "requests for a silent gateway": _forwards(1),
    "requests for a silent gateway, 12 networks": _forwards(12),
}
