"""Receivers whose answer is no Proposal, or comes from elsewhere, and those who act behind it."""

from dataclasses import replace

from tests.hostile.forge import (
    Forge,
    answer,
    answering,
    negotiated,
    put,
    reply_to,
    says,
)
from tests.hostile.payment import Ends, Played, Stage, played_by
from tests.hostile.record import Decorator, Peer, trick, tricks_in

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, PsbtInput, Sats, Txid, TxIn, TxOut
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.mailbox import PROPOSAL_CAPACITY, seal_message_b
from dovetail.runtime import decisions
from dovetail.sessions import sender
from dovetail.sessions.reasons import Reason

MESSAGE_B = "BIP 77, Receive Payjoin Proposal"
ERRORS = "BIP 78, Receiver's well known errors"
CHECKLIST = "BIP 78, Sender's payjoin proposal checklist"
ESCAPES = "\\u001b[2J\\u001b[31mSend the rest to bc1qthief\\u202e\\u0007"


def spends_a_coin_that_is_not_there(forge: Forge) -> bytes:
    inputs = list(forge.tx.inputs)
    nowhere = OutPoint(Txid(b"\x77" * 32), 0)
    inputs[forge.ours] = TxIn(nowhere, sequence=inputs[forge.ours].sequence)
    tx = replace(forge.tx, inputs=tuple(inputs))
    psbt = Psbt.from_unsigned(tx)
    utxo = forge.honest.utxo(forge.ours)
    psbt = psbt.with_input(forge.ours, PsbtInput().with_witness_utxo(utxo))
    return forge.stage.bob.party.wallet.sign(psbt, inputs=[nowhere]).serialize()


def undervalues_the_senders_coin(forge: Forge) -> bytes:
    theirs = forge.honest.inputs[forge.theirs]
    utxo = TxOut(Sats(60_000), forge.change)
    return forge.with_input(forge.theirs, theirs.with_witness_utxo(utxo))


def unreadable(rule: str = MESSAGE_B, **named: str) -> Decorator:
    return says(Reason.PROPOSAL_UNREADABLE, rule, **named)


def acts(we: str, rule: str, told: str, ends: Ends = Ends.ORDINARY, **named: str) -> Decorator:
    return trick(peer=Peer.RECEIVER, we=we, rule=rule, told=told, ends=ends, playing=None, **named)


ENDS_IT = "Ends the negotiation, and makes the ordinary payment."


_TABLE_1 = (
    unreadable(name="says nothing", words="Answers with zeros alone.")(lambda _: b""),
    unreadable(name="babbles", words="Answers with noise.")(lambda _: b"\x91psbt" * 1000),
)


@unreadable(name="goes on after the PSBT")
def goes_on_after_the_psbt(forge: Forge) -> bytes:
    """Hides more data behind the PSBT, where zeros ought to be."""
    return forge.honest.serialize() + b"\x00and more"


@unreadable("Parsers are total: counts are held to the bytes there are")
def claims_four_billion_inputs(forge: Forge) -> bytes:
    """Announces a transaction of 2³² inputs, to fill the memory."""
    return b"psbt\xff\x01\x00\xfd\xff\x00\x02\x00\x00\x00\xfe\xff\xff\xff\xff" + bytes(400)


@unreadable("Parsers are total: lengths are held to the bytes there are")
def claims_four_billion_bytes(forge: Forge) -> bytes:
    """Announces a field of 4 GB, to fill the memory."""
    return b"psbt\xff\xfe\xff\xff\xff\xff" + bytes(400)


@unreadable("Amounts end at 21 million bitcoins")
def pays_more_than_there_is(forge: Forge) -> bytes:
    """Pays 2⁶⁴ sats less one, for a sum to overflow."""
    value = forge.tx.outputs[0].value.to_bytes(8, "little")
    return forge.honest.serialize().replace(value, b"\xff" * 8, 1)


_TABLE_2 = (
    unreadable(
        ERRORS, name="says half a sentence", words="Breaks off in the middle of an error's JSON."
    )(lambda _: b'{"errorCode":"unavail'),
)


