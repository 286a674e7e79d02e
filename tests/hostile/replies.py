"""Receivers whose answer is no Proposal, or comes from elsewhere, and those who act behind it."""

from dataclasses import replace

from tests.hostile.forge import Forge, answer, answering, negotiated, put, reply_to
from tests.hostile.payment import Played, Stage, played_by
from tests.hostile.record import Play, Tricks

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, PsbtInput, Sats, Txid, TxIn, TxOut
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.mailbox import PROPOSAL_CAPACITY, seal_message_b
from dovetail.runtime import decisions
from dovetail.sessions import sender

ESCAPES = "\\u001b[2J\\u001b[31mSend the rest to bc1qthief\\u202e\\u0007"
FOUR_BILLION_INPUTS = b"psbt\xff\x01\x00\xfd\xff\x00\x02\x00\x00\x00\xfe\xff\xff\xff\xff"
UNSUPPORTED = b'{"errorCode":"version-unsupported","supported":['


def says(text: bytes | str) -> Play:
    """The same answer to any Original."""
    return answering(lambda _: text.encode() if isinstance(text, str) else text)


TRICKS = Tricks()
TRICKS.update(
    says_nothing=says(b""),
    babbles=says(b"\x91psbt" * 1000),
    goes_on_after_the_psbt=answering(lambda forge: forge.honest.serialize() + b"\x00and more"),
    claims_four_billion_inputs=says(FOUR_BILLION_INPUTS + bytes(400)),
    claims_four_billion_bytes=says(b"psbt\xff\xfe\xff\xff\xff\xff" + bytes(400)),
    says_half_a_sentence=says('{"errorCode":"unavail'),
    nests_without_end=says('{"errorCode":' + "[" * (PROPOSAL_CAPACITY - 20)),
    writes_a_number_without_end=says(UNSUPPORTED + b"9" * 7000 + b"]}"),
    paints_the_terminal=says(f'{{"errorCode":"unavailable","message":"{ESCAPES}"}}'),
    invents_an_error=says(f'{{"errorCode":"{ESCAPES}","message":"{ESCAPES}"}}'),
    supports_absurd_versions=says(UNSUPPORTED + b'-1,99999999999,"x",[1],null]}'),
)


@TRICKS.by(answering)
def pays_more_than_there_is(forge: Forge) -> bytes:
    value = forge.tx.outputs[0].value.to_bytes(8, "little")
    return forge.honest.serialize().replace(value, b"\xff" * 8, 1)


@TRICKS.by(answering)
def spends_a_coin_that_is_not_there(forge: Forge) -> bytes:
    inputs = list(forge.tx.inputs)
    nowhere = OutPoint(Txid(b"\x77" * 32), 0)
    inputs[forge.ours] = TxIn(nowhere, sequence=inputs[forge.ours].sequence)
    psbt = Psbt.from_unsigned(replace(forge.tx, inputs=tuple(inputs)))
    utxo = forge.honest.utxo(forge.ours)
    psbt = psbt.with_input(forge.ours, PsbtInput().with_witness_utxo(utxo))
    return forge.stage.bob.party.wallet.sign(psbt, inputs=[nowhere]).serialize()


@TRICKS.by(answering)
def undervalues_the_senders_coin(forge: Forge) -> bytes:
    theirs = forge.honest.inputs[forge.theirs]
    return forge.with_input(
        forge.theirs, theirs.with_witness_utxo(TxOut(Sats(60_000), forge.change))
    )


@TRICKS
async def replies_under_a_wrong_key(stage: Stage) -> Played:
    forge, played, honest = await negotiated(stage)
    secret, psbt = SecretKey(b"\x0e" * 32), forge.honest.serialize()
    put(stage, honest, seal_message_b(psbt, receiver_secret=secret, reply_key=reply_to(honest)))
    return played


@TRICKS
async def replays_another_sessions_answer(stage: Stage) -> Played:
    _, _, earlier = await negotiated(stage)
    _, played, honest = await negotiated(stage)
    secret = earlier.terms.require_mailbox().secret_key
    psbt = earlier.proposal.serialize()
    put(stage, honest, seal_message_b(psbt, receiver_secret=secret, reply_key=reply_to(earlier)))
    return played


@TRICKS
async def repeats_another_sessions_proposal(stage: Stage) -> Played:
    _, _, earlier = await negotiated(stage)
    _, played, honest = await negotiated(stage)
    answer(stage, honest, earlier.proposal.serialize())
    return played


@TRICKS
async def returns_the_senders_own_message(stage: Stage) -> Played:
    _, played, honest = await negotiated(stage)
    mailbox = honest.terms.require_mailbox().short_id
    put(stage, honest, stage.world.wire.directory.mailboxes[mailbox])
    return played


@TRICKS
async def is_silent(stage: Stage) -> Played:
    sending, _ = await stage.begin(sender.PollingForProposal, lifetime=60)
    return played_by(sending)


@TRICKS
async def broadcasts_the_original(stage: Stage) -> Played:
    _, played, _ = await negotiated(stage)
    assert played.fallback is not None
    stage.world.node.send(played.fallback)
    return played


async def _broadcast(stage: Stage) -> tuple[Forge, Played, sender.Monitor]:
    """The honest payjoin waits in the mempool."""
    forge, played, honest = await negotiated(stage)
    answer(stage, honest, forge.honest.serialize())
    (sending,) = played.sessions
    monitor = await sending.to(sender.Monitor)
    assert monitor.payjoin is not None
    return forge, played, monitor


@TRICKS
async def broadcasts_the_original_over_the_payjoin(stage: Stage) -> Played:
    # While the payjoin waits in the mempool, a miner takes the Original.
    _, played, monitor = await _broadcast(stage)
    stage.evict(monitor.payjoin)
    stage.mined(monitor.fallback_transaction)
    return played


@TRICKS
async def pins_the_payment(stage: Stage) -> Played:
    # The payjoin waits with a low fee, and its payer raises that of the ordinary payment.
    _, played, _ = await _broadcast(stage)
    (sending,) = played.sessions
    rate = FeeRate.from_sat_per_vb(30)
    await decisions.fallback(sending.services, sending.session_id, fee_rate=rate)
    raised = sending.reload()
    assert isinstance(raised, sender.Monitor)
    assert stage.world.node.in_mempool(raised.fallback_transaction.txid)
    return replace(played, fallback=raised.fallback_transaction)


@TRICKS
async def takes_its_coin_back(stage: Stage) -> Played:
    forge, played, monitor = await _broadcast(stage)
    stage.evict(monitor.payjoin)
    coin = forge.tx.inputs[forge.ours].previous_output
    stage.mined(stage.bob.party.wallet.revoke(coin, fee_rate=FeeRate.BROADCAST_MIN))
    return played
