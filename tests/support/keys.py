"""A few P2WPKH keys that sign (BIP 143): enough to pay and to be paid."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from btclib_secp256k1 import dsa

from dovetail.bitcoin import Address, Network, Psbt, PsbtInput, Sats, Script
from dovetail.bitcoin.hashes import hash160, hash256
from dovetail.bitcoin.psbt.finalizer import finalize_input
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.coin import Coin
from dovetail.sessions import receiver

SIGHASH_ALL = 1
SEQUENCE = 0xFFFFFFFD


@dataclass(frozen=True)
class Keys:
    name: str

    def key(self, index: int) -> SecretKey:
        return SecretKey(sha256(f"{self.name}/{index}".encode()).digest())

    def script(self, index: int) -> Script:
        return Script(b"\x00\x14" + hash160(self.key(index).public_key.compressed))

    def address(self, index: int) -> Address:
        return Address.from_script(self.script(index), Network.REGTEST)

    def scripts(self) -> dict[Script, SecretKey]:
        return {self.script(index): self.key(index) for index in range(8)}

    def coin(self, index: int, value: int) -> Coin:
        txid = Txid(sha256(f"{self.name} coin {index}".encode()).digest())
        utxo = TxOut(Sats(value), self.script(index))
        return Coin(OutPoint(txid, index), PsbtInput().with_witness_utxo(utxo), utxo)

    def pay(self, script: Script, amount: int, *, coins: tuple[Coin, ...], fee: int = 1000) -> Psbt:
        """A signed and finalized payment with change: an Original PSBT."""
        change = sum(coin.utxo.value for coin in coins) - amount - fee
        outputs = (TxOut(Sats(amount), script), TxOut(Sats(change), self.script(7)))
        return self.sign(unsigned(coins, *outputs))

    def sign(self, psbt: Psbt) -> Psbt:
        """Sign and finalize the inputs that are ours, and leave the rest."""
        scripts = self.scripts()
        for index, psbt_input in enumerate(psbt.inputs):
            utxo = psbt_input.witness_utxo
            if utxo is None or utxo.script_pubkey not in scripts:
                continue
            key = scripts[utxo.script_pubkey]
            digest = sighash(psbt.unsigned_transaction, index, utxo)
            signature = dsa.sign(digest, key.reveal(), grind=True) + bytes([SIGHASH_ALL])
            public_key = key.public_key.compressed
            signed = psbt_input.with_partial_signature(public_key, signature)
            psbt = psbt.with_input(index, finalize_input(signed, utxo.script_pubkey))
        return psbt


def unsigned(coins: Sequence[Coin], *outputs: TxOut, sequence: int = SEQUENCE) -> Psbt:
    """A PSBT that spends these coins, with all that they bring."""
    inputs = tuple(TxIn(coin.outpoint, sequence=sequence) for coin in coins)
    psbt = Psbt.from_unsigned(Transaction(2, inputs, outputs, 0))
    for index, coin in enumerate(coins):
        psbt = psbt.with_input(index, coin.psbt_input)
    return psbt


def as_claimed(session: receiver.UncheckedOriginalPayload) -> dict[OutPoint, TxOut]:
    """The outputs that an Original spends, on a chain where they are what it says."""
    return dict(zip(session.contested, session.original.utxos(), strict=True))


def sighash(transaction: Transaction, index: int, utxo: TxOut) -> bytes:
    """What a P2WPKH input signs under SIGHASH_ALL (BIP 143, Specification)."""
    txin = transaction.inputs[index]
    prevouts = b"".join(each.previous_output.serialize() for each in transaction.inputs)
    sequences = b"".join(each.sequence.to_bytes(4, "little") for each in transaction.inputs)
    outputs = b"".join(each.serialize() for each in transaction.outputs)
    return hash256(
        transaction.version.to_bytes(4, "little")
        + hash256(prevouts)
        + hash256(sequences)
        + txin.previous_output.serialize()
        + b"\x19\x76\xa9\x14"
        + utxo.script_pubkey[2:]
        + b"\x88\xac"
        + utxo.value.to_bytes(8, "little")
        + txin.sequence.to_bytes(4, "little")
        + hash256(outputs)
        + transaction.lock_time.to_bytes(4, "little")
        + SIGHASH_ALL.to_bytes(4, "little")
    )


def signatures_are_valid(transaction: Transaction, utxos: dict[OutPoint, TxOut]) -> bool:
    """Whether every input is a P2WPKH spend with a good signature over this transaction."""
    for index, txin in enumerate(transaction.inputs):
        utxo = utxos[txin.previous_output]
        signature, public_key = txin.witness
        digest = sighash(transaction, index, utxo)
        if utxo.script_pubkey[2:] != hash160(public_key) or signature[-1] != SIGHASH_ALL:
            return False
        if not dsa.verify(digest, public_key, signature[:-1]):
            return False
    return True
