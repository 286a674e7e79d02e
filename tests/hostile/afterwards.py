"""Senders who cheat with an honest Original: who send it twice, or do something else after it."""

from dataclasses import replace

from tests.hostile.mallory import PARAMS, Mallory, offering, received
from tests.hostile.payment import Played, Stage
from tests.hostile.record import Tricks
from tests.hostile.senders import pays_nobody
from tests.support.stepping import Receiving

from dovetail.bitcoin import Psbt
from dovetail.protocol.mailbox import encode_original
from dovetail.sessions import receiver

TRICKS = Tricks()


async def honest(stage: Stage, state: type = receiver.Monitor) -> tuple[Mallory, Receiving, Psbt]:
    """She has offered an honest Original; the receiver comes as far as this."""
    receiving = stage.bob.receive()
    mallory = Mallory(stage, receiving)
    psbt = mallory.offer(mallory.paid())
    await receiving.to(state)
    return mallory, receiving, psbt


@TRICKS.by(offering)
def names_the_receiver_as_herself(mallory: Mallory) -> Psbt:
    # The answer would go into the receiver's own mailbox.
    psbt = mallory.paid()
    body = encode_original(psbt, PARAMS)
    mallory.post(mallory.seal(body, reply_key=mallory.endpoint.receiver_key))
    return psbt


@TRICKS
async def probes_with_the_same_coins_at_once(stage: Stage) -> Played:
    second = stage.bob.receive()
    _, first, psbt = await honest(stage)
    other = Mallory(stage, second)
    other.offer(other.paid())
    probed = received(second, psbt)
    return replace(probed, sessions=(first, second), address=first.uri.address)


@TRICKS
async def probes_with_the_same_coins_later(stage: Stage) -> Played:
    second = stage.bob.receive()
    _, first, _ = await honest(stage, receiver.OutputsUnknown)
    outputs = first.state
    assert isinstance(outputs, receiver.OutputsUnknown)
    first.state = outputs.cancel().save(first.log).release(spends=()).save(first.log)
    assert first.state.closed
    other = Mallory(stage, second)
    other.offer(other.paid())
    return received(second, None)


@TRICKS
async def sends_a_second_original(stage: Stage) -> Played:
    # Into the same mailbox: an honest directory keeps the first, this one takes the second.
    mallory, receiving, psbt = await honest(stage, receiver.WantsInputs)
    mallory.offer(mallory.paid(1_000))
    return received(receiving, psbt)


@TRICKS
async def prefers_the_original(stage: Stage) -> Played:
    _, receiving, psbt = await honest(stage)
    stage.mined(psbt.extract())
    return received(receiving, psbt)


@TRICKS
async def pays_nobody_after_all(stage: Stage) -> Played:
    # The refused Original is broadcast by its sender.
    receiving = stage.bob.receive()
    psbt = pays_nobody(Mallory(stage, receiving))
    await stage.until(receiving, receiver.HasReplyableError)
    await stage.until(receiving, receiver.Initialized)
    stage.mined(psbt.extract())
    return received(receiving, psbt)


@TRICKS
async def pays_herself(stage: Stage) -> Played:
    mallory, receiving, psbt = await honest(stage)
    stage.mined(mallory.paid(to=mallory.own_script()).extract())
    return received(receiving, psbt)


@TRICKS
async def is_never_seen_again(stage: Stage) -> Played:
    _, receiving, psbt = await honest(stage)
    stage.world.clock.pass_by(3600 + 600)
    return received(receiving, psbt)