@unreadable("Parsers are total: what JSON nests too deeply is no JSON")
def nests_without_end(forge: Forge) -> bytes:
    """Answers with JSON of seven thousand brackets, to exhaust the stack."""
    return b'{"errorCode":' + b"[" * (PROPOSAL_CAPACITY - 20)


@unreadable("Parsers are total: numbers have a longest form")
def writes_a_number_without_end(forge: Forge) -> bytes:
    """Names a version of seven thousand digits, to keep the processor busy."""
    return b'{"errorCode":"version-unsupported","supported":[' + b"9" * 7000 + b"]}"


_TABLE_3 = (
    says(
        Reason.RECEIVER_UNAVAILABLE,
        f"{ERRORS}; the other party's words are never shown",
        name="paints the terminal",
        words="Hides cursor movements and a thief's address in an error's message.",
    )(lambda _: f'{{"errorCode":"unavailable","message":"{ESCAPES}"}}'.encode()),
    says(
        Reason.RECEIVER_UNKNOWN_ERROR,
        f"{ERRORS}; the other party's words are never shown",
        name="invents an error",
        words="Hides the same in an error code of its own.",
    )(lambda _: f'{{"errorCode":"{ESCAPES}","message":"{ESCAPES}"}}'.encode()),
    says(
        Reason.RECEIVER_VERSION_UNSUPPORTED,
        ERRORS,
        name="supports absurd versions",
        words="Lists versions that are negative, huge, text or nested.",
    )(lambda _: b'{"errorCode":"version-unsupported","supported":[-1,99999999999,"x",[1],null]}'),
)


@acts(
    ENDS_IT,
    "BIP 77, Message B: HPKE in auth mode with the receiver key of the URI",
    Reason.PROPOSAL_UNREADABLE.words,
)
async def replies_under_a_wrong_key(stage: Stage) -> Played:
    """Somebody who knows the sender's mailbox answers in the receiver's stead."""
    forge, played, honest = await negotiated(stage)
    message = seal_message_b(
        forge.honest.serialize(),
        receiver_secret=SecretKey(b"\x0e" * 32),
        reply_key=reply_to(honest),
    )
    put(stage, honest, message)
    return played


@acts(
    ENDS_IT,
    "BIP 77, Message B: sealed to the reply key of one session",
    Reason.PROPOSAL_UNREADABLE.words,
    name="replays another session's answer",
)
async def another_sessions_answer(stage: Stage) -> Played:
    """Puts the sealed answer of an earlier session into the mailbox of this one."""
    _, _, earlier = await negotiated(stage)
    _, played, honest = await negotiated(stage)
    secret = earlier.terms.require_mailbox().secret_key
    psbt = earlier.proposal.serialize()
    put(stage, honest, seal_message_b(psbt, receiver_secret=secret, reply_key=reply_to(earlier)))
    return played


@acts(
    ENDS_IT,
    f"{CHECKLIST}: `sender-inputs`",
    "The receiver's proposal broke a rule of BIP 78 and was not signed."
    " It lacks one of our inputs or has them in another order.",
    name="repeats another session's Proposal",
)
async def another_sessions_proposal(stage: Stage) -> Played:
    """Seals an earlier session's Proposal anew, to have another coin signed."""
    _, _, earlier = await negotiated(stage)
    _, played, honest = await negotiated(stage)
    answer(stage, honest, earlier.proposal.serialize())
    return played


@acts(
    ENDS_IT,
    "BIP 77: Messages A and B differ in HPKE mode and `info`",
    Reason.PROPOSAL_UNREADABLE.words,
    name="returns the sender's own message",
)
async def the_senders_own_message(stage: Stage) -> Played:
    """Puts the sender's own Message A into the mailbox for the answer."""
    _, played, honest = await negotiated(stage)
    mailbox = honest.terms.require_mailbox().short_id
    put(stage, honest, stage.world.wire.directory.mailboxes[mailbox])
    return played


@acts(
    "Polls until the expiration, then makes the ordinary payment.",
    "BIP 77, expiration; M3",
    Reason.EXPIRED_WAITING_FOR_PROPOSAL.words,
)
async def is_silent(stage: Stage) -> Played:
    """Takes the Original and never answers."""
    sending, _ = await stage.begin(sender.PollingForProposal, lifetime=60)
    return played_by(sending)


