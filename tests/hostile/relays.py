"""Relays, on real sockets: they carry ciphertexts, and may do with them what they like."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from tests.hostile.payment import Played, Stage, played_by
from tests.hostile.record import Play, Tricks
from tests.hostile.servers import PATIENCE, Asked, behaving, forward, online
from tests.properties.histories.wire import flip
from tests.support.stepping import Receiving, Sending

from dovetail.protocol.requests import OHTTP_MESSAGE_SIZE
from dovetail.sessions import receiver, sender

FLOOD = 1_000_000
HTML = b"<html><script>alert(1)</script>\x1b[2J</html>"
TYPE = "content-type: message/ohttp-res\r\n"


@dataclass
class Relay:
    """Honest, but for its trick on the first `times` requests."""

    stage: Stage
    trick: "Prank"
    times: int
    asked: list[Asked] = field(default_factory=list)
    kept: list[bytes] = field(default_factory=list)
    """Answers that were held back."""

    async def __call__(self, asked: Asked) -> None:
        self.asked.append(asked)
        if len(self.asked) <= self.times:
            await self.trick(self, asked)
        else:
            await asked.reply(forward(self.stage, asked), headers=TYPE)

    def answer(self, asked: Asked) -> bytes:
        return forward(self.stage, asked)


Prank = Callable[[Relay, Asked], Awaitable[None]]


@asynccontextmanager
async def _relaying(stage: Stage, prank: Prank, times: int) -> AsyncIterator[Relay]:
    relay = Relay(stage, prank, times)
    async with behaving(relay) as url:
        stage.world.relays = (url,)
        yield relay


async def _through(
    stage: Stage, prank: Prank, times: int
) -> tuple[Played, Relay, Receiving, Sending]:
    async with online(stage), _relaying(stage, prank, times) as relay:
        receiving = stage.bob.receive()
        sending = await stage.alice.send(receiving.uri)
        if times > 100:
            await stage.settle(sending, receiving)
        else:
            await stage.until(sending, sender.PollingForProposal)
            await stage.until(receiving, receiver.Monitor)
            await stage.until(sending, sender.Monitor)
        bodies = [each.body for each in relay.asked]
        assert len(set(bodies)) == len(bodies), "P1: a ciphertext left twice"
        assert {len(body) for body in bodies} == {OHTTP_MESSAGE_SIZE}, "P5"
    played = played_by(sending, receiving)
    return played, relay, receiving, sending


def once(prank: Prank, times: int = 1) -> Play:
    """A relay that does it a few times, and is then honest."""

    async def play(stage: Stage) -> Played:
        return (await _through(stage, prank, times))[0]

    return play


def replies(body: bytes, *, status: int = 200, headers: str = "") -> Prank:
    """The same to every request."""

    async def prank(_relay: Relay, asked: Asked) -> None:
        await asked.reply(body, status=status, headers=headers)

    return prank


def sends(raw: bytes, drip: bytes = b"") -> Prank:
    async def prank(_relay: Relay, asked: Asked) -> None:
        await asked.send(raw)
        if drip:
            await asked.drip(drip)

    return prank


def passes_on(change: Callable[[bytes], bytes], headers: str = TYPE) -> Prank:
    """The directory's answer, changed."""

    async def prank(relay: Relay, asked: Asked) -> None:
        await asked.reply(change(relay.answer(asked)), headers=headers)

    return prank


OK, LENGTH = b"HTTP/1.1 200 OK\r\n", b"content-length: 8192\r\n\r\n"
BOMB = gzip.compress(bytes(5 * FLOOD)).ljust(OHTTP_MESSAGE_SIZE, b"\0")
IS_HTML = "content-type: text/html\r\n"

TRICKS = Tricks()
TRICKS.update(
    drops=once(sends(b"")),
    drips=once(sends(OK + LENGTH, b"x")),
    drips_headers=once(sends(OK, b"x-more: 1\r\n")),
    says_to_wait_for_ever=once(sends(b"", b"HTTP/1.1 102 Processing\r\n\r\n")),
    floods=once(replies(bytes(FLOOD))),
    floods_headers=once(sends(OK + b"x-more: " + b"a" * FLOOD + b"\r\n\r\n")),
    packs_a_bomb=once(replies(BOMB, headers="content-encoding: gzip\r\n")),
    shows_a_page=once(replies(HTML, headers=IS_HTML)),
    refuses=once(replies(HTML, status=403)),
    lets_nothing_through=once(replies(HTML, status=403), times=10_000),
    blames_the_directory=once(replies(HTML, status=502)),
    makes_noise=once(replies(bytes(OHTTP_MESSAGE_SIZE), headers=TYPE)),
    mislabels=once(passes_on(bytes, IS_HTML), times=50),
    cuts_short=once(passes_on(lambda answer: answer[:-1])),
    spoils=once(passes_on(lambda answer: flip(answer, 4000))),
)


@TRICKS.by(once)
async def keeps_the_answer(relay: Relay, asked: Asked) -> None:
    # The request arrives; its answer does not.
    relay.answer(asked)


@TRICKS.by(once)
async def stalls(_relay: Relay, asked: Asked) -> None:
    await asyncio.sleep(3 * PATIENCE)


@TRICKS.by(once)
async def redirects(_relay: Relay, asked: Asked) -> None:
    host = asked.head.split(b"host: ")[1].split()[0].decode()
    await asked.reply(b"", status=307, headers=f"location: http://{host}/elsewhere\r\n")


@TRICKS.by(once)
async def breaks_off(relay: Relay, asked: Asked) -> None:
    await asked.send(OK + LENGTH + relay.answer(asked)[:-100])


@TRICKS.by(partial(once, times=3))
async def swaps_answers(relay: Relay, asked: Asked) -> None:
    # Every answer is that to the request before.
    relay.kept.append(relay.answer(asked))
    await asked.reply(relay.kept[max(0, len(relay.kept) - 2)], headers=TYPE)


@TRICKS.by(partial(once, times=50))
async def replays_requests(relay: Relay, asked: Asked) -> None:
    # The directory gets each request twice; the client the second answer, then the first.
    first, second = relay.answer(asked), relay.answer(asked)
    assert first != second
    await asked.reply(second, headers=TYPE)


@TRICKS.by(partial(once, times=50))
async def answers_twice(relay: Relay, asked: Asked) -> None:
    # What follows is meant for the next request on this connection.
    await asked.send(2 * (OK + LENGTH + relay.answer(asked)))


@TRICKS
async def reads(stage: Stage) -> Played:
    # An honest relay that keeps all it sees: neither names, keys nor lengths are among it.
    played, relay, receiving, sending = await _through(stage, passes_on(bytes), 50)
    seen = b"".join(each.head + each.body for each in relay.asked)
    endpoint = receiving.uri.endpoint
    for secret in (str(receiving.uri.address), getattr(endpoint, "short_id", "")):
        assert secret.encode() not in seen.upper() + seen
    assert b"dovetail" not in seen.lower()
    assert len({len(each.head) for each in relay.asked}) == 1, "P5: a head tells who asks"
    assert sending.state.fallback_transaction.serialize() not in seen
    return played
