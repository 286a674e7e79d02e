"""Directories that give out OHTTP keys that are none, or one for each client."""

from dataclasses import replace

from tests.hostile.payment import Played, Stage
from tests.hostile.record import Play, Tricks
from tests.hostile.servers import Asked, Behaviour, behaving, online
from tests.runtime.test_agent import paid
from tests.support.directory import Directory

from dovetail.bitcoin import Sats
from dovetail.crypto import GatewayKey, SecretKey
from dovetail.errors import TransportError
from dovetail.protocol.requests import GATEWAY_PATH
from dovetail.protocol.uri import V2Endpoint
from dovetail.sessions import receiver, sender

OFF_THE_CURVE = b"\x01\x00\x16\x04" + b"\xff" * 64 + b"\x00\x04\x00\x01\x00\x03"
ELSEWHERE = "location: http://127.0.0.1:1/keys\r\n"
X25519 = b"\x00\x29\x01\x00\x20" + bytes(32) + b"\x00\x04\x00\x01\x00\x01"


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


TRICKS = Tricks()
TRICKS.update(
    has_malformed_keys=to_a_new_receiver(gives(bytes(74))),
    has_keys_of_another_suite=to_a_new_receiver(gives(len(X25519).to_bytes(2) + X25519)),
    has_a_point_off_the_curve=to_a_new_receiver(gives(OFF_THE_CURVE)),
    floods_with_keys=to_a_new_receiver(gives(bytes(1_000_000))),
    sends_elsewhere_for_its_keys=to_a_new_receiver(gives(b"", status=302, headers=ELSEWHERE)),
    has_no_keys=to_a_new_receiver(gives(b"<html>", status=404)),
)


@TRICKS.by(to_a_new_receiver)
async def drips_its_keys(asked: Asked) -> None:
    await asked.send(b"HTTP/1.1 200 OK\r\ncontent-length: 74\r\n\r\n")
    await asked.drip()


@TRICKS
async def gives_each_client_its_own_key(stage: Stage) -> Played:
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
