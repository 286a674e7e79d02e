"""Receivers whose answer is no Proposal, or comes from elsewhere, and those who act behind it."""

from dataclasses import replace

from tests.hostile.forge import (
    Forge,
    Lie,
    answer,
    answering,
    negotiated,
    put,
    reply_to,
    says,
)
from tests.hostile.payment import Ends, Played, Stage
from tests.hostile.record import Peer, Play, Trick

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


def goes_on_after_the_psbt(forge: Forge) -> bytes:
    return forge.honest.serialize() + b"\x00and more"


def claims_four_billion_inputs(forge: Forge) -> bytes:
    return b"psbt\xff\x01\x00\xfd\xff\x00\x02\x00\x00\x00\xfe\xff\xff\xff\xff" + bytes(400)


def claims_four_billion_bytes(forge: Forge) -> bytes:
    return b"psbt\xff\xfe\xff\xff\xff\xff" + bytes(400)


def pays_more_than_there_is(forge: Forge) -> bytes:
    value = forge.tx.outputs[0].value.to_bytes(8, "little")
    return forge.honest.serialize().replace(value, b"\xff" * 8, 1)


def nests_without_end(forge: Forge) -> bytes:
    return b'{"errorCode":' + b"[" * (PROPOSAL_CAPACITY - 20)


def writes_a_number_without_end(forge: Forge) -> bytes:
    return b'{"errorCode":"version-unsupported","supported":[' + b"9" * 7000 + b"]}"


async def with_the_wrong_key(stage: Stage) -> Played:
    forge, played, honest = await negotiated(stage)
    message = seal_message_b(
        forge.honest.serialize(),
        receiver_secret=SecretKey(b"\x0e" * 32),
        reply_key=reply_to(honest),
    )
    put(stage, honest, message)
    return played


async def another_sessions_answer(stage: Stage) -> Played:
    _, _, earlier = await negotiated(stage)
    _, played, honest = await negotiated(stage)
    secret = earlier.terms.require_mailbox().secret_key
    psbt = earlier.proposal.serialize()
    put(stage, honest, seal_message_b(psbt, receiver_secret=secret, reply_key=reply_to(earlier)))
    return played


async def another_sessions_proposal(stage: Stage) -> Played:
    _, _, earlier = await negotiated(stage)
    _, played, honest = await negotiated(stage)
    answer(stage, honest, earlier.proposal.serialize())
    return played


async def the_senders_own_message(stage: Stage) -> Played:
    _, played, honest = await negotiated(stage)
    mailbox = honest.terms.require_mailbox().short_id
    put(stage, honest, stage.world.wire.directory.mailboxes[mailbox])
    return played


async def silence(stage: Stage) -> Played:
    receiving = stage.bob.receive(lifetime=60)
    sending = await stage.alice.send(receiving.uri)
    await sending.to(sender.PollingForProposal)
    return Played(
        sessions=(sending,),
        address=receiving.uri.address,
        fallback=sending.state.fallback,
    )


# what looks right and is not


def spends_a_coin_that_is_not_there(forge: Forge) -> bytes:
    inputs = list(forge.tx.inputs)
    nowhere = OutPoint(Txid(b"\x77" * 32), 0)
    inputs[forge.ours] = TxIn(nowhere, sequence=inputs[forge.ours].sequence)
    tx = replace(forge.tx, inputs=tuple(inputs))
    psbt = Psbt.from_unsigned(tx)
    utxo = forge.honest.utxo(forge.ours)
    psbt = psbt.with_input(forge.ours, PsbtInput().with_witness_utxo(utxo))
    return forge.stage.bob.party.wallet.sign(psbt, inputs=[nowhere]).serialize()


async def broadcasts_the_original(stage: Stage) -> Played:
    _, played, _ = await negotiated(stage)
    assert played.fallback is not None
    stage.world.node.send(played.fallback)
    return played


