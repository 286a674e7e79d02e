"""PSBTs signed with real keys: what we finalize, Bitcoin Core's consensus code accepts.

Keys and signature hashes are embit's, the verdict is bitcoinkernel's (BIP 16, BIP 141, BIP 341).
"""

import random
from dataclasses import dataclass, replace

import pbk
import pytest
from embit import ec
from embit import script as embit_script
from embit.transaction import SIGHASH
from embit.transaction import Transaction as EmbitTransaction
from pbk.script import PrecomputedTransactionData
from tests.bitcoin.psbt_builders import P2WPKH, funding, p2sh, p2wsh

from dovetail.bitcoin.psbt import Psbt, PsbtInput
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, TxIn, TxOut
from dovetail.bitcoin.units import Sats
from dovetail.bitcoin.weights import input_weight

pytestmark = pytest.mark.property

RNG = random.Random(174)
KEYS = [ec.PrivateKey(RNG.randbytes(32)) for _ in range(3)]
PUBLIC = [key.get_public_key() for key in KEYS]
VALUE = 100_000


def script(made):
    return Script(made.data)


ONE_OF_TWO = script(embit_script.multisig(1, PUBLIC[:2]))
TWO_OF_THREE = script(embit_script.multisig(2, PUBLIC))
KEY_HASH = script(embit_script.p2pkh(PUBLIC[0]))
WITNESS_KEY_HASH = script(embit_script.p2wpkh(PUBLIC[0]))


@dataclass(frozen=True)
class Coin:
    """An output, the scripts that open it, and which keys sign for it."""

    script_pubkey: Script
    signers: tuple[int, ...]
    redeem_script: Script | None = None
    witness_script: Script | None = None
    taproot: bool = False

    @property
    def psbt_input(self):
        psbt_input = PsbtInput().with_non_witness_utxo(funding(self.script_pubkey, VALUE))
        if self.redeem_script is not None:
            psbt_input = psbt_input.with_redeem_script(self.redeem_script)
        if self.witness_script is not None:
            psbt_input = psbt_input.with_witness_script(self.witness_script)
        return psbt_input


COINS = {
    "P2PKH": Coin(KEY_HASH, (0,)),
    "P2WPKH": Coin(WITNESS_KEY_HASH, (0,)),
    "P2SH-P2WPKH": Coin(p2sh(WITNESS_KEY_HASH), (0,), WITNESS_KEY_HASH),
    "multisig": Coin(ONE_OF_TWO, (1,)),
    "P2SH multisig": Coin(p2sh(TWO_OF_THREE), (2, 0), TWO_OF_THREE),
    "P2WSH multisig": Coin(p2wsh(TWO_OF_THREE), (1, 2), None, TWO_OF_THREE),
    "P2SH-P2WSH multisig": Coin(
        p2sh(p2wsh(TWO_OF_THREE)), (2, 1, 0), p2wsh(TWO_OF_THREE), TWO_OF_THREE
    ),
    "P2WSH-P2PKH": Coin(p2wsh(KEY_HASH), (0,), None, KEY_HASH),
    "P2TR": Coin(script(embit_script.p2tr(PUBLIC[0])), (0,), taproot=True),
}


def unsigned(coins):
    inputs = tuple(TxIn(OutPoint(funding(coin.script_pubkey, VALUE).txid, 1)) for coin in coins)
    transaction = Transaction(2, inputs, (TxOut(Sats(VALUE), P2WPKH),), 0)
    psbt = Psbt.from_unsigned(transaction)
    return psbt.with_transaction(
        transaction, tuple(coin.psbt_input for coin in coins), psbt.outputs
    )


def sign(psbt, index, coin, sighash):
    """The input with the signatures of all its signers."""
    template = EmbitTransaction.parse(psbt.unsigned_transaction.serialize())
    psbt_input = psbt.inputs[index]
    if coin.taproot:
        spent = psbt.utxos()
        digest = template.sighash_taproot(
            index,
            [embit_script.Script(utxo.script_pubkey) for utxo in spent],
            [utxo.value for utxo in spent],
        )
        signature = KEYS[0].taproot_tweak().schnorr_sign(digest)
        return psbt_input.with_tap_key_signature(signature.serialize())
    inner = coin.witness_script or coin.redeem_script or coin.script_pubkey
    if inner == WITNESS_KEY_HASH or coin.witness_script is not None:
        code = KEY_HASH if inner == WITNESS_KEY_HASH else inner
        digest = template.sighash_segwit(index, embit_script.Script(code), VALUE, sighash)
    else:
        digest = template.sighash_legacy(index, embit_script.Script(inner), sighash)
    for signer in coin.signers:
        signature = KEYS[signer].sign(digest).serialize() + bytes([sighash])
        psbt_input = psbt_input.with_partial_signature(PUBLIC[signer].serialize(), signature)
    return psbt_input


def accepted(psbt):
    """Whether consensus takes every input of the extracted transaction."""
    transaction = pbk.Transaction(psbt.extract().serialize())
    spent = [
        pbk.TransactionOutput(pbk.ScriptPubkey(utxo.script_pubkey), utxo.value)
        for utxo in psbt.utxos()
    ]
    data = PrecomputedTransactionData(transaction, spent)
    return all(
        pbk.ScriptPubkey(utxo.script_pubkey).verify(
            utxo.value, transaction, data, index, pbk.ScriptVerificationFlags.ALL
        )
        for index, utxo in enumerate(psbt.utxos())
    )


@pytest.mark.parametrize("sighash", [SIGHASH.ALL, SIGHASH.ALL | SIGHASH.ANYONECANPAY])
@pytest.mark.parametrize("coin", COINS.values(), ids=COINS.keys())
def test_consensus_accepts_what_we_finalize(coin, sighash):
    psbt = unsigned([coin])
    predicted = input_weight(psbt.inputs[0], psbt.utxo(0))
    psbt = psbt.with_input(0, sign(psbt, 0, coin, sighash)).finalize()
    assert accepted(psbt)
    actual = input_weight(psbt.inputs[0], psbt.utxo(0))
    slack = 0 if coin.taproot else 4 * 2 * len(coin.signers)
    assert predicted - slack <= actual <= predicted


def test_consensus_accepts_all_kinds_of_inputs_in_one_transaction():
    coins = list(COINS.values())
    psbt = unsigned(coins)
    for index, coin in enumerate(coins):
        alone = unsigned(coins).with_input(index, sign(psbt, index, coin, SIGHASH.ALL))
        psbt = alone.combine(psbt)
    final = psbt.finalize()
    assert Psbt.parse(final.serialize()) == final
    assert accepted(final)


def test_consensus_refuses_an_altered_payment():
    coin = COINS["P2WPKH"]
    psbt = unsigned([coin])
    signed = psbt.with_input(0, sign(psbt, 0, coin, SIGHASH.ALL)).finalize()
    cheaper = replace(signed.unsigned_transaction, outputs=(TxOut(Sats(1), P2WPKH),))
    assert accepted(signed)
    assert not accepted(signed.with_transaction(cheaper, signed.inputs, signed.outputs))
