"""Crowds at a mailroom's limits, from one network and on real sockets, and an honest client."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import pytest
from tests.mailroom.client import MESSAGE, OHTTP, Client, new_mailbox, quick
from tests.mailroom.fake_gateway import fake_gateway

from dovetail.crypto.ohttp import KeyConfig
from dovetail.mailroom import Mailroom, MailroomServer
from dovetail.protocol.mailbox import ShortId

HONEST = "127.0.3.1"
CROWD = tuple(f"127.0.2.{n}" for n in range(1, 9))
BODY = b"\x01" * 8192
PATIENCE = 10.0
"""Seconds within which an honest request is answered."""
AT_ONCE = 24
LIMITS = {
    "wait": 20.0,
    "max_new_mailboxes": 40,
    "max_new_mailboxes_per_client": 20,
    "max_waits": 16,
    "max_v1_waits": 8,
    "max_forwards": 16,
    "max_lookups": 8,
    "max_lookups_per_client": 2,
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A mailroom with a relay, another directory behind it, and who comes from where."""

    mailroom: MailroomServer
    other: str
    silent: str
    opened: AsyncExitStack
    honest_mailbox: ShortId

    async def client(self, address: str, *, through_relay: bool = False) -> Client:
        transport = httpx.AsyncHTTPTransport(
            local_address=address, limits=httpx.Limits(max_connections=AT_ONCE)
        )
        http = await self.opened.enter_async_context(
            httpx.AsyncClient(transport=transport, timeout=30)
        )
        at = self.other if through_relay else self.mailroom.url
        keys = KeyConfig.parse((await http.get(f"{at}/ohttp-keys")).content)
        return Client(http, keys, at, self.mailroom.url if through_relay else None)


Act = Callable[[Scene, Client], Awaitable[object]]


async def fills_mailboxes(_scene: Scene, client: Client) -> None:
    await client.post(new_mailbox())


async def polls_empty_mailboxes(_scene: Scene, client: Client) -> None:
    await client.poll(new_mailbox())


async def polls_the_mailbox_of_another(scene: Scene, client: Client) -> None:
    await client.poll(scene.honest_mailbox)


async def takes_the_places_of_v1_senders(scene: Scene, client: Client) -> None:
    await client.http.post(f"{scene.mailroom.url}/{new_mailbox()}", content=b"cHNidP8=")


async def has_requests_sent_where_nobody_answers(scene: Scene, client: Client) -> None:
    url = f"{scene.mailroom.url}/{scene.silent}/"
    await client.http.post(url, content=BODY, headers=OHTTP)


async def names_gateways_that_no_server_resolves(scene: Scene, client: Client) -> None:
    url = f"{scene.mailroom.url}/https://{str(new_mailbox()).lower()}.silent.test/"
    await client.http.post(url, content=BODY, headers=OHTTP)


async def is_paid(_scene: Scene, client: Client) -> None:
    mailbox = new_mailbox()
    poll = asyncio.create_task(client.poll(mailbox))
    await asyncio.sleep(0.05)
    (await client.post(mailbox)).confirm_posted()
    assert (await poll).message() == MESSAGE


async def is_paid_by_v1(scene: Scene, client: Client) -> None:
    mailbox = new_mailbox()
    url = f"{scene.mailroom.url}/{mailbox}"
    sender = asyncio.create_task(client.http.post(url, content=b"cHNidP8="))
    assert (await client.poll(mailbox)).message() == b"cHNidP8=\n"
    await client.post(mailbox, b"proposal", method="PUT")
    assert (await sender).content == b"proposal"


ATTACKS: dict[str, tuple[Act, Act, bool]] = {
    "mailboxes from one network": (fills_mailboxes, is_paid, False),
    "polls from one network": (polls_empty_mailboxes, is_paid, False),
    "senders of BIP 78 from one network": (takes_the_places_of_v1_senders, is_paid_by_v1, False),
    "a gateway that never answers": (has_requests_sent_where_nobody_answers, is_paid, True),
    "names on silent servers": (names_gateways_that_no_server_resolves, is_paid, True),
}


async def _find(host: str, _port: int) -> list[str]:
    if host.endswith(".silent.test"):
        await asyncio.sleep(3)
        raise OSError
    return [host]


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    settings = quick(folder / "one", v1=True, **LIMITS)
    async with AsyncExitStack() as opened, fake_gateway() as silent:
        silent.post = None
        mailroom = MailroomServer(settings, mailroom=Mailroom(settings, resolve=_find))
        opened.push_async_callback(asyncio.to_thread, mailroom.close)
        other = MailroomServer(quick(folder / "other", wait=20.0))
        opened.push_async_callback(asyncio.to_thread, other.close)
        yield Scene(mailroom, other.url, silent.url, opened, new_mailbox())


@asynccontextmanager
async def crowded(there: Scene, act: Act) -> AsyncIterator[None]:
    """`AT_ONCE` of one network do the same again and again."""

    async def go_on(client: Client) -> None:
        while True:
            try:
                await act(there, client)
            except (httpx.HTTPError, AssertionError):  # refused, or cut
                await asyncio.sleep(0.01)

    crowd = [await there.client(each) for each in CROWD]
    tasks = [asyncio.create_task(go_on(crowd[n % len(crowd)])) for n in range(AT_ONCE)]
    try:
        await asyncio.sleep(0.7)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_honest_client_goes_on_beside_a_crowd(tmp_path: Path, name: str) -> None:
    act, honestly, through_relay = ATTACKS[name]
    async with scene(tmp_path) as there:
        honest = await there.client(HONEST, through_relay=through_relay)
        async with crowded(there, act):
            for _ in range(4):
                began = time.monotonic()
                await honestly(there, honest)
                assert time.monotonic() - began < PATIENCE


async def test_polls_of_one_mailbox_do_not_end_the_honest_one(tmp_path: Path) -> None:
    async with scene(tmp_path) as there:
        honest = await there.client(HONEST)
        poll = asyncio.create_task(honest.poll(there.honest_mailbox))
        await asyncio.sleep(0.1)
        async with crowded(there, polls_the_mailbox_of_another):
            assert not poll.done()
            (await honest.post(there.honest_mailbox)).confirm_posted()
            assert (await asyncio.wait_for(poll, PATIENCE)).message() == MESSAGE


async def test_mailboxes_through_one_relay_leave_room_for_others(tmp_path: Path) -> None:
    settings = quick(tmp_path / "one", proxies=("127.0.9.9",), **LIMITS)
    async with AsyncExitStack() as opened:
        relay = MailroomServer(quick(tmp_path / "relay", directory=False))
        directory = MailroomServer(settings)
        for each in (relay, directory):
            opened.push_async_callback(asyncio.to_thread, each.close)
        there = Scene(relay, directory.url, "", opened, new_mailbox())
        greedy = await there.client("127.0.2.1", through_relay=True)
        honest = await Scene(directory, "", "", opened, new_mailbox()).client(HONEST)
        statuses = [(await greedy.post(new_mailbox())).status for _ in range(60)]
        assert (statuses.count(200), statuses.count(503)) == (20, 40)
        await is_paid(there, honest)
