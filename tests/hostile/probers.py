"""Senders who would learn the receiver's coins for nothing, where no node tests what they send.

The chain source is one that looks at coins and sums and runs no script: Electrum, plain Esplora.
"""

from dataclasses import replace

from tests.hostile.mallory import PARAMS, Mallory, Scheme, received, spoilt
from tests.hostile.payment import Ends, Played, Stage
from tests.hostile.record import Decorator, Peer, Play, trick, tricks_in
from tests.hostile.senders import spends_a_coin_that_is_not_there

from dovetail.bitcoin import OutPoint, Psbt, PsbtInput, Sats, Script, TxIn, TxOut
from dovetail.bitcoin.hashes import sha256
from dovetail.protocol.mailbox import encode_original
from dovetail.sessions import receiver
from dovetail.sessions.reasons import Reason

CHECKED = "BIP 78, Receiver's original PSBT checklist: the Original must be broadcastable"


def blind(scheme: Scheme) -> Play:
    """The Original comes to a receiver whose chain source runs no script."""

    async def play(stage: Stage) -> Played:
        stage.bob.party.chain.runs_scripts = False
        receiving = stage.bob.receive()
        played = received(receiving, scheme(Mallory(stage, receiving)))
        await stage.until(receiving, receiver.HasReplyableError, receiver.Closed)
        assert not stage.bob.store.exposed(), "a coin was shown"
        assert not stage.bob.store.reserved(), "a coin is held"
        return played

    return play


def flips_a_bit(mallory: Mallory) -> Psbt:
    psbt = mallory.sign(mallory.payment())
    return mallory.offer(psbt.with_input(0, spoilt(psbt.inputs[0])))


def _spending(mallory: Mallory, outpoint: OutPoint, known: PsbtInput) -> Psbt:
    """A payment from this coin instead of her own, unsigned by her as far as she can."""
    psbt = mallory.payment()
    txin = TxIn(outpoint, sequence=psbt.unsigned_transaction.inputs[0].sequence)
    changed = replace(psbt.unsigned_transaction, inputs=(txin,))
    return mallory.sign(psbt.with_transaction(changed, (known,), psbt.outputs))


def probes(reason: Reason, **named: str) -> Decorator:
    return trick(
        peer=Peer.SENDER,
        we="Answers with an error, shows no coin and keeps none from others, without a node too.",
        rule=CHECKED,
        told=reason.words,
        ends=Ends.UNPAID,
        playing=blind,
        **named,
    )


_TABLE_1 = (
    probes(
        Reason.ORIGINAL_SIGNATURE_INVALID,
        name="flips a bit",
        words="Signs with a signature that is wrong in one bit, where no node runs it.",
    )(flips_a_bit),
)


@probes(Reason.ORIGINAL_INPUTS_MISSTATED)
def overvalues_her_coin(mallory: Mallory) -> Psbt:
    """Claims 10,000 sats more for its coin, for the receiver to match a fee that is not there."""
    # Claims a fee of ten thousand, for the receiver to match it.
    psbt = mallory.sign(mallory.payment())
    utxo = psbt.utxo(0)
    claimed = TxOut(Sats(utxo.value + 10_000), utxo.script_pubkey)
    psbt = psbt.with_input(0, psbt.inputs[0].with_witness_utxo(claimed))
    return mallory.offer(psbt)


_TABLE_2 = (
    probes(
        Reason.ORIGINAL_INPUTS_MISSING,
        name="spends a coin of nobody's",
        words="Offers a coin that does not exist, where no node looks for it.",
    )(spends_a_coin_that_is_not_there),
)


@probes(Reason.ORIGINAL_INPUTS_MISSTATED, name="spends the receiver's coin under another script")
def spends_the_receivers_coin_under_another_script(mallory: Mallory) -> Psbt:
    """Names a coin of the receiver's, and says that it lies at a script of the sender's own."""
    # Signs for a script of her own; the wallet, asked about that script, would not know it.
    coin = mallory.stage.bob.party.wallet.coins()[0]
    claimed = PsbtInput().with_witness_utxo(mallory.payment().utxo(0))
    psbt = _spending(mallory, coin.outpoint, claimed)
    return mallory.offer(psbt)


@probes(Reason.ORIGINAL_NOT_VERIFIABLE)
def spends_by_a_script_of_her_own(mallory: Mallory) -> Psbt:
    """Spends a coin whose script only a node can run, where none does."""
    script = b"\x51"
    output = TxOut(Sats(200_000), Script(b"\x00\x20" + sha256(script)))
    funding = mallory.stage.world.node.fund_many([output])
    outpoint = next(
        OutPoint(funding.txid, at) for at, each in enumerate(funding.outputs) if each == output
    )
    psbt = _spending(mallory, outpoint, PsbtInput().with_witness_utxo(output))
    psbt = psbt.with_input(0, psbt.inputs[0].with_final(b"", (script,)))
    return mallory.offer(psbt)


@trick(
    peer=Peer.SENDER,
    we="Refuses it before anything is recorded as seen, and pays along with the honest one.",
    rule="P2: an input is claimed once its signature holds",
    told="Paid by payjoin.",
    ends=Ends.PAYJOIN,
    name="burns an honest payer's coins",
)
async def burns_an_honest_payers_coins(stage: Stage) -> Played:
    """Names the coins of an honest payer in an Original with garbage for signatures, so that
    they count as seen.
    """
    # Garbage that names the coins of the honest payer, who pays another URI after it.
    stage.bob.party.chain.runs_scripts = False
    first, second = stage.bob.receive(), stage.bob.receive()
    flips_a_bit(Mallory(stage, first))
    await stage.until(first, receiver.HasReplyableError)
    await stage.until(first, receiver.Initialized)
    honest = Mallory(stage, second)
    psbt = honest.sign(honest.payment())
    honest.post(honest.seal(encode_original(psbt, PARAMS)))
    monitor = await second.to(receiver.Monitor)
    assert monitor.proposal is not None
    stage.world.node.send(honest.accept(monitor.proposal))
    stage.world.node.mine()
    return replace(received(second, psbt), sessions=(first, second))


TRICKS = tricks_in(globals())
