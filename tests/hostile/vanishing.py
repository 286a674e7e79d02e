"""Coins that are taken away under a payment: what had made them is replaced, or reorganised away.

Neither payjoin nor fallback can confirm then (ADR 0046).
"""

from dataclasses import dataclass
from typing import Self

from tests.hostile.mallory import Mallory, offering, received
from tests.hostile.payment import Played, Stage, played_by
from tests.hostile.record import Tricks
from tests.support.keys import unsigned
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
    TxOut,
)
from dovetail.protocol.coin import Coin
from dovetail.sessions import receiver, sender

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
        outpoint = OutPoint(self.parent.txid, 0)
        return Coin(outpoint, PsbtInput().with_witness_utxo(utxo), utxo)


def _sand(mallory: Mallory, *, mined: bool) -> tuple[Sand, Psbt]:
    """She pays herself first, and offers an honest payment from that coin."""
    sand = Sand.made_by(mallory.stage.alice.party, mallory.own_script())
    mallory.stage.world.node.send(sand.parent)
    if mined:
        mallory.stage.world.node.mine()
    coin = sand.coin
    rest = Sats(coin.utxo.value - AMOUNT - FEE)
    outputs = (TxOut(AMOUNT, mallory.payee), TxOut(rest, mallory.own_script()))
    return sand, mallory.offer(mallory.sign(unsigned([coin], *outputs)))


async def _freed(stage: Stage, played: Played) -> Played:
    """The end of it, with the receiver's coins free for others."""
    assert stage.bob.store.reserved(), "no coin was in danger"
    await stage.settle(*played.sessions)
    assert not stage.bob.store.reserved(), "a coin is held"
    return played


BY_RECEIVERS, BY_SENDERS = Tricks(), Tricks()


@BY_RECEIVERS
async def takes_back_what_it_had_paid(stage: Stage) -> Played:
    # The sender pays with a coin that came from this very receiver, one block ago.
    wallet = stage.alice.party.wallet
    sand = Sand.made_by(stage.bob.party, wallet.new_address().script_pubkey)
    stage.mined(sand.parent)
    wallet.coins = lambda: (sand.coin,)  # type: ignore[method-assign] # all that the wallet has
    sending, _ = await stage.begin(sender.PollingForProposal)
    stage.world.node.reorg(1, transactions=[sand.rival])
    assert stage.alice.store.reserved()
    await stage.settle(sending)
    assert not stage.alice.store.reserved(), "a coin is held"
    return played_by(sending)


@BY_SENDERS.by(offering)
def pays_with_an_unconfirmed_coin(mallory: Mallory) -> Psbt:
    return _sand(mallory, mined=False)[1]


@BY_SENDERS
async def replaces_the_parent(stage: Stage) -> Played:
    # Of a receiver whose policy takes unconfirmed coins.
    receiving = stage.bob.receive(unconfirmed_inputs=True)
    sand, psbt = _sand(Mallory(stage, receiving), mined=False)
    await stage.until(receiving, receiver.Monitor)
    stage.mined(sand.rival)
    return await _freed(stage, received(receiving, psbt))


@BY_SENDERS
async def reorganises_her_coin_away(stage: Stage) -> Played:
    receiving = stage.bob.receive()
    sand, psbt = _sand(Mallory(stage, receiving), mined=True)
    await stage.until(receiving, receiver.Monitor)
    stage.world.node.reorg(1, transactions=[sand.rival])
    return await _freed(stage, received(receiving, psbt))
