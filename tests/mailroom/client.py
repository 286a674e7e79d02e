"""A payjoin client's side of HTTP, over any httpx client."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2 as httpx
from tests.support.clock import Clock
from tests.support.waiting import until

from dovetail.crypto import BhttpRequest, BhttpResponse, KeyConfig, SecretKey, encapsulate
from dovetail.mailroom import Mailroom, MailroomSettings
from dovetail.protocol import MailboxReply, Request, ShortId, poll_mailbox, post_to_mailbox
from dovetail.protocol.requests import OhttpContext

MESSAGE = bytes(range(256)) * 28
GATEWAY = "/.well-known/ohttp-gateway"
DIRECTORY = "http://mailroom.test"
OHTTP = {"content-type": "message/ohttp-req"}


def new_mailbox() -> ShortId:
    return ShortId.of(SecretKey.generate().public_key)


def quick(folder: Path, **changes: Any) -> MailroomSettings:
    """Settings under which nothing takes long."""
    return MailroomSettings(folder, **({"wait": 0.05, "local": True} | changes))


@dataclass(frozen=True, slots=True)
class Client:
    """Speaks to one mailroom as wallets do."""

    http: httpx.AsyncClient
    keys: KeyConfig
    directory: str = DIRECTORY
    relay: str | None = None

    async def post(
        self, short_id: ShortId, body: bytes = MESSAGE, *, method: Any = "POST"
    ) -> MailboxReply:
        return await self._send(
            *post_to_mailbox(
                relay=self.relay,
                directory=self.directory,
                short_id=short_id,
                ohttp_keys=self.keys,
                body=body,
                method=method,
            )
        )

    async def poll(self, short_id: ShortId) -> MailboxReply:
        return await self._send(
            *poll_mailbox(
                relay=self.relay, directory=self.directory, short_id=short_id, ohttp_keys=self.keys
            )
        )

    async def inner(self, message: bytes) -> BhttpResponse:
        """Send any bytes inside OHTTP."""
        body, context = encapsulate(self.keys, message)
        answer = await self.http.post(self.directory + GATEWAY, content=body, headers=OHTTP)
        assert answer.status_code == 200
        assert len(answer.content) == 8192
        return BhttpResponse.parse(context.open(answer.content))

    async def ask(self, method: str, path: str, body: bytes = b"") -> BhttpResponse:
        request = BhttpRequest(method, "https", "mailroom.test", path, body=body)
        return await self.inner(request.serialize(8104))

    async def _send(self, request: Request, context: OhttpContext) -> MailboxReply:
        headers = {"content-type": request.content_type}
        answer = await self.http.post(request.url, content=request.body, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "message/ohttp-res"
        return context.open(answer.content)


def at(client: Client, address: str) -> Client:
    """The same client, at another network address."""
    app = client.http._transport.app  # type: ignore[attr-defined]  # httpx shows it to nobody
    transport = httpx.ASGITransport(app, client=(address, 1))
    return replace(client, http=httpx.AsyncClient(transport=transport, base_url=DIRECTORY))


@asynccontextmanager
async def in_process(
    settings: MailroomSettings,
    clock: Callable[[], float] = Clock(),  # noqa: B008  # never moved
) -> AsyncIterator[tuple[Any, Client]]:
    """A mailroom, into which tests look, and a client of it, without sockets."""
    async with (
        Mailroom(settings, clock=clock, passed=clock) as mailroom,
        httpx.AsyncClient(transport=httpx.ASGITransport(mailroom), base_url=DIRECTORY) as http,
    ):
        keys = KeyConfig.parse((await http.get(GATEWAY)).content)
        yield mailroom, Client(http, keys)


async def waiting(mailroom: Mailroom, count: int) -> None:
    """Wait until so many poll."""
    await until(lambda: mailroom._waits.count == count)
