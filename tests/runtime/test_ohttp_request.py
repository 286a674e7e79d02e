from dataclasses import replace

import pytest
from tests.support.stepping import Side
from tests.support.world import World

from dovetail.errors import ChainError, TransportError
from dovetail.protocol.requests import Request
from dovetail.runtime.chain_watch import ChainWatch
from dovetail.runtime.ohttp_request import exchange, unreachable
from dovetail.runtime.relays import FIRST_QUARANTINE, Relays
from dovetail.runtime.services import Services
from dovetail.runtime.transport import Reply
from dovetail.runtime.turn import Turn
from dovetail.sessions import receiver
from dovetail.sessions.reasons import Reason

A, B = "https://a.example", "https://b.example"


def asking(side: Side) -> tuple[receiver.Initialized, Services]:
    receiving = side.receive()
    assert isinstance(receiving.state, receiver.Initialized)
    return receiving.state, receiving.services


async def ask(state: receiver.Initialized, services: Services) -> bytes:
    now = services.clock()
    body, context = await exchange(lambda relay: state.poll(relay, now=now), state, services)
    context.open(body)
    return body


async def ask_often(state: receiver.Initialized, services: Services) -> None:
    for _ in range(64):
        await ask(state, services)


async def test_a_request_goes_through_the_relay_that_was_chosen(world: World, bob: Side):
    await ask(*asking(bob))
    assert list(world.wire.urls) == ["https://relay.example/https://directory.example/"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Reply(502, b""), "The OHTTP relay could not reach the directory .status 502"),
        (Reply(302, bytes(8192)), "The OHTTP relay, or the directory behind it, .*status 302"),
        (Reply(200, b"<html>"), "The OHTTP relay gave an answer of its own"),
    ],
)
async def test_a_relay_that_answers_otherwise_is_spared_for_a_while(
    world: World, bob: Side, answer: Reply, words: str
):
    world.relays = (A, B)
    state, services = asking(bob)

    def misbehave(request: Request, reply: Reply) -> Reply:
        return answer if request.url.startswith(A) else reply

    world.wire.fault = misbehave
    with pytest.raises(TransportError, match=words):
        await ask_often(state, services)
    failed = world.wire.urls[A + "/https://directory.example/"]
    for _ in range(32):
        await ask(state, services)
    assert world.wire.urls[A + "/https://directory.example/"] == failed == 1
    world.wire.fault = None
    world.clock.pass_by(int(FIRST_QUARANTINE))
    for _ in range(32):
        await ask(state, services)
    assert world.wire.urls[A + "/https://directory.example/"] > 1


async def test_a_relay_that_does_not_answer_is_spared(world: World, bob: Side):
    world.relays = (A, B)
    state, services = asking(bob)
    world.wire.lose_request = 1
    with pytest.raises(TransportError):
        await ask(state, services)
    for _ in range(32):
        await ask(state, services)
    assert sorted(world.wire.urls.values()) == [1, 32]


async def test_every_try_is_a_ciphertext_of_its_own(world: World, bob: Side):
    """P1"""
    state, services = asking(bob)
    world.wire.lose_request = world.wire.lose_answer = 3
    for _ in range(6):
        with pytest.raises(TransportError):
            await ask(state, services)
    await ask(state, services)
    bodies = world.wire.bodies()
    assert len(set(bodies)) == len(bodies) == 7
    assert len({body[7:72] for body in bodies}) == 7, "each has its own ephemeral key"


@pytest.mark.parametrize(
    ("relays", "answer", "at"),
    [
        (("https://relay.example",), None, "relay"),
        ((), None, "directory"),
        (("https://relay.example",), Reply(504, b""), "directory"),
        (("https://relay.example",), Reply(500, b""), "relay"),
        ((), Reply(504, b""), "directory"),
    ],
)
async def test_trouble_names_who_failed_by_its_role(
    world: World, bob: Side, relays: tuple[str, ...], answer: Reply | None, at: str
):
    state, services = asking(bob)
    if not relays:
        services = replace(services, relays=Relays((), clock=world.clock, direct=True))
    if answer is None:
        world.wire.lose_request = 1
    else:
        world.wire.fault = lambda _request, _reply: answer
    with pytest.raises(TransportError) as caught:
        await ask(state, services)
    assert caught.value.at == at
    assert at in str(caught.value)
    assert "example" not in str(caught.value), "P4"
    reason = Reason.RELAY_UNREACHABLE if at == "relay" else Reason.DIRECTORY_UNREACHABLE
    log, watch = bob.store.new_receiver(), ChainWatch(trouble=caught.value)
    assert unreachable(Turn(log, services, services.policy.tries, watch)) is reason
    assert unreachable(Turn(log, services, services.policy.tries - 1, watch)) is None, "a blip"
    assert unreachable(Turn(log, services, 99, ChainWatch(trouble=ChainError("away")))) is None


async def test_when_tor_is_down_no_relay_is_to_blame(world: World, bob: Side):
    world.relays = (A, B)
    state, services = asking(bob)

    def down(_request: Request, _reply: Reply) -> Reply:
        raise TransportError("Tor does not answer.", at="tor")

    world.wire.fault = down
    with pytest.raises(TransportError, match="Tor does not answer"):
        await ask(state, services)
    assert services.relays._standings == Relays((A, B), clock=world.clock)._standings
