"""Alice pays, Bob is paid, Mallory lies: wallets that remember what they signed before."""

from dataclasses import dataclass
from functools import cache, lru_cache

from tests.support.keys import Keys, signatures_are_valid, unsigned

from dovetail.bitcoin import OutPoint, Psbt, PsbtInput, Sats, Script, Transaction, TxOut
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.coin import Coin


@dataclass(frozen=True)
class Person(Keys):
    """A wallet whose signatures are made once: thousands of histories sign the same things."""

    def script(self, index: int) -> Script:
        return _script(self.name, index)

    def scripts(self) -> dict[Script, SecretKey]:
        return _scripts(self.name)

    def sign(self, psbt: Psbt) -> Psbt:
        return Psbt.parse(_signed(self.name, psbt.serialize()))

    def spend(self, coins: tuple[Coin, ...], *scripts: Script, fee: int) -> Transaction:
        """A signed transaction that gives these coins to these scripts in equal parts."""
        part = (sum(coin.utxo.value for coin in coins) - fee) // len(scripts)
        outputs = (TxOut(Sats(part), script) for script in scripts)
        return self.sign(unsigned(coins, *outputs)).extract()


@cache
def _script(name: str, index: int) -> Script:
    return Keys(name).script(index)


@cache
def _scripts(name: str) -> dict[Script, SecretKey]:
    return Keys(name).scripts()


@lru_cache(maxsize=8192)
def _signed(name: str, raw: bytes) -> bytes:
    return Keys.sign(Person(name), Psbt.parse(raw)).serialize()


@lru_cache(maxsize=8192)
def valid(raw: bytes) -> bool:
    """Whether every input of a transaction is signed by its owner (BIP 143)."""
    return signatures_are_valid(Transaction.parse(raw), UTXOS)


ALICE, BOB, MALLORY = Person("alice"), Person("bob"), Person("mallory")
ALICES = tuple(ALICE.coin(index, 60_000 - 7_000 * index) for index in range(3))
"""The first two pay; the third is what a thief would like to have signed."""
BOBS = (BOB.coin(4, 70_000), BOB.coin(5, 31_000), BOB.coin(6, 52_000))
MALLORYS = tuple(MALLORY.coin(index, 80_000 + 1_000 * index) for index in range(4))


def _child_of(parent: Transaction) -> Coin:
    """The first output of a transaction, with all that its spender has to show."""
    utxo, outpoint = parent.outputs[0], OutPoint(parent.txid, 0)
    claimed = PsbtInput().with_witness_utxo(utxo).with_non_witness_utxo(parent)
    return Coin(outpoint, claimed, utxo)


SAND = MALLORY.coin(6, 90_000)
PARENT = MALLORY.spend((SAND,), MALLORY.script(4), fee=300)
"""Unconfirmed, and easily replaced: a coin that rests on sand."""
CHILD = _child_of(PARENT)
PARENTS: dict[OutPoint, Transaction] = {CHILD.outpoint: PARENT}
UTXOS: dict[OutPoint, TxOut] = {
    c.outpoint: c.utxo for c in (*ALICES, *BOBS, *MALLORYS, SAND, CHILD)
}
