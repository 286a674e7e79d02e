"""The `Wallet` port on keys whose coins lie on a regtest node."""

import threading
from collections.abc import Callable, Collection

from tests.support.keys import Keys, unsigned

from dovetail.bitcoin import (
    Address,
    FeeRate,
    Network,
    OutPoint,
    Psbt,
    Sats,
    Script,
    Transaction,
    TxOut,
)
from dovetail.bitcoin.psbt import PsbtInput
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.errors import InsufficientFunds, WalletError
from dovetail.protocol.coin import Coin
from dovetail.regtest.index import script_hash
from dovetail.regtest.node import RegtestNode
from dovetail.wallets.ports import Balance

FEE = 600


class NodeWallet:
    """A `Wallet` of P2WPKH keys on a node; told to, it fails to sign or to answer.

    It pays with one coin, and with `also_spends` more.
    """

    network = Network.REGTEST

    def __init__(self, name: str, node: RegtestNode) -> None:
        self.keys = _ManyKeys(name)
        self.node = node
        self.given = 0
        self.cannot_sign = False
        self.signs_nothing = False
        self.away = False
        self.also_spends = 0
        self.asked_to_sign: frozenset[OutPoint] = frozenset()
        self.held: frozenset[OutPoint] = frozenset()
        """What it was told last that sessions hold."""
        self.lock = threading.Lock()

    def sync(self) -> None:
        if self.away:
            raise WalletError("The wallet is away.")

    def balance(self) -> Balance:
        total = sum(coin.utxo.value for coin in self.coins())
        return Balance(confirmed=Sats(total), unconfirmed=Sats(0))

    def new_address(self) -> Address:
        with self.lock:
            self.given += 1
            return self.keys.address(self.given)

    def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        if self.away:
            raise WalletError("The wallet is away.")
        return frozenset(self.keys.scripts()).intersection(scripts)

    def owned_coins(self, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        if self.away:
            raise WalletError("The wallet is away.")
        scripts = self.keys.scripts()
        with self.node.lock:
            utxos = {outpoint: self.node.utxo(outpoint) for outpoint in outpoints}
        return frozenset(at for at, utxo in utxos.items() if utxo and utxo.script_pubkey in scripts)

    def coins(self) -> tuple[Coin, ...]:
        found = []
        with self.node.lock:
            for script in self.keys.scripts():
                for outpoint in self.node.chain.index.unspent(script_hash(script)):
                    utxo = self.node.utxo(outpoint)
                    if utxo is not None:
                        psbt_input = PsbtInput().with_witness_utxo(utxo)
                        found.append(Coin(outpoint, psbt_input, utxo))
        return tuple(found)

    def hold(self, reserved: Callable[[], Collection[OutPoint]]) -> None:
        self.held = frozenset(reserved())

    def pay(
        self,
        script: Script,
        amount: Sats,
        *,
        fee_rate: FeeRate,  # noqa: ARG002 - the port's
        unspendable: Collection[OutPoint] = (),
    ) -> Psbt:
        free = [coin for coin in self.coins() if coin.outpoint not in unspendable]
        free.sort(key=lambda coin: coin.outpoint)
        for coin in free:
            if coin.utxo.value > amount + FEE + 1000:
                others = [each for each in free if each is not coin]
                return self._signed_payment((coin, *others[: self.also_spends]), script, amount)
        raise InsufficientFunds("The wallet has no coin for this.")

    def sign(self, psbt: Psbt, *, inputs: Collection[OutPoint]) -> Psbt:
        if self.cannot_sign:
            raise WalletError("The wallet is locked.")
        self.asked_to_sign = frozenset(inputs)
        if self.signs_nothing:
            return psbt
        signed = self.keys.sign(psbt)
        for index, outpoint in enumerate(psbt.unsigned_transaction.contested()):
            if outpoint in inputs:
                psbt = psbt.with_input(index, signed.inputs[index])
        return psbt

    def revoke(self, outpoint: OutPoint, *, fee_rate: FeeRate) -> Transaction:  # noqa: ARG002 - too
        utxo = self.node.chain.index.coins[outpoint].output
        coin = Coin(outpoint, PsbtInput().with_witness_utxo(utxo), utxo)
        back = TxOut(Sats(utxo.value - 20 * FEE), self.new_address().script_pubkey)
        return self.keys.sign(unsigned([coin], back)).extract()

    def _signed_payment(self, coins: tuple[Coin, ...], script: Script, amount: Sats) -> Psbt:
        change = self.new_address().script_pubkey
        rest = Sats(sum(coin.utxo.value for coin in coins) - amount - FEE)
        return self.keys.sign(unsigned(coins, TxOut(amount, script), TxOut(rest, change)))


class _ManyKeys(Keys):
    def scripts(self) -> dict[Script, SecretKey]:
        return {self.script(index): self.key(index) for index in range(1, 24)}