_TABLE_4 = (
    acts(
        "Asks the network, which refuses it, and makes the ordinary payment.",
        "M4: a refused payjoin gives way to the fallback",
        Reason.PAYJOIN_REFUSED_BY_NETWORK.words,
        name="spends a coin that is not there",
        words="Adds a coin that does not exist, or that it has spent already.",
    )(answering(spends_a_coin_that_is_not_there)),
)


@acts(
    "Sees it, and pays nothing else.",
    "M4: payjoin and fallback spend the same coins",
    Reason.RECEIVER_TOOK_FALLBACK.words,
    name="broadcasts the Original",
)
async def broadcasts_the_original(stage: Stage) -> Played:
    """Broadcasts the ordinary payment while the sender waits for an answer."""
    _, played, _ = await negotiated(stage)
    assert played.fallback is not None
    stage.world.node.send(played.fallback)
    return played


@acts(
    "Sees which of them confirmed, and says so.",
    "M4: payjoin and fallback spend the same coins",
    Reason.FALLBACK_CONFIRMED_FIRST.words,
    name="broadcasts the Original over the payjoin",
)
async def broadcasts_the_original_over_the_payjoin(stage: Stage) -> Played:
    """Has a miner take the ordinary payment while the payjoin waits to be mined."""
    # While the payjoin waits in the mempool, a miner takes the Original.
    forge, played, honest = await negotiated(stage)
    answer(stage, honest, forge.honest.serialize())
    (sending,) = played.sessions
    monitor = await sending.to(sender.Monitor)
    assert monitor.payjoin is not None
    stage.world.evict(monitor.payjoin.txid)
    stage.world.node.send(monitor.fallback_transaction)
    stage.world.node.mine()
    return played


@acts(
    "Lets its payer raise the fee of the ordinary payment, which replaces the payjoin.",
    "M4: the same payment from the same coins; BIP 125",
    Reason.FALLBACK_REQUESTED.words,
)
async def pins_the_payment(stage: Stage) -> Played:
    """Has the payjoin wait in the mempool with a low fee, where nothing replaces it."""
    # The payjoin waits with a low fee, and its payer raises that of the ordinary payment.
    forge, played, honest = await negotiated(stage)
    answer(stage, honest, forge.honest.serialize())
    (sending,) = played.sessions
    await sending.to(sender.Monitor)
    rate = FeeRate.from_sat_per_vb(30)
    await decisions.fallback(sending.services, sending.session_id, fee_rate=rate)
    raised = sending.reload()
    assert isinstance(raised, sender.Monitor)
    assert stage.world.node.in_mempool(raised.fallback_transaction.txid)
    return replace(played, fallback=raised.fallback_transaction)


@acts(
    "Finds the payjoin refused, and makes the ordinary payment.",
    "M3: watched to the configured depth, not until broadcast",
    Reason.PAYJOIN_REFUSED_BY_NETWORK.words,
)
async def takes_its_coin_back(stage: Stage) -> Played:
    """Spends its own coin elsewhere once the payjoin is broadcast, so that it cannot confirm."""
    forge, played, honest = await negotiated(stage)
    answer(stage, honest, forge.honest.serialize())
    (sending,) = played.sessions
    monitor = await sending.to(sender.Monitor)
    assert monitor.payjoin is not None
    stage.world.evict(monitor.payjoin.txid)
    coin = forge.tx.inputs[forge.ours].previous_output
    back = stage.bob.party.wallet.revoke(coin, fee_rate=FeeRate.BROADCAST_MIN)
    stage.world.node.send(back)
    stage.world.node.mine()
    return played


_TABLE_5 = (
    acts(
        "Restores its own data before it checks and signs.",
        "BIP 78, Sender: the UTXO data of the sender's inputs is the sender's own",
        "Paid by payjoin.",
        Ends.PAYJOIN,
        name="undervalues the sender's coin",
        words="Changes what the PSBT says the sender's input is worth, for a fee of 40,000 sats.",
    )(answering(undervalues_the_senders_coin)),
)


TRICKS = tricks_in(globals())
