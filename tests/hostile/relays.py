"""Relays, on real sockets: they carry ciphertexts, and may do with them what they like."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.hostile.payment import Ends, Played, Stage
from tests.hostile.record import Peer, Play, Trick
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


async def drops(_relay: Relay, _asked: Asked) -> None:
    """The connection is closed without a word."""


async def answers_nothing(relay: Relay, asked: Asked) -> None:
    """The request arrives; its answer does not."""
    relay.answer(asked)


async def stalls(_relay: Relay, asked: Asked) -> None:
    await asyncio.sleep(3 * PATIENCE)


async def drips(relay: Relay, asked: Asked) -> None:
    await asked.send(b"HTTP/1.1 200 OK\r\ncontent-length: 8192\r\n\r\n")
    await asked.drip()


async def drips_headers(_relay: Relay, asked: Asked) -> None:
    await asked.send(b"HTTP/1.1 200 OK\r\n")
    await asked.drip(b"x-more: 1\r\n")


async def says_wait_for_ever(_relay: Relay, asked: Asked) -> None:
    await asked.drip(b"HTTP/1.1 102 Processing\r\n\r\n")


async def floods(_relay: Relay, asked: Asked) -> None:
    await asked.reply(bytes(FLOOD))


async def floods_headers(_relay: Relay, asked: Asked) -> None:
    await asked.send(b"HTTP/1.1 200 OK\r\nx-more: " + b"a" * FLOOD + b"\r\n\r\n")


async def packs_a_bomb(_relay: Relay, asked: Asked) -> None:
    bomb = gzip.compress(bytes(5 * FLOOD)).ljust(OHTTP_MESSAGE_SIZE, b"\0")
    await asked.reply(bomb, headers="content-encoding: gzip\r\n")


async def redirects(_relay: Relay, asked: Asked) -> None:
    location = (
        f"location: http://{asked.head.split(b'host: ')[1].split()[0].decode()}/elsewhere\r\n"
    )
    await asked.reply(b"", status=307, headers=location)


async def shows_a_page(_relay: Relay, asked: Asked) -> None:
    await asked.reply(HTML, headers="content-type: text/html\r\n")


async def mislabels(relay: Relay, asked: Asked) -> None:
    await asked.reply(relay.answer(asked), headers="content-type: text/html\r\n")


async def cuts_short(relay: Relay, asked: Asked) -> None:
    await asked.reply(relay.answer(asked)[:-1], headers=TYPE)


async def breaks_off(relay: Relay, asked: Asked) -> None:
    answer = relay.answer(asked)[:-100]
    await asked.send(b"HTTP/1.1 200 OK\r\ncontent-length: 8192\r\n\r\n" + answer)


async def spoils(relay: Relay, asked: Asked) -> None:
    await asked.reply(flip(relay.answer(asked), 4000), headers=TYPE)


async def makes_noise(_relay: Relay, asked: Asked) -> None:
    await asked.reply(bytes(OHTTP_MESSAGE_SIZE), headers=TYPE)


async def swaps(relay: Relay, asked: Asked) -> None:
    """Every answer is that to the request before."""
    relay.kept.append(relay.answer(asked))
    await asked.reply(relay.kept[max(0, len(relay.kept) - 2)], headers=TYPE)


async def replays(relay: Relay, asked: Asked) -> None:
    """The directory gets each request twice; the client the second answer, then the first."""
    first, second = relay.answer(asked), relay.answer(asked)
    assert first != second
    await asked.reply(second, headers=TYPE)


async def answers_twice(relay: Relay, asked: Asked) -> None:
    """What follows is meant for the next request on this connection."""
    answer = relay.answer(asked)
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 8192\r\n\r\n" + answer
    await asked.send(whole + whole)


async def blames_the_directory(_relay: Relay, asked: Asked) -> None:
    await asked.reply(HTML, status=502)


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
    played = Played(
        sessions=(sending, receiving),
        address=receiving.uri.address,
        fallback=sending.state.fallback,
    )
    return played, relay, receiving, sending


def once(prank: Prank, times: int = 1) -> Play:
    """A relay that does it a few times, and is then honest."""

    async def play(stage: Stage) -> Played:
        return (await _through(stage, prank, times))[0]

    return play


def always(prank: Prank) -> Play:
    """A relay that lets nothing through."""
    return once(prank, times=10_000)


async def reads(stage: Stage) -> Played:
    """An honest relay that keeps all it sees: neither names, keys nor lengths are among it."""

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
    assert sending.state.fallback.serialize() not in seen
    return played


FRESH = "P1: a retry is a fresh ciphertext; the relay is spared for a while"
UNREADABLE = "The directory's answer cannot be read; try again, or by another relay."
LATE = "The OHTTP relay failed. The server did not answer in time: wait, or name another."
GONE = (
    "The OHTTP relay failed. The connection to the server broke before a whole answer: check its"
    " address and your connection."
)
OWN = "The OHTTP relay gave an answer of its own."
AGAIN = "Asks again with a fresh ciphertext."


def carries(
    name: str,
    trick: str,
    told: str,
    play: Play,
    *,
    we: str = AGAIN,
    rule: str = FRESH,
    ends: Ends = Ends.PAYJOIN,
) -> Trick:
    return Trick(
        peer=Peer.RELAY, name=name, trick=trick, we=we, rule=rule, told=told, ends=ends, play=play
    )


BOUNDED = f"{AGAIN[:-1]}, when its patience is at an end."
LIMITED = f"Reads no more than the protocol allows. {AGAIN}"

TRICKS: tuple[Trick, ...] = (
    carries("drops", "Closes the connection without a word.", GONE, once(drops)),
    carries(
        "keeps the answer",
        "Passes the request on and closes the connection before the answer.",
        GONE,
        once(answers_nothing),
        rule="P1; a mailbox keeps its first message, so that a second POST does no harm",
    ),
    carries("stalls", "Takes the request and says nothing.", LATE, once(stalls), we=BOUNDED),
    carries(
        "drips",
        "Sends the answer byte by byte, each in time.",
        LATE,
        once(drips),
        we=BOUNDED,
        rule="One deadline for the whole answer",
    ),
    carries(
        "drips headers",
        "Sends header after header, and never a body.",
        LATE,
        once(drips_headers),
        we=BOUNDED,
        rule="One deadline for the whole answer",
    ),
    carries(
        "says to wait for ever",
        "Sends one informational response (102) after the other.",
        LATE,
        once(says_wait_for_ever),
        we=BOUNDED,
        rule="One deadline for the whole answer",
    ),
    carries(
        "floods",
        "Answers with a megabyte.",
        "The OHTTP relay failed. The server answered with more than the protocol allows.",
        once(floods),
        we=LIMITED,
        rule="No body is read beyond 65 536 bytes",
    ),
    carries(
        "floods headers",
        "Sends a header of a megabyte.",
        GONE,
        once(floods_headers),
        we=LIMITED,
        rule="No head is read beyond what HTTP libraries allow",
    ),
    carries(
        "packs a bomb",
        "Answers with a body that unpacks to five megabytes.",
        UNREADABLE,
        once(packs_a_bomb),
        we=f"Unpacks nothing. {AGAIN}",
        rule="`accept-encoding: identity`, and bodies are read as they come",
    ),
    carries(
        "redirects",
        "Sends the client to another address (307), with its ciphertext.",
        "The OHTTP relay, or the directory behind it, answered with status 307.",
        once(redirects),
        we=f"Does not follow. {AGAIN}",
        rule="P1: no ciphertext leaves twice, so no redirect is followed",
    ),
    carries(
        "shows a page",
        "Answers with a page of HTML under 200, as hotels do.",
        OWN,
        once(shows_a_page),
        rule="RFC 9458: an answer that is not 8192 bytes is the relay's own",
    ),
    carries(
        "refuses",
        "Refuses to serve this client (403).",
        "The OHTTP relay, or the directory behind it, answered with status 403.",
        once(refuses),
    ),
    carries(
        "blames the directory",
        "Says that the directory cannot be reached (502).",
        "The OHTTP relay could not reach the directory (status 502): name another relay, or wait.",
        once(blames_the_directory),
    ),
    carries(
        "mislabels",
        "Passes the answer on as `text/html`.",
        "Paid by payjoin.",
        once(mislabels, 50),
        we="Opens what opens: the AEAD decides, not the label.",
        rule="RFC 9458: the ciphertext is authenticated",
    ),
    carries("cuts short", "Passes on all but the last byte of the answer.", OWN, once(cuts_short)),
    carries(
        "breaks off",
        "Announces 8192 bytes and closes the connection before they have come.",
        GONE,
        once(breaks_off),
    ),
    carries(
        "spoils",
        "Flips one bit of the answer.",
        UNREADABLE,
        once(spoils),
        rule="RFC 9458: the ciphertext is authenticated",
    ),
    carries(
        "makes noise",
        "Answers with 8192 bytes of its own.",
        UNREADABLE,
        once(makes_noise),
        rule="RFC 9458: the ciphertext is authenticated",
    ),
    carries(
        "swaps answers",
        "Gives each client the answer to the request before.",
        UNREADABLE,
        once(swaps, 3),
        rule="RFC 9458, 4.4: the key of an answer comes from its own request",
    ),
    carries(
        "replays requests",
        "Sends each request to the directory twice.",
        "Paid by payjoin.",
        once(replays, 50),
        we="Sees no difference: the first message stays, and reading takes nothing away.",
        rule="BIP 77: mailbox requests can be repeated",
    ),
    carries(
        "answers twice",
        "Sends a second answer ahead, for the next request on the same connection.",
        "Paid by payjoin.",
        once(answers_twice, 50),
        we="Drops the connection, and would not open it.",
        rule="RFC 9458, 4.4: the key of an answer comes from its own request",
    ),
    carries(
        "reads",
        "Is honest and keeps all it sees.",
        "Paid by payjoin.",
        reads,
        we="Shows it which directory is asked, when and from what address, and nothing else.",
        rule="P5; BIP 77, OHTTP: mailbox, content and its length are sealed",
    ),
    carries(
        "lets nothing through",
        "Refuses every request until the URI has expired.",
        Reason.RELAY_UNREACHABLE.words,
        always(refuses),
        we="Makes the ordinary payment at the expiration, and says who failed.",
        rule="M3; BIP 77, expiration",
        ends=Ends.ORDINARY,
    ),
)
