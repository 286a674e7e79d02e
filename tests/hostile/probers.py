"""Senders who would learn the receiver's coins for nothing, where no node tests what they send.

The chain source is one that looks at coins and sums and runs no script: Electrum, plain Esplora.
"""

from dataclasses import replace

from tests.hostile import senders
from tests.hostile.mallory import Mallory, Scheme, received
from tests.hostile.payment import Played, Stage
from tests.hostile.record import Play, Tricks

from dovetail.bitcoin import OutPoint, Psbt, PsbtInput, Sats, Script, TxIn, TxOut
from dovetail.bitcoin.hashes import sha256
from dovetail.sessions import receiver


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


def _spending(mallory: Mallory, outpoint: OutPoint, known: PsbtInput) -> Psbt:
    """A payment from this coin instead of her own, unsigned by her as far as she can."""
    psbt = mallory.payment()
    txin = TxIn(outpoint, sequence=psbt.unsigned_transaction.inputs[0].sequence)
    changed = replace(psbt.unsigned_transaction, inputs=(txin,))
    return mallory.sign(psbt.with_transaction(changed, (known,), psbt.outputs))


TRICKS = Tricks()
TRICKS.update(
    flips_a_bit=blind(senders.signs_wrongly),
    spends_a_coin_of_nobodys=blind(senders.spends_a_coin_that_is_not_there),
)


@TRICKS.by(blind)
def overvalues_her_coin(mallory: Mallory) -> Psbt:
    # Claims a fee of ten thousand, for the receiver to match it.
    psbt = mallory.paid()
    utxo = psbt.utxo(0)
    claimed = TxOut(Sats(utxo.value + 10_000), utxo.script_pubkey)
    return mallory.offer(psbt.with_input(0, psbt.inputs[0].with_witness_utxo(claimed)))


@TRICKS.by(blind)
def spends_the_receivers_coin_under_another_script(mallory: Mallory) -> Psbt:
    # Signs for a script of her own; the wallet, asked about that script, would not know it.
    coin = mallory.stage.bob.party.wallet.coins()[0]
    claimed = PsbtInput().with_witness_utxo(mallory.payment().utxo(0))
    return mallory.offer(_spending(mallory, coin.outpoint, claimed))


@TRICKS.by(blind)
def spends_by_a_script_of_her_own(mallory: Mallory) -> Psbt:
    script = b"\x51"
    output = TxOut(Sats(200_000), Script(b"\x00\x20" + sha256(script)))
    funding = mallory.stage.world.node.fund_many([output])
    outpoint = OutPoint(funding.txid, funding.outputs.index(output))
    psbt = _spending(mallory, outpoint, PsbtInput().with_witness_utxo(output))
    return mallory.offer(psbt.with_input(0, psbt.inputs[0].with_final(b"", (script,))))


@TRICKS
async def burns_an_honest_payers_coins(stage: Stage) -> Played:
    # Garbage that names the coins of the honest payer, who pays another URI after it.
    stage.bob.party.chain.runs_scripts = False
    first, second = stage.bob.receive(), stage.bob.receive()
    senders.signs_wrongly(Mallory(stage, first))
    await stage.until(first, receiver.HasReplyableError)
    await stage.until(first, receiver.Initialized)
    honest = Mallory(stage, second)
    psbt = honest.offer(honest.paid())
    stage.mined(honest.accept(await second.to(receiver.Monitor)))
    return replace(received(second, psbt), sessions=(first, second))