async def broadcasts_the_original_over_the_payjoin(stage: Stage) -> Played:
    """While the payjoin waits in the mempool, a miner takes the Original."""
    forge, played, honest = await negotiated(stage)
    answer(stage, honest, forge.honest.serialize())
    (sending,) = played.sessions
    monitor = await sending.to(sender.Monitor)
    assert monitor.payjoin is not None
    stage.world.evict(monitor.payjoin.txid)
    stage.world.node.send(monitor.fallback)
    stage.world.node.mine()
    return played


async def pins_the_payment(stage: Stage) -> Played:
    """The payjoin waits with a low fee, and its payer raises that of the ordinary payment."""
    forge, played, honest = await negotiated(stage)
    answer(stage, honest, forge.honest.serialize())
    (sending,) = played.sessions
    await sending.to(sender.Monitor)
    rate = FeeRate.from_sat_per_vb(30)
    await decisions.fallback(sending.services, sending.session_id, fee_rate=rate)
    raised = sending.reload()
    assert isinstance(raised, sender.Monitor)
    assert stage.world.node.in_mempool(raised.fallback.txid)
    return replace(played, fallback=raised.fallback)


async def takes_its_coin_back(stage: Stage) -> Played:
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


def undervalues_the_senders_coin(forge: Forge) -> bytes:
    theirs = forge.honest.inputs[forge.theirs]
    utxo = TxOut(Sats(60_000), forge.change)
    return forge.with_input(forge.theirs, theirs.with_witness_utxo(utxo))


def unreadable(name: str, trick: str, lie: Lie, rule: str = MESSAGE_B) -> Trick:
    return says(name, trick, Reason.PROPOSAL_UNREADABLE, rule, lie)


def acts(
    name: str, trick: str, we: str, rule: str, told: str, play: Play, ends: Ends = Ends.ORDINARY
) -> Trick:
    return Trick(
        peer=Peer.RECEIVER,
        name=name,
        trick=trick,
        we=we,
        rule=rule,
        told=told,
        ends=ends,
        play=play,
    )


ENDS_IT = "Ends the negotiation, and makes the ordinary payment."

