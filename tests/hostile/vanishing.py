"""Coins that are taken away under a payment: what had made them is replaced, or reorganised away.

Neither payjoin nor fallback can confirm then (ADR 0046).
"""

from dataclasses import dataclass
from typing import Self

from tests.hostile.mallory import SEQUENCE, Mallory, received, refused
from tests.hostile.payment import Ends, Played, Stage, played_by
from tests.hostile.record import Decorator, Peer, trick, tricks_in
from tests.support.stepping import AMOUNT
from tests.support.wallet import FEE
from tests.support.world import Party

from dovetail.bitcoin import (
    FeeRate,
    OutPoint,
    Psbt,
    PsbtInput,
    Sats,
    Script,
    Transaction,
    TxIn,
    TxOut,
)
from dovetail.protocol.coin import Coin
from dovetail.sessions import receiver, sender
from dovetail.sessions.reasons import Reason

ENOUGH = Sats(60_000)


@dataclass(frozen=True, slots=True)
class Sand:
    """A coin that its maker can take away."""

    parent: Transaction
    rival: Transaction
    """It spends what the parent spends, and pays a higher fee."""

    @classmethod
    def made_by(cls, party: Party, to: Script) -> Self:
        """Both are signed, and neither has left."""
        rate = FeeRate.BROADCAST_MIN
        parent = party.wallet.pay(to, ENOUGH, fee_rate=rate).extract()
        rival = party.wallet.revoke(parent.contested()[0], fee_rate=rate)
        return cls(parent, rival)

    @property
    def coin(self) -> Coin:
        utxo = self.parent.outputs[0]
        known = PsbtInput().with_witness_utxo(utxo)
        return Coin(OutPoint(self.parent.txid, 0), known, utxo)


def _sand(mallory: Mallory) -> Sand:
    """She pays herself first."""
    party = mallory.stage.alice.party
    return Sand.made_by(party, party.wallet.new_address().script_pubkey)


def _original(mallory: Mallory, coin: Coin) -> Psbt:
    """An honest payment from this coin, offered."""
    change = mallory.stage.alice.party.wallet.new_address().script_pubkey
    outputs = (
        TxOut(AMOUNT, mallory.payee),
        TxOut(Sats(coin.utxo.value - AMOUNT - FEE), change),
    )
    inputs = (TxIn(coin.outpoint, sequence=SEQUENCE),)
    psbt = Psbt.from_unsigned(Transaction(2, inputs, outputs, 0))
    return mallory.offer(mallory.sign(psbt.with_input(0, coin.psbt_input)))


async def _freed(stage: Stage, played: Played) -> Played:
    """The end of it, with the receiver's coins free for others."""
    assert stage.bob.store.reserved(), "no coin was in danger"
    await stage.settle(*played.sessions)
    assert not stage.bob.store.reserved(), "a coin is held"
    return played


RULE = "M3: a coin that is missed for six blocks, or the depth, ends the session"


def takes(peer: Peer, **named: str) -> Decorator:
    return trick(
        peer=peer,
        we="Counts the blocks without the coin, then ends the session and frees its own coins.",
        rule=RULE,
        told=Reason.COINS_GONE.words,
        ends=Ends.UNPAID,
        playing=None,
        **named,
    )


@takes(Peer.RECEIVER)
async def takes_back_what_it_had_paid(stage: Stage) -> Played:
    """Has paid the sender the coin that the payment spends, and has a reorganisation take that
    away.
    """
    # The sender pays with a coin that came from this very receiver, one block ago.
    wallet = stage.alice.party.wallet
    sand = Sand.made_by(stage.bob.party, wallet.new_address().script_pubkey)
    stage.world.node.send(sand.parent)
    stage.world.node.mine()
    wallet.coins = lambda: (sand.coin,)  # type: ignore[method-assign] # all that the wallet has
    sending, _ = await stage.begin(sender.PollingForProposal)
    stage.world.node.reorg(1, transactions=[sand.rival])
    assert stage.alice.store.reserved()
    await stage.settle(sending)
    assert not stage.alice.store.reserved(), "a coin is held"
    return played_by(sending)


@refused(
    Reason.ORIGINAL_UNCONFIRMED_INPUTS,
    "the Original must be broadcastable; its coins are confirmed, where the policy allows no"
    " others",
)
def pays_with_an_unconfirmed_coin(mallory: Mallory) -> Psbt:
    """Pays with a coin that is not confirmed, so as to replace later what makes it."""
    sand = _sand(mallory)
    mallory.stage.world.node.send(sand.parent)
    return _original(mallory, sand.coin)


@takes(Peer.SENDER)
async def replaces_the_parent(stage: Stage) -> Played:
    """Pays with an unconfirmed coin where the policy allows it, and replaces what makes it once
    the Proposal is there, so that the receiver's coin is held for ever.
    """
    # Of a receiver whose policy takes unconfirmed coins.
    receiving = stage.bob.receive(unconfirmed_inputs=True)
    mallory = Mallory(stage, receiving)
    sand = _sand(mallory)
    stage.world.node.send(sand.parent)
    psbt = _original(mallory, sand.coin)
    await stage.until(receiving, receiver.Monitor)
    stage.world.node.send(sand.rival)
    stage.world.node.mine()
    return await _freed(stage, received(receiving, psbt))


@takes(Peer.SENDER)
async def reorganises_her_coin_away(stage: Stage) -> Played:
    """Has a reorganisation take the payment's coin away once the Proposal is there."""
    receiving = stage.bob.receive()
    mallory = Mallory(stage, receiving)
    sand = _sand(mallory)
    stage.world.node.send(sand.parent)
    stage.world.node.mine()
    psbt = _original(mallory, sand.coin)
    await stage.until(receiving, receiver.Monitor)
    stage.world.node.reorg(1, transactions=[sand.rival])
    return await _freed(stage, received(receiving, psbt))


TRICKS = tricks_in(globals())
BY_RECEIVERS = tuple(each for each in TRICKS if each.peer is Peer.RECEIVER)
BY_SENDERS = tuple(each for each in TRICKS if each.peer is Peer.SENDER)
