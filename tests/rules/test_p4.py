"""P4: keys, PSBTs, addresses and URIs never reach logs, reprs, error messages or metrics."""

import logging
from collections.abc import Iterable
from typing import Any

import pytest
from tests.sessions.receiver.play import EXPIRES_AT, Play
from tests.sessions.receiver.scenarios import play_all
from tests.sessions.sender import play as sending
from tests.support.fixtures import node, world  # noqa: F401 - fixtures
from tests.support.world import World, until

from dovetail.bitcoin.uri import BitcoinUri
from dovetail.errors import DovetailError, ReplayError
from dovetail.sessions import receiver, sender

LOOKS = ("cHNidP", "bitcoin:", "BITCOIN:", "RK1", "bcrt1", "BCRT1")


def quiet(text: str, secrets: Iterable[str] = ()) -> None:
    found = [secret for secret in (*LOOKS, *secrets) if secret in text]
    assert found == []


def secrets_of(session: Any) -> list[str]:
    """What must not show, of one session."""
    text = getattr(session.created, "uri", None) or session.payjoin_uri.serialize()
    address = BitcoinUri.parse(text).address
    assert address is not None
    found = [text, str(address), address.script_pubkey.hex()]
    original = getattr(session, "original", None)
    if original is not None:
        transaction = original.unsigned_transaction.serialize().hex()
        found += [original.to_base64(), original.serialize().hex(), transaction]
    return found


@pytest.mark.parametrize("place", sending.PLACES)
def test_no_sender_shows_anything(place: str) -> None:
    log = sending.Log()
    session = sending.PLACES[place](log)
    secrets = [*secrets_of(session), sending.SIGNATURE.hex()]
    for shown in (session, session.terms, session.created, *log.events()):
        quiet(f"{shown!r} {shown}", secrets)


def test_no_receiver_shows_anything() -> None:
    for play in play_all():
        for state in play.states:
            secrets = secrets_of(state)
            for shown in (state, state.terms, state.created, getattr(state, "payload", None)):
                quiet(f"{shown!r} {shown}", secrets)
        for event in play.log.events:
            quiet(f"{event!r} {event}", secrets_of(play.states[0]))


def test_no_transition_shows_anything() -> None:
    transition = sending.posting(sending.Log()).cancel()
    quiet(repr(transition))
    transition.save(sending.Log(entries=[b""] * 2))


@pytest.mark.parametrize(
    "changed",
    [
        {"change_value": 1_000},
        {"payee_value": 81_000, "change_value": 47_000},
        {"payee_value": 500_000},
    ],
)
def test_a_lie_is_refused_without_being_quoted(changed: dict[str, int]) -> None:
    log = sending.Log()
    session = sending.polling(log)
    lie = sending.proposal(**changed)
    pending = sending.process_answer(session, lie.serialize()).save(log)
    assert isinstance(pending, sender.PendingFallback)
    assert pending.rule is not None
    quiet(f"{pending!r} {pending.rule} {pending.reason.words}", [lie.to_base64()])


def test_an_error_about_a_damaged_log_quotes_nothing_of_it() -> None:
    play = Play()
    session = play.proposed()
    entries = [receiver.encode_event(event) for event in play.log.events]
    for at, entry in enumerate(entries):
        for damaged in (entry[:-9] + b'"}', entry.replace(b'"v":1', b'"v":9'), entry[::-1]):
            with pytest.raises(ReplayError) as refused:
                receiver.replay(
                    receiver.events.CODEC.decode_log([*entries[:at], damaged, *entries[at + 1 :]])
                )
            quiet(str(refused.value), secrets_of(session))


def test_an_error_about_a_wrong_call_quotes_nothing() -> None:
    play = Play()
    session = play.created()
    with pytest.raises(DovetailError) as refused:
        session.poll(None, now=EXPIRES_AT)
    quiet(f"{refused.value!r} {refused.value}", secrets_of(session))


async def test_the_debug_log_of_a_whole_payjoin_tells_nothing(
    world: World,  # noqa: F811 - the fixture
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    world.fund(world.alice, 100_000)
    world.fund(world.bob, 70_000)
    world.wire.lose_request = world.wire.lose_answer = 1
    async with world.agent(world.bob) as bob, world.agent(world.alice) as alice:
        receiving = await bob.receive(50_000, label="a secret coffee")
        paying = await alice.send(receiving.uri)
        await until(paying, sender.Monitor)
        state = await until(receiving, receiver.Monitor)
        world.node.mine()
        await paying.wait_closed()
        await receiving.wait_closed()
    assert caplog.records
    secrets = [*secrets_of(state), *secrets_of(paying.state), "coffee"]
    for record in caplog.records:
        quiet(f"{record.getMessage()} {record.exc_text or ''}", secrets)
