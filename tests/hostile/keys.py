"""Directories that give out OHTTP keys that are none, or one for each client."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from tests.hostile.payment import Ends, Played, Stage
from tests.hostile.record import Decorator, Peer, Play, trick, tricks_in
from tests.hostile.servers import Asked, behaving, online
from tests.runtime.test_agent import paid
from tests.support.directory import Directory

from dovetail.bitcoin import Sats
from dovetail.crypto.ohttp import GatewayKey
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.errors import TransportError
from dovetail.protocol.requests import GATEWAY_PATH
from dovetail.protocol.uri import V2Endpoint
from dovetail.sessions import receiver, sender

KEY = SecretKey(b"\x05" * 32).public_key.uncompressed
X25519 = b"\x00\x29\x01\x00\x20" + bytes(32) + b"\x00\x04\x00\x01\x00\x01"

Behaviour = Callable[[Asked], Awaitable[None]]


def gives(body: bytes, *, status: int = 200, headers: str = "") -> Behaviour:
    async def answer(asked: Asked) -> None:
        assert asked.target == GATEWAY_PATH
        await asked.reply(body, status=status, headers=headers)

    return answer


def to_a_new_receiver(behaviour: Behaviour) -> Play:
    """Somebody wants a Payjoin URI; there is none, and nothing is left behind."""

    async def play(stage: Stage) -> Played:
        async with online(stage) as web, behaving(behaviour) as url:
            web.directory = Directory(origin=url)
            async with stage.world.agent(stage.world.bob) as agent:
                try:
                    await agent.receive(Sats(50_000))
                except TransportError as trouble:
                    stage.heard.append(str(trouble))
                assert agent.sessions == ()
                assert list(agent.services.store.live()) == []
        return Played()

    return play


UNREADABLE = (
    "What the directory gives as its OHTTP keys cannot be read, and it may be no payjoin"
    " directory: check `directory`."
)
UNFETCHED = "The directory's OHTTP keys could not be fetched."
BAD = "RFC 9458, 3: a key configuration of the one suite that BIP 77 has"


def serves(told: str, *, rule: str = BAD, **named: str) -> Decorator:
    return trick(
        peer=Peer.DIRECTORY,
        we="Makes no URI, and leaves no session behind.",
        rule=rule,
        told=told,
        ends=Ends.UNPAID,
        playing=to_a_new_receiver,
        **named,
    )


def _status(status: int) -> str:
    return (
        f"The directory has no OHTTP keys (it answered with status {status}), and"
        " may be no payjoin directory: check `directory`."
    )


_TABLE_1 = (
    serves(UNREADABLE, name="has malformed keys", words="Gives out bytes that are no key.")(
        gives(bytes(74))
    ),
    serves(
        UNREADABLE,
        name="has keys of another suite",
        words="Offers X25519 alone, as other OHTTP gateways do.",
    )(gives(len(X25519).to_bytes(2) + X25519)),
    serves(
        UNREADABLE,
        name="has a point off the curve",
        words="Gives out a key that is no point of the curve.",
    )(gives(b"\x01\x00\x16\x04" + b"\xff" * 64 + b"\x00\x04\x00\x01\x00\x03")),
    serves(
        f"{UNFETCHED} The server answered with more than the protocol allows.",
        rule="No answer is read beyond 4096 bytes",
        name="floods with keys",
        words="Answers the request for its keys with a megabyte.",
    )(gives(bytes(1_000_000))),
)


@serves(
    f"{UNFETCHED} The server did not answer in time: wait, or name another.",
    rule="One deadline for the whole answer",
)
async def drips_its_keys(asked: Asked) -> None:
    """Sends its keys byte by byte."""
    await asked.send(b"HTTP/1.1 200 OK\r\ncontent-length: 74\r\n\r\n")
    await asked.drip()


_TABLE_2 = (
    serves(
        _status(302),
        rule="No redirect is followed",
        name="sends elsewhere for its keys",
        words="Redirects to another server, whose keys would be trusted.",
    )(gives(b"", status=302, headers="location: http://127.0.0.1:1/keys\r\n")),
    serves(_status(404), name="has no keys", words="Answers 404 with a page.")(
        gives(b"<html>", status=404)
    ),
)


@trick(
    peer=Peer.DIRECTORY,
    we="Fetches keys through a relay's tunnel, so that the tag has no IP address, and"
    " takes a payer's key from the URI alone. URIs of one receiver can be tied together for"
    " the six hours that a key is kept; nobody can see that without comparing keys.",
    rule="BIP 77, OHTTP bootstrapping; RFC 9458, 7: key consistency",
    told="Paid by payjoin.",
    ends=Ends.PAYJOIN,
)
async def gives_each_client_its_own_key(stage: Stage) -> Played:
    """Tags whoever fetches its keys with a key of their own, to know them again."""
    # The receiver fetches a key that nobody else gets; the URI hands it to the sender.
    wire = stage.world.wire
    own = GatewayKey(77, SecretKey(b"\x07" * 32))
    wire.directory = replace(wire.directory, key=own)
    async with stage.world.agent(stage.world.bob) as bob:
        receiving = await bob.receive(Sats(50_000))
        assert wire.gets == [(f"{wire.directory.origin}{GATEWAY_PATH}", "https://relay.example")]
        state = receiving.state
        assert isinstance(state, receiver.Initialized)
        endpoint = state.payjoin_uri.endpoint
        assert isinstance(endpoint, V2Endpoint)
        assert endpoint.ohttp_keys == own.config
        uri = state.payjoin_uri
        async with stage.world.agent(stage.world.alice) as alice:
            sending = await alice.send(uri)
            await paid(stage.world, sending, receiving)
        assert wire.gets == wire.gets[:1], "the sender asked the directory for a key"
    ended = sending.state
    assert isinstance(ended, sender.Closed)
    stage.hear(ended)
    return Played(address=uri.address, fallback=ended.fallback_transaction)


TRICKS = tricks_in(globals())
