"""The contract of every wallet: inherit `WalletContract` in a test class and give it a scene.

A scene is a new wallet on a chain that the test owns, such as one of `dovetail.regtest`. A subclass
provides it by the pytest fixture `scene`::

    class TestMyWallet(WalletContract):
        @pytest.fixture
        def scene(self):
            with MyScene() as scene:
                yield scene
"""

from typing import Protocol

import pytest

from dovetail.bitcoin import (
    FeeRate,
    OutPoint,
    Psbt,
    Sats,
    Script,
    Transaction,
    Txid,
    TxIn,
    TxOut,
)
from dovetail.bitcoin.psbt import PsbtInput
from dovetail.errors import ChainError, InsufficientFunds, WalletError
from dovetail.protocol.coin import Coin
from dovetail.wallets.ports import Accepted, Chain, Wallet

RATE = FeeRate.from_sat_per_vb(2)
FOREIGN = OutPoint(Txid(b"\x5a" * 32), 3)
"""An outpoint that does not exist."""
_REPLACEABLE = 0xFFFFFFFD


class Scene(Protocol):
    """A wallet without coins yet, and the chain it is on."""

    @property
    def wallet(self) -> Wallet:
        """The wallet."""
        ...

    @property
    def chain(self) -> Chain:
        """A source for the same chain, without delay."""
        ...

    @property
    def stranger(self) -> Script:
        """A script that is not the wallet's."""
        ...

    def fund(self, amount: Sats, *, confirmed: bool = True) -> OutPoint:
        """Pay a new address of the wallet by a transaction in a block, or in the mempool."""
        ...

    def go_away(self) -> None:
        """Have the wallet's server or node stop answering."""
        ...


