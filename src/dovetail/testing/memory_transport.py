"""Both parties of a session in one process, without a socket: `MemoryTransport`.

Its directory is in this process too. The cryptography is real: an agent sends the same ciphertext
as over the network, and the gateway's key decrypts it (BIP 77, RFC 9458, RFC 9292).
"""

import asyncio

from dovetail.crypto.bhttp import BhttpRequest, BhttpResponse
from dovetail.crypto.ohttp import RESPONSE_OVERHEAD, GatewayKey, KeyConfig, decapsulate
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.errors import TransportError, UsageError
from dovetail.extras import brought_by
from dovetail.protocol.requests import (
    GATEWAY_PATH,
    OHTTP_MESSAGE_SIZE,
    OHTTP_REQUEST_TYPE,
    Request,
)

with brought_by("agent", "dovetail.testing.memory_transport"):
    from dovetail.runtime.transport import LIMIT, Reply

_RESPONSE_SIZE = OHTTP_MESSAGE_SIZE - RESPONSE_OVERHEAD
_LOOK_AGAIN = 0.005
_OK, _EMPTY, _NOT_FOUND = 200, 202, 404


class MemoryTransport:
    """The `Transport` of both parties, to a directory and to relays in this process.

    Every relay leads to the one directory, which is at `origin`::

        wire = MemoryTransport()
        parts = {"transport": wire, "relays": ["https://relay.example"]}
        async with (
            Agent(store=…, wallet=…, chain=…, directory=wire.origin, **parts) as receiver,
            Agent(store=…, wallet=…, chain=…, **parts) as sender,
        ):
            ...

    A mailbox keeps the first message that is posted to it. A session of BIP 78 alone has no
    mailbox, and is not carried.
    """

    def __init__(self, origin: str = "https://directory.example", *, hold: float = 1.0) -> None:
        """A poll of an empty mailbox is answered after `hold` seconds, or once a message comes."""
        self.origin = origin
        self.sent: list[bytes] = []
        """Every ciphertext that was sent, answered or not: no two are equal (P1)."""
        self.lose_requests = 0
        """How many of the next requests are lost on their way."""
        self.lose_answers = 0
        """How many of the next answers are lost on their way back."""
        self._hold = hold
        self._key = GatewayKey(1, SecretKey.generate())
        self._mailboxes: dict[str, bytes] = {}

    @property
    def ohttp_keys(self) -> KeyConfig:
        """The directory's OHTTP keys, as agents fetch them."""
        return self._key.config

    async def post(self, request: Request, *, limit: int = LIMIT) -> Reply:
        """See `Transport.post`; raises `UsageError` for a request that is not of BIP 77."""
        if request.content_type != OHTTP_REQUEST_TYPE:
            raise UsageError("This transport carries no requests of BIP 78.")
        self.sent.append(request.body)
        await asyncio.sleep(0)
        if self.lose_requests:
            self.lose_requests -= 1
            raise TransportError("The request was lost on its way, as the test asked for.")
        message, context = decapsulate(self._key, request.body)
        status, body = await self._answer(BhttpRequest.parse(message))
        if self.lose_answers:
            self.lose_answers -= 1
            raise TransportError("The answer was lost on its way, as the test asked for.")
        sealed = context.seal(BhttpResponse(status, body=body).serialize(_RESPONSE_SIZE))
        return _within(limit, Reply(_OK, sealed))

    async def get(
        self,
        url: str,
        *,
        proxy: str | None = None,  # noqa: ARG002 - each relay leads here
        limit: int = LIMIT,
    ) -> Reply:
        """See `Transport.get`: the directory's keys, and nothing else."""
        await asyncio.sleep(0)
        if url != self.origin + GATEWAY_PATH:
            return Reply(_NOT_FOUND, b"")
        return _within(limit, Reply(_OK, self.ohttp_keys.serialize()))

    async def _answer(self, request: BhttpRequest) -> tuple[int, bytes]:
        if f"{request.scheme}://{request.authority}" != self.origin:
            return _NOT_FOUND, b""
        if request.method == "POST":
            self._mailboxes.setdefault(request.path, request.body)
            return _OK, b""
        if request.method != "GET":
            return _NOT_FOUND, b""
        message = await self._await_message(request.path)
        return (_EMPTY, b"") if message is None else (_OK, message)

    async def _await_message(self, mailbox: str) -> bytes | None:
        """Poll for the message, as the parties may run in separate event loops."""
        until = asyncio.get_running_loop().time() + self._hold
        while (message := self._mailboxes.get(mailbox)) is None:
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                return None
            await asyncio.sleep(min(_LOOK_AGAIN, left))
        return message


def _within(limit: int, reply: Reply) -> Reply:
    if len(reply.body) > limit:
        raise TransportError("The server answered with more than the protocol allows.")
    return reply
