"""Senders who cheat with an honest Original: who send it twice, or do something else after it."""

from dataclasses import replace

from tests.hostile.mallory import PARAMS, Mallory, offering, received
from tests.hostile.payment import Ends, Played, Stage
from tests.hostile.record import tricks_in
from tests.hostile.senders import does, pays_nobody

from dovetail.bitcoin import Psbt
from dovetail.protocol.mailbox import encode_original
from dovetail.sessions import receiver
from dovetail.sessions.reasons import Reason


def honest(mallory: Mallory) -> Psbt:
    return mallory.offer(mallory.sign(mallory.payment()))


def names_the_receiver_as_herself(mallory: Mallory) -> Psbt:
    """The answer would go into the receiver's own mailbox."""
    psbt = mallory.sign(mallory.payment())
    body = encode_original(psbt, PARAMS)
    mallory.post(mallory.seal(body, reply_key=mallory.endpoint.receiver_key))
    return psbt


@does(
    "Refuses the second; the first is paid.",
    "P2: an input seen in any session is refused in every other",
    Reason.ORIGINAL_INPUTS_SEEN_BEFORE.words,
    Ends.ORDINARY,
)
async def probes_with_the_same_coins_at_once(stage: Stage) -> Played:
    """Offers the same coins to two URIs, to see two of the receiver's coins for one payment."""
    first, second = stage.bob.receive(), stage.bob.receive()
    one, other = Mallory(stage, first), Mallory(stage, second)
    psbt = one.sign(one.payment())
    one.offer(psbt)
    await first.to(receiver.Monitor)
    other.offer(other.sign(other.payment()))
    probed = received(second, psbt)
    return replace(probed, sessions=(first, second), address=first.uri.address)


@does(
    "Refuses them, and makes no proposal.",
    "P2: closed sessions included",
    Reason.ORIGINAL_INPUTS_SEEN_BEFORE.words,
)
async def probes_with_the_same_coins_later(stage: Stage) -> Played:
    """Offers coins again that a closed session had seen."""
    first, second = stage.bob.receive(), stage.bob.receive()
    one, other = Mallory(stage, first), Mallory(stage, second)
    one.offer(one.sign(one.payment()))
    outputs = await first.to(receiver.OutputsUnknown)
    pending = outputs.cancel().save(first.log)
    first.state = pending.release().save(first.log)
    assert first.state.closed
    other.offer(other.sign(other.payment()))
    return received(second, None)


@does(
    "Never reads again; what was taken is paid.",
    "M2: a session reads its Original once",
    "The sender has the payjoin; waiting for it to confirm.",
    Ends.ORDINARY,
    name="sends a second Original",
)
async def the_same_original_again(stage: Stage) -> Played:
    """Writes another, smaller Original into the mailbox after the first was taken."""
    # Into the same mailbox: an honest directory keeps the first, this one takes the second.
    receiving = stage.bob.receive()
    mallory = Mallory(stage, receiving)
    psbt = mallory.sign(mallory.payment())
    mallory.offer(psbt)
    await receiving.to(receiver.WantsInputs)
    mallory.offer(mallory.sign(mallory.payment(1_000)))
    return received(receiving, psbt)


@does(
    "Sees which was paid; the coin it has shown is offered again before others.",
    "P3: an exposed coin goes first",
    Reason.SENDER_CHOSE_FALLBACK.words,
    Ends.ORDINARY,
    name="prefers the Original",
)
async def prefers_the_original(stage: Stage) -> Played:
    """Takes the Proposal, learns the receiver's coin, and makes the ordinary payment."""
    receiving = stage.bob.receive()
    psbt = honest(Mallory(stage, receiving))
    await receiving.to(receiver.Monitor)
    stage.world.node.send(psbt.extract())
    stage.world.node.mine()
    return received(receiving, psbt)


@does(
    "Says that it was not paid; no invoice counts as settled.",
    "M4: only a transaction that pays this URI settles it",
    Reason.ORIGINAL_DOES_NOT_PAY_US.words,
)
async def pays_nobody_after_all(stage: Stage) -> Played:
    """Broadcasts the Original that was refused for paying nobody, to be taken for its payment."""
    # The refused Original is broadcast by its sender.
    receiving = stage.bob.receive()
    psbt = pays_nobody(Mallory(stage, receiving))
    await stage.until(receiving, receiver.HasReplyableError)
    await stage.until(receiving, receiver.Initialized)
    stage.world.node.send(psbt.extract())
    stage.world.node.mine()
    return received(receiving, psbt)


@does(
    "Says that it was not paid; no invoice counts as settled.",
    "M4: somebody else spent a contested outpoint",
    "The sender's coins were spent by a transaction from outside this session.",
)
async def pays_herself(stage: Stage) -> Played:
    """Spends the payment's coins elsewhere once the Proposal is there."""
    receiving = stage.bob.receive()
    mallory = Mallory(stage, receiving)
    psbt = honest(mallory)
    await receiving.to(receiver.Monitor)
    own = stage.alice.party.wallet.new_address().script_pubkey
    stage.world.node.send(mallory.sign(mallory.payment(to=own)).extract())
    stage.world.node.mine()
    return received(receiving, psbt)


@does(
    "Makes the ordinary payment once expiration and grace have passed.",
    "M3; BIP 77, expiration",
    Reason.FALLBACK_DUE.words,
    Ends.ORDINARY,
)
async def is_never_seen_again(stage: Stage) -> Played:
    """Takes the Proposal and is silent."""
    receiving = stage.bob.receive()
    psbt = honest(Mallory(stage, receiving))
    await receiving.to(receiver.Monitor)
    stage.world.clock.pass_by(3600 + 600)
    return received(receiving, psbt)


_TABLE_4 = (
    does(
        "Answers there, where nobody reads; then makes the ordinary payment.",
        "M3; P1: the answer is a fresh ciphertext in any case",
        "The sender has the payjoin; waiting for it to confirm.",
        Ends.ORDINARY,
        name="names the receiver as herself",
        words="Gives the receiver's own key as her reply key.",
    )(offering(names_the_receiver_as_herself)),
)


TRICKS = tricks_in(globals())