TRICKS: tuple[Trick, ...] = (
    unreadable("says nothing", "Answers with zeros alone.", lambda _: b""),
    unreadable("babbles", "Answers with noise.", lambda _: b"\x91psbt" * 1000),
    unreadable(
        "goes on after the PSBT",
        "Hides more data behind the PSBT, where zeros ought to be.",
        goes_on_after_the_psbt,
    ),
    unreadable(
        "claims four billion inputs",
        "Announces a transaction of 2³² inputs, to fill the memory.",
        claims_four_billion_inputs,
        "Parsers are total: counts are held to the bytes there are",
    ),
    unreadable(
        "claims four billion bytes",
        "Announces a field of 4 GB, to fill the memory.",
        claims_four_billion_bytes,
        "Parsers are total: lengths are held to the bytes there are",
    ),
    unreadable(
        "pays more than there is",
        "Pays 2⁶⁴ sats less one, for a sum to overflow.",
        pays_more_than_there_is,
        "Amounts end at 21 million bitcoins",
    ),
    unreadable(
        "says half a sentence",
        "Breaks off in the middle of an error's JSON.",
        lambda _: b'{"errorCode":"unavail',
        ERRORS,
    ),
    unreadable(
        "nests without end",
        "Answers with JSON of seven thousand brackets, to exhaust the stack.",
        nests_without_end,
        "Parsers are total: what JSON nests too deeply is no JSON",
    ),
    unreadable(
        "writes a number without end",
        "Names a version of seven thousand digits, to keep the processor busy.",
        writes_a_number_without_end,
        "Parsers are total: numbers have a longest form",
    ),
    says(
        "paints the terminal",
        "Hides cursor movements and a thief's address in an error's message.",
        Reason.RECEIVER_UNAVAILABLE,
        f"{ERRORS}; the other party's words are never shown",
        lambda _: f'{{"errorCode":"unavailable","message":"{ESCAPES}"}}'.encode(),
    ),
    says(
        "invents an error",
        "Hides the same in an error code of its own.",
        Reason.RECEIVER_UNKNOWN_ERROR,
        f"{ERRORS}; the other party's words are never shown",
        lambda _: f'{{"errorCode":"{ESCAPES}","message":"{ESCAPES}"}}'.encode(),
    ),
    says(
        "supports absurd versions",
        "Lists versions that are negative, huge, text or nested.",
        Reason.RECEIVER_VERSION_UNSUPPORTED,
        ERRORS,
        lambda _: b'{"errorCode":"version-unsupported","supported":[-1,99999999999,"x",[1],null]}',
    ),
    acts(
        "replies under a wrong key",
        "Somebody who knows the sender's mailbox answers in the receiver's stead.",
        ENDS_IT,
        "BIP 77, Message B: HPKE in auth mode with the receiver key of the URI",
        Reason.PROPOSAL_UNREADABLE.words,
        with_the_wrong_key,
    ),
    acts(
        "replays another session's answer",
        "Puts the sealed answer of an earlier session into the mailbox of this one.",
        ENDS_IT,
        "BIP 77, Message B: sealed to the reply key of one session",
        Reason.PROPOSAL_UNREADABLE.words,
        another_sessions_answer,
    ),
    acts(
        "repeats another session's Proposal",
        "Seals an earlier session's Proposal anew, to have another coin signed.",
        ENDS_IT,
        f"{CHECKLIST}: `sender-inputs`",
        "The receiver's proposal broke a rule of BIP 78 and was not signed."
        " It lacks one of our inputs or has them in another order.",
        another_sessions_proposal,
    ),
    acts(
        "returns the sender's own message",
        "Puts the sender's own Message A into the mailbox for the answer.",
        ENDS_IT,
        "BIP 77: Messages A and B differ in HPKE mode and `info`",
        Reason.PROPOSAL_UNREADABLE.words,
        the_senders_own_message,
    ),
    acts(
        "is silent",
        "Takes the Original and never answers.",
        "Polls until the expiration, then makes the ordinary payment.",
        "BIP 77, expiration; M3",
        Reason.EXPIRED_WAITING_FOR_PROPOSAL.words,
        silence,
    ),
    acts(
        "spends a coin that is not there",
        "Adds a coin that does not exist, or that it has spent already.",
        "Asks the network, which refuses it, and makes the ordinary payment.",
        "M4: a refused payjoin gives way to the fallback",
        Reason.PAYJOIN_REFUSED_BY_NETWORK.words,
        answering(spends_a_coin_that_is_not_there),
    ),
    acts(
        "broadcasts the Original",
        "Broadcasts the ordinary payment while the sender waits for an answer.",
        "Sees it, and pays nothing else.",
        "M4: payjoin and fallback spend the same coins",
        Reason.RECEIVER_TOOK_FALLBACK.words,
        broadcasts_the_original,
    ),
    acts(
        "broadcasts the Original over the payjoin",
        "Has a miner take the ordinary payment while the payjoin waits to be mined.",
        "Sees which of them confirmed, and says so.",
        "M4: payjoin and fallback spend the same coins",
        Reason.FALLBACK_CONFIRMED_FIRST.words,
        broadcasts_the_original_over_the_payjoin,
    ),
    acts(
        "pins the payment",
        "Has the payjoin wait in the mempool with a low fee, where nothing replaces it.",
        "Lets its payer raise the fee of the ordinary payment, which replaces the payjoin.",
        "M4: the same payment from the same coins; BIP 125",
        Reason.FALLBACK_REQUESTED.words,
        pins_the_payment,
    ),
    acts(
        "takes its coin back",
        "Spends its own coin elsewhere once the payjoin is broadcast, so that it cannot confirm.",
        "Finds the payjoin refused, and makes the ordinary payment.",
        "M3: watched to the configured depth, not until broadcast",
        Reason.PAYJOIN_REFUSED_BY_NETWORK.words,
        takes_its_coin_back,
    ),
    acts(
        "undervalues the sender's coin",
        "Changes what the PSBT says the sender's input is worth, for a fee of 40,000 sats.",
        "Restores its own data before it checks and signs.",
        "BIP 78, Sender: the UTXO data of the sender's inputs is the sender's own",
        "Paid by payjoin.",
        answering(undervalues_the_senders_coin),
        Ends.PAYJOIN,
    ),
)
