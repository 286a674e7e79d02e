"""P1: no OHTTP or HPKE ciphertext is sent twice; a retry encrypts afresh, with a fresh key.

The runs of `tests.kill` hold all that their sockets were given to the same rule.
"""

from collections.abc import Callable
from typing import Any

import pytest
from tests.sessions.receiver.play import NOW as RECEIVING
from tests.sessions.receiver.play import Play
from tests.sessions.sender import play as sending
from tests.support.fixtures import node, world  # noqa: F401 - fixtures
from tests.support.world import World, until

from dovetail.crypto.bhttp import BhttpRequest
from dovetail.crypto.ohttp import GatewayKey, decapsulate
from dovetail.errors import ContextUsedUp, DovetailError
from dovetail.protocol.requests import Request
from dovetail.sessions import receiver, sender

RELAY = "https://relay.example"
TRIES = 6
OHTTP_KEY, ELLSWIFT = slice(7, 72), slice(0, 64)

Retry = tuple[Callable[[], tuple[Request, Any]], GatewayKey]


def posting() -> Retry:
    session = sending.posting(sending.Log())
    return lambda: session.post(RELAY, now=sending.NOW), sending.GATEWAY


def polling() -> Retry:
    session = sending.polling(sending.Log())
    return lambda: session.poll(RELAY, now=sending.NOW), sending.GATEWAY


def waiting() -> Retry:
    play = Play()
    session = play.created()
    return lambda: session.poll(RELAY, now=RECEIVING), play.directory.key


def proposing() -> Retry:
    play = Play()
    session = play.proposed()
    return lambda: session.post(RELAY, now=RECEIVING), play.directory.key


def refusing() -> Retry:
    play = Play()
    session = play.error_owed()
    return lambda: session.reply(RELAY, now=RECEIVING), play.directory.key


RETRIES = (posting, polling, waiting, proposing, refusing)


@pytest.mark.parametrize("begin", RETRIES)
def test_every_retry_is_other_bytes_under_another_key(begin: Callable[[], Retry]) -> None:
    ask, gateway = begin()
    bodies = [ask()[0].body for _ in range(TRIES)]
    assert len({body[OHTTP_KEY] for body in bodies}) == TRIES
    assert len({body[OHTTP_KEY.stop :] for body in bodies}) == TRIES
    inner = [BhttpRequest.parse(decapsulate(gateway, body)[0]) for body in bodies]
    if inner[0].method == "POST":
        assert len({request.body[ELLSWIFT] for request in inner}) == TRIES
        assert len({request.body[ELLSWIFT.stop :] for request in inner}) == TRIES


@pytest.mark.parametrize("begin", RETRIES)
def test_what_opens_an_answer_opens_one_answer(begin: Callable[[], Retry]) -> None:
    ask, _ = begin()
    _, context = ask()
    with pytest.raises(DovetailError):
        context.open(b"no answer")
    with pytest.raises(ContextUsedUp):
        context.open(b"no answer")


def test_a_restart_does_not_repeat_what_was_sent_before_it() -> None:
    log = sending.Log()
    session = sending.posting(log)
    bodies = {session.post(RELAY, now=sending.NOW)[0].body}
    for _ in range(TRIES):
        again = log.replay()
        assert isinstance(again, sender.PostingOriginal)
        bodies.add(again.post(RELAY, now=sending.NOW)[0].body)
    assert len(bodies) == TRIES + 1


@pytest.mark.parametrize("lost", ["lose_request", "lose_answer"])
async def test_agents_repeat_no_body_whatever_gets_lost(world: World, lost: str) -> None:  # noqa: F811 - the fixture
    world.fund(world.alice, 100_000)
    world.fund(world.bob, 70_000)
    async with world.agent(world.bob) as bob, world.agent(world.alice) as alice:
        receiving = await bob.receive(50_000)
        setattr(world.wire, lost, 2)
        sending_ = await alice.send(receiving.uri)
        await until(sending_, sender.PollingForProposal, sender.ProposalReceived, sender.Monitor)
        setattr(world.wire, lost, 2)
        await until(receiving, receiver.Monitor)
        await until(sending_, sender.Monitor)
    bodies = world.wire.bodies()
    assert len(bodies) >= 7
    assert len({body[OHTTP_KEY] for body in bodies}) == len(bodies)
    assert len({body[OHTTP_KEY.stop :] for body in bodies}) == len(bodies)
