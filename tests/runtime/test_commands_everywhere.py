"""State by command: in every state at least one of the commands does something."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.support.stepping import Receiving, Sending, Side, receiving_at, revoke, sending_at
from tests.support.world import World

from dovetail.bitcoin import FeeRate
from dovetail.errors import ChainError, InfrastructureError, UsageError, WalletError
from dovetail.runtime import decisions
from dovetail.runtime.services import Services
from dovetail.sessions import receiver, sender
from dovetail.stores.ports import SessionId

RATE = FeeRate.from_sat_per_vb(30)
Command = Callable[[Services, SessionId], Awaitable[Any]]
COMMANDS: dict[str, Command] = {
    "cancel": decisions.cancel,
    "fallback": decisions.fallback,
    "fallback --fee-rate": lambda services, number: decisions.fallback(
        services, number, fee_rate=RATE
    ),
    "release": decisions.release,
    "revoke": lambda services, number: revoke(services, number, fee_rate=RATE),
}


async def negotiating(state: type[sender.SenderSession], alice: Side, bob: Side) -> Sending:
    return await sending_at(alice, bob, state)


async def stopped(first: type[sender.SenderSession], alice: Side, bob: Side) -> Sending:
    sending = await sending_at(alice, bob, first)
    await decisions.cancel(sending.services, sending.session_id)
    sending.reload()
    return sending


async def asked(first: type[sender.SenderSession], alice: Side, bob: Side) -> Sending:
    """The fallback was asked for, and the network has refused it until now."""
    sending = await sending_at(alice, bob, first)
    chain = alice.party.chain
    chain.refuses = lambda _tx: True
    with pytest.raises((WalletError, ChainError)):
        await decisions.fallback(sending.services, sending.session_id)
    chain.refuses = lambda _tx: False
    sending.reload()
    return sending


async def watched(first: type[sender.SenderSession], alice: Side, bob: Side) -> Sending:
    sending = await sending_at(alice, bob, first)
    await decisions.fallback(sending.services, sending.session_id)
    sending.reload()
    return sending


async def released(first: type[sender.SenderSession], alice: Side, bob: Side) -> Sending:
    sending = await stopped(first, alice, bob)
    await decisions.release(sending.services, sending.session_id)
    sending.reload()
    return sending


Place = Callable[[type[sender.SenderSession], Side, Side], Awaitable[Sending]]
BOTH = {"fallback", "fallback --fee-rate"}
SENDER: list[tuple[Place, type[sender.SenderSession], set[str]]] = [
    (negotiating, sender.WithReplyKey, {"cancel"} | BOTH),
    (negotiating, sender.PostingOriginal, {"cancel"} | BOTH),
    (negotiating, sender.PollingForProposal, {"cancel"} | BOTH),
    (negotiating, sender.ProposalReceived, {"cancel"} | BOTH),
    (negotiating, sender.PendingBroadcast, BOTH),
    (negotiating, sender.Monitor, BOTH),
    (stopped, sender.WithReplyKey, {"release"} | BOTH),
    (stopped, sender.PollingForProposal, {"release"} | BOTH),
    (stopped, sender.ProposalReceived, {"release"} | BOTH),
    (asked, sender.WithReplyKey, BOTH),
    (asked, sender.PollingForProposal, BOTH),
    (asked, sender.PendingBroadcast, BOTH),
    (watched, sender.WithReplyKey, BOTH),
    (watched, sender.PollingForProposal, BOTH),
    (watched, sender.Monitor, BOTH),
    (released, sender.PollingForProposal, {"revoke"} | BOTH),
]
"""Each place of a payer, and the commands that are not refused there."""


async def does_something(command: Command, session: Sending | Receiving) -> bool:
    try:
        await command(session.services, session.session_id)
    except UsageError:
        return False
    return True


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("place", "first", "able"), SENDER, ids=[f"{p.__name__} {f.__name__}" for p, f, _ in SENDER]
)
async def test_a_payer_is_never_without_a_command(
    alice: Side,
    bob: Side,
    place: Place,
    first: type[sender.SenderSession],
    able: set[str],
    name: str,
) -> None:
    """`fallback` is among them in every state that is not closed."""
    sending = await place(first, alice, bob)
    assert able >= BOTH
    assert await does_something(COMMANDS[name], sending) is (name in able)


@pytest.mark.parametrize(("place", "first"), [(place, first) for place, first, _ in SENDER])
async def test_resume_does_something_for_a_payer_wherever_the_payment_stands(
    world: World, alice: Side, bob: Side, place: Place, first: type[sender.SenderSession]
) -> None:
    """What was begun ends by itself or waits for a word, and is never in a corner."""
    sending = await place(first, alice, bob)
    world.clock.pass_by(100_000)
    for _ in range(12):
        if isinstance(sending.state, sender.Closed):
            break
        world.node.mine()
        try:
            await sending.step()
        except InfrastructureError:
            continue
    waits = isinstance(sending.state, sender.Monitor) and sending.state.released
    assert waits or isinstance(sending.state, sender.Closed)


RECEIVER: list[type[receiver.ReceiverSession]] = [
    receiver.Initialized,
    receiver.MaybeInputsOwned,
    receiver.OutputsUnknown,
    receiver.WantsOutputs,
    receiver.WantsInputs,
    receiver.WantsFeeRange,
    receiver.ProvisionalProposal,
    receiver.PayjoinProposal,
    receiver.Monitor,
]


@pytest.mark.parametrize("state", RECEIVER)
@pytest.mark.parametrize("stop", [False, True], ids=["under way", "cancelled"])
async def test_a_receiver_is_never_without_a_command(
    world: World, alice: Side, bob: Side, state: type[receiver.ReceiverSession], *, stop: bool
) -> None:
    for side in (alice, bob):
        world.fund(side.party, *[200_000 + 1_000 * n for n in range(len(COMMANDS))])
    able: set[str] = set()
    for name, command in COMMANDS.items():
        receiving = await receiving_at(world, alice, bob, state)
        if stop:
            await decisions.cancel(receiving.services, receiving.session_id)
        if isinstance(receiving.reload(), receiver.Closed):
            return
        if await does_something(command, receiving):
            able.add(name)
    assert able & {"cancel", "fallback", "release", "revoke"}


async def test_a_closed_session_says_that_nothing_is_left(
    world: World, alice: Side, bob: Side
) -> None:
    sending = await watched(sender.PollingForProposal, alice, bob)
    world.node.mine()
    await sending.to(sender.Closed)
    for command in COMMANDS.values():
        assert not await does_something(command, sending)
