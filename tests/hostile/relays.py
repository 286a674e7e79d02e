"""Relays, on real sockets: they carry ciphertexts, and may do with them what they like."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from tests.hostile.payment import Ends, Played, Stage, played_by
from tests.hostile.record import Decorator, Peer, Play, trick, tricks_in
from tests.hostile.servers import PATIENCE, Asked, behaving, forward, online
from tests.properties.histories.wire import flip
from tests.support.stepping import Receiving, Sending

from dovetail.protocol.requests import OHTTP_MESSAGE_SIZE
from dovetail.sessions import receiver, sender
from dovetail.sessions.reasons import Reason

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


async def refuses(_relay: Relay, asked: Asked) -> None:
    await asked.reply(HTML, status=403)


# how they are met


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


FRESH = "P1: a retry is a fresh ciphertext; the relay is spared for a while"
UNREADABLE = "The directory's answer cannot be read; try again, or use another relay."
LATE = "The OHTTP relay failed. The server did not answer in time: wait, or name another."
GONE = (
    "The OHTTP relay failed. The connection to the server broke before a whole answer: check its"
    " address and your connection."
)
OWN = "The OHTTP relay gave an answer of its own."
AGAIN = "Asks again with a fresh ciphertext."


def carries(
    told: str,
    *,
    times: int | None = 1,
    we: str = AGAIN,
    rule: str = FRESH,
    ends: Ends = Ends.PAYJOIN,
    **named: str,
) -> Decorator:
    return trick(
        peer=Peer.RELAY,
        we=we,
        rule=rule,
        told=told,
        ends=ends,
        playing=None if times is None else partial(once, times=times),
        **named,
    )


BOUNDED = f"{AGAIN[:-1]}, when its patience is at an end."
LIMITED = f"Reads no more than the protocol allows. {AGAIN}"


@carries(GONE)
async def drops(_relay: Relay, _asked: Asked) -> None:
    """Closes the connection without a word."""
    # The connection is closed without a word.


@carries(GONE, rule="P1; a mailbox keeps its first message, so that a second POST does no harm")
async def keeps_the_answer(relay: Relay, asked: Asked) -> None:
    """Passes the request on and closes the connection before the answer."""
    # The request arrives; its answer does not.
    relay.answer(asked)


@carries(LATE, we=BOUNDED)
async def stalls(_relay: Relay, asked: Asked) -> None:
    """Takes the request and says nothing."""
    await asyncio.sleep(3 * PATIENCE)


@carries(LATE, we=BOUNDED, rule="One deadline for the whole answer")
async def drips(relay: Relay, asked: Asked) -> None:
    """Sends the answer byte by byte, each in time."""
    await asked.send(b"HTTP/1.1 200 OK\r\ncontent-length: 8192\r\n\r\n")
    await asked.drip()


@carries(LATE, we=BOUNDED, rule="One deadline for the whole answer")
async def drips_headers(_relay: Relay, asked: Asked) -> None:
    """Sends header after header, and never a body."""
    await asked.send(b"HTTP/1.1 200 OK\r\n")
    await asked.drip(b"x-more: 1\r\n")


@carries(LATE, we=BOUNDED, rule="One deadline for the whole answer")
async def says_to_wait_for_ever(_relay: Relay, asked: Asked) -> None:
    """Sends one informational response (102) after the other."""
    await asked.drip(b"HTTP/1.1 102 Processing\r\n\r\n")


@carries(
    "The OHTTP relay failed. The server answered with more than the protocol allows.",
    we=LIMITED,
    rule="No body is read beyond 65 536 bytes",
)
async def floods(_relay: Relay, asked: Asked) -> None:
    """Answers with a megabyte."""
    await asked.reply(bytes(FLOOD))


@carries(GONE, we=LIMITED, rule="No head is read beyond what HTTP libraries allow")
async def floods_headers(_relay: Relay, asked: Asked) -> None:
    """Sends a header of a megabyte."""
    await asked.send(b"HTTP/1.1 200 OK\r\nx-more: " + b"a" * FLOOD + b"\r\n\r\n")


@carries(
    UNREADABLE,
    we=f"Unpacks nothing. {AGAIN}",
    rule="`accept-encoding: identity`, and bodies are read as they come",
)
async def packs_a_bomb(_relay: Relay, asked: Asked) -> None:
    """Answers with a body that unpacks to five megabytes."""
    bomb = gzip.compress(bytes(5 * FLOOD)).ljust(OHTTP_MESSAGE_SIZE, b"\0")
    await asked.reply(bomb, headers="content-encoding: gzip\r\n")


@carries(
    "The OHTTP relay, or the directory behind it, answered with status 307.",
    we=f"Does not follow. {AGAIN}",
    rule="P1: no ciphertext leaves twice, so no redirect is followed",
)
async def redirects(_relay: Relay, asked: Asked) -> None:
    """Sends the client to another address (307), with its ciphertext."""
    location = (
        f"location: http://{asked.head.split(b'host: ')[1].split()[0].decode()}/elsewhere\r\n"
    )
    await asked.reply(b"", status=307, headers=location)


@carries(OWN, rule="RFC 9458: an answer that is not 8192 bytes is the relay's own")
async def shows_a_page(_relay: Relay, asked: Asked) -> None:
    """Answers with a page of HTML under 200, as hotels do."""
    await asked.reply(HTML, headers="content-type: text/html\r\n")


_TABLE_1 = (
    carries(
        "The OHTTP relay, or the directory behind it, answered with status 403.",
        name="refuses",
        words="Refuses to serve this client (403).",
    )(refuses),
)


@carries("The OHTTP relay could not reach the directory (status 502): name another relay, or wait.")
async def blames_the_directory(_relay: Relay, asked: Asked) -> None:
    """Says that the directory cannot be reached (502)."""
    await asked.reply(HTML, status=502)


@carries(
    "Paid by payjoin.",
    we="Opens what opens: the AEAD decides, not the label.",
    rule="RFC 9458: the ciphertext is authenticated",
    times=50,
)
async def mislabels(relay: Relay, asked: Asked) -> None:
    """Passes the answer on as `text/html`."""
    await asked.reply(relay.answer(asked), headers="content-type: text/html\r\n")


@carries(OWN)
async def cuts_short(relay: Relay, asked: Asked) -> None:
    """Passes on all but the last byte of the answer."""
    await asked.reply(relay.answer(asked)[:-1], headers=TYPE)


@carries(GONE)
async def breaks_off(relay: Relay, asked: Asked) -> None:
    """Announces 8192 bytes and closes the connection before they have come."""
    answer = relay.answer(asked)[:-100]
    await asked.send(b"HTTP/1.1 200 OK\r\ncontent-length: 8192\r\n\r\n" + answer)


@carries(UNREADABLE, rule="RFC 9458: the ciphertext is authenticated")
async def spoils(relay: Relay, asked: Asked) -> None:
    """Flips one bit of the answer."""
    await asked.reply(flip(relay.answer(asked), 4000), headers=TYPE)


@carries(UNREADABLE, rule="RFC 9458: the ciphertext is authenticated")
async def makes_noise(_relay: Relay, asked: Asked) -> None:
    """Answers with 8192 bytes of its own."""
    await asked.reply(bytes(OHTTP_MESSAGE_SIZE), headers=TYPE)


@carries(UNREADABLE, rule="RFC 9458, 4.4: the key of an answer comes from its own request", times=3)
async def swaps_answers(relay: Relay, asked: Asked) -> None:
    """Gives each client the answer to the request before."""
    # Every answer is that to the request before.
    relay.kept.append(relay.answer(asked))
    await asked.reply(relay.kept[max(0, len(relay.kept) - 2)], headers=TYPE)


@carries(
    "Paid by payjoin.",
    we="Sees no difference: the first message stays, and reading takes nothing away.",
    rule="BIP 77: mailbox requests can be repeated",
    times=50,
)
async def replays_requests(relay: Relay, asked: Asked) -> None:
    """Sends each request to the directory twice."""
    # The directory gets each request twice; the client the second answer, then the first.
    first, second = relay.answer(asked), relay.answer(asked)
    assert first != second
    await asked.reply(second, headers=TYPE)


@carries(
    "Paid by payjoin.",
    we="Drops the connection, and would not open it.",
    rule="RFC 9458, 4.4: the key of an answer comes from its own request",
    times=50,
)
async def answers_twice(relay: Relay, asked: Asked) -> None:
    """Sends a second answer ahead, for the next request on the same connection."""
    # What follows is meant for the next request on this connection.
    answer = relay.answer(asked)
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 8192\r\n\r\n" + answer
    await asked.send(whole + whole)


@carries(
    "Paid by payjoin.",
    we="Shows it which directory is asked, when and from what address, and nothing else.",
    rule="P5; BIP 77, OHTTP: mailbox, content and its length are sealed",
    times=None,
)
async def reads(stage: Stage) -> Played:
    """Is honest and keeps all it sees."""

    # An honest relay that keeps all it sees: neither names, keys nor lengths are among it.
    async def honest(relay: Relay, asked: Asked) -> None:
        await asked.reply(relay.answer(asked), headers=TYPE)

    played, relay, receiving, sending = await _through(stage, honest, 50)
    seen = b"".join(each.head + each.body for each in relay.asked)
    endpoint = receiving.uri.endpoint
    secrets = (str(receiving.uri.address), getattr(endpoint, "short_id", ""))
    for secret in secrets:
        assert secret.encode() not in seen.upper() + seen
    assert b"dovetail" not in seen.lower()
    assert len({len(each.head) for each in relay.asked}) == 1, "P5: a head tells who asks"
    assert sending.state.fallback_transaction.serialize() not in seen
    return played


_TABLE_2 = (
    carries(
        Reason.RELAY_UNREACHABLE.words,
        times=10_000,
        we="Makes the ordinary payment at the expiration, and says who failed.",
        rule="M3; BIP 77, expiration",
        ends=Ends.ORDINARY,
        name="lets nothing through",
        words="Refuses every request until the URI has expired.",
    )(refuses),
)


TRICKS = tricks_in(globals())