class WalletContract:
    """Run by pytest in the class that inherits it: the promises of `dovetail.wallets.Wallet`."""

    def test_an_address_is_given_once_and_owned(self, scene: Scene) -> None:
        given = [scene.wallet.new_address() for _ in range(3)]
        assert len({str(each) for each in given}) == 3
        assert all(each.is_for(scene.wallet.network) for each in given)
        scripts = {each.script_pubkey for each in given}
        assert scene.wallet.owned([*scripts, scene.stranger]) == scripts

    def test_a_confirmed_coin_is_told_with_what_it_holds(self, scene: Scene) -> None:
        first = self._funded(scene, 100_000)
        second = self._funded(scene, 150_000)
        coins = {coin.outpoint: coin for coin in scene.wallet.coins()}
        assert coins.keys() == {first, second}
        assert [coins[each].utxo.value for each in (first, second)] == [100_000, 150_000]
        assert scene.wallet.owned_coins([first, second, FOREIGN]) == {first, second}
        assert scene.wallet.balance().confirmed == 250_000

    def test_a_coin_that_waits_is_not_offered(self, scene: Scene) -> None:
        scene.fund(Sats(100_000), confirmed=False)
        scene.wallet.sync()
        assert scene.wallet.coins() == ()
        assert scene.wallet.balance().confirmed == 0
        with pytest.raises(InsufficientFunds):
            scene.wallet.pay(scene.stranger, Sats(40_000), fee_rate=RATE)

    def test_a_payment_is_final_pays_what_was_asked_and_the_rest_to_itself(
        self, scene: Scene
    ) -> None:
        coin = self._funded(scene, 100_000)
        original = scene.wallet.pay(scene.stranger, Sats(40_000), fee_rate=RATE)
        payment = original.extract()
        paid = [out.value for out in payment.outputs if out.script_pubkey == scene.stranger]
        rest = [out.script_pubkey for out in payment.outputs if out.script_pubkey != scene.stranger]
        assert paid == [40_000]
        assert scene.wallet.owned(rest) == set(rest)
        assert payment.contested() == (coin,)
        assert original.fee >= RATE.fee(payment.weight)

    def test_a_payment_would_be_taken_and_is_not_broadcast(self, scene: Scene) -> None:
        coin = self._funded(scene, 100_000)
        payment = scene.wallet.pay(scene.stranger, Sats(40_000), fee_rate=RATE).extract()
        assert scene.chain.spends_of([coin]) == {}
        assert isinstance(scene.chain.acceptance(payment), Accepted)

    def test_a_payment_leaves_alone_what_it_must_not_spend(self, scene: Scene) -> None:
        first = self._funded(scene, 100_000)
        second = self._funded(scene, 150_000)
        for spared, spent in ((first, second), (second, first)):
            original = scene.wallet.pay(
                scene.stranger, Sats(40_000), fee_rate=RATE, unspendable=[spared]
            )
            assert original.unsigned_transaction.contested() == (spent,)
        with pytest.raises(InsufficientFunds):
            scene.wallet.pay(
                scene.stranger, Sats(40_000), fee_rate=RATE, unspendable=[first, second]
            )

    def test_more_than_there_is_is_not_paid(self, scene: Scene) -> None:
        self._funded(scene, 100_000)
        with pytest.raises(InsufficientFunds):
            scene.wallet.pay(scene.stranger, Sats(100_000), fee_rate=RATE)

    def test_a_coin_is_signed_with_what_it_brings(self, scene: Scene) -> None:
        self._funded(scene, 100_000)
        (coin,) = scene.wallet.coins()
        signed = scene.wallet.sign(self._spending(scene, coin), inputs=[coin.outpoint])
        assert signed.is_finalized
        assert isinstance(scene.chain.acceptance(signed.extract()), Accepted)

    def test_nothing_is_signed_but_what_was_named(self, scene: Scene) -> None:
        self._funded(scene, 100_000)
        self._funded(scene, 150_000)
        first, second = scene.wallet.coins()
        unsigned = self._spending(scene, first, second)
        signed = scene.wallet.sign(unsigned, inputs=[second.outpoint])
        assert signed.inputs[0] == unsigned.inputs[0]
        assert signed.inputs[1] != unsigned.inputs[1]
        assert not signed.is_finalized

    def test_an_input_of_somebody_else_comes_back_as_it_was(self, scene: Scene) -> None:
        self._funded(scene, 100_000)
        (coin,) = scene.wallet.coins()
        utxo = TxOut(Sats(70_000), scene.stranger)
        foreign = Coin(FOREIGN, PsbtInput().with_witness_utxo(utxo), utxo)
        unsigned = self._spending(scene, foreign, coin)
        signed = scene.wallet.sign(unsigned, inputs=[coin.outpoint])
        assert signed.inputs[0] == unsigned.inputs[0]
        assert signed.inputs[1] != unsigned.inputs[1]

    def test_a_coin_is_taken_back_from_what_waits_in_the_mempool(self, scene: Scene) -> None:
        coin = self._funded(scene, 100_000)
        payment = scene.wallet.pay(scene.stranger, Sats(40_000), fee_rate=RATE).extract()
        assert isinstance(scene.chain.broadcast(payment), Accepted)
        scene.wallet.sync()
        back = scene.wallet.revoke(coin, fee_rate=FeeRate.from_sat_per_vb(20))
        scripts = {out.script_pubkey for out in back.outputs}
        assert coin in back.contested()
        assert scene.wallet.owned(scripts) == scripts
        assert scene.chain.spends_of([coin])[coin].transaction == payment
        assert isinstance(scene.chain.broadcast(back), Accepted)

    def test_what_sessions_hold_may_be_told_again_and_again(self, scene: Scene) -> None:
        coin = self._funded(scene, 100_000)
        held: tuple[OutPoint, ...] = (coin,)
        for _ in range(2):
            scene.wallet.hold(lambda: held)
        held = ()
        for _ in range(2):
            scene.wallet.hold(lambda: held)
        scene.wallet.pay(scene.stranger, Sats(40_000), fee_rate=RATE)  # free again

    def test_a_wallet_that_cannot_ask_says_so(self, scene: Scene) -> None:
        scene.go_away()
        with pytest.raises((ChainError, WalletError)):
            scene.wallet.sync()

    @staticmethod
    def _funded(scene: Scene, amount: int) -> OutPoint:
        outpoint = scene.fund(Sats(amount))
        scene.wallet.sync()
        return outpoint

    @staticmethod
    def _spending(scene: Scene, *coins: Coin) -> Psbt:
        """An unsigned transaction that spends these coins, with what signing them needs."""
        amount = Sats.sum(coin.utxo.value for coin in coins)
        inputs = tuple(TxIn(coin.outpoint, sequence=_REPLACEABLE) for coin in coins)
        outputs = (TxOut(Sats(amount - 2_000), scene.stranger),)
        psbt = Psbt.from_unsigned(Transaction(2, inputs, outputs, 0))
        for index, coin in enumerate(coins):
            psbt = psbt.with_input(index, coin.psbt_input)
        return psbt
