"""Receivers who lie about their own coins: every rule about fees hangs on what those are worth."""

from btclib_secp256k1 import dsa
from tests.hostile.forge import Forge, answering
from tests.hostile.mallory import spoilt
from tests.hostile.record import Tricks
from tests.properties.histories.lies import moved

from dovetail.bitcoin import Psbt, PsbtInput, Sats, Script, TxOut
from dovetail.bitcoin.hashes import hash160
from dovetail.bitcoin.sighash import ALL, SignatureHashes
from dovetail.crypto.secp256k1 import SecretKey

ALL_MONEY = Sats(21_000_000 * 100_000_000)
READS_AS_A_SCRIPT = SecretKey((294_512).to_bytes(32, "big"))
"""Its public key is 02, two bytes, OP_2DROP, and a push of the 28 bytes that are left."""


def _claiming(forge: Forge, psbt: Psbt, value: int) -> bytes:
    """What the receiver's own input says that it is worth, and is not."""
    claimed = TxOut(Sats(value), forge.honest.utxo(forge.ours).script_pubkey)
    told = psbt.inputs[forge.ours].with_witness_utxo(claimed)
    return psbt.with_input(forge.ours, told).serialize()


TRICKS = Tricks()
TRICKS.update(
    signs_wrongly=answering(
        lambda forge: forge.with_input(forge.ours, spoilt(forge.honest.inputs[forge.ours]))
    ),
    claims_all_the_money_there_is=answering(
        lambda forge: _claiming(forge, forge.honest, ALL_MONEY)
    ),
)


@TRICKS.by(answering)
def overvalues_its_own_coin(forge: Forge) -> bytes:
    # Takes the fee for itself, and claims as much more for its coin: the fee seems untouched.
    psbt = Psbt.parse(forge.signed(moved(forge.tx, forge.payee, 300)))
    return _claiming(forge, psbt, forge.honest.utxo(forge.ours).value + 300)


@TRICKS.by(answering)
def passes_a_script_off_as_a_key(forge: Forge) -> bytes:
    key = READS_AS_A_SCRIPT.public_key.compressed
    script = Script(b"\x00\x14" + hash160(key))
    utxo = TxOut(Sats(forge.honest.utxo(forge.ours).value + 300), script)
    spent = [utxo if at == forge.ours else forge.original.utxo(0) for at in (0, 1)]
    code = b"\x76\xa9" + script[1:] + b"\x88\xac"
    digest = SignatureHashes(forge.tx, spent).witness_v0(forge.ours, code, ALL)
    signature = dsa.sign(digest, READS_AS_A_SCRIPT.reveal()) + bytes([ALL])
    told = PsbtInput().with_witness_utxo(utxo).with_final(b"", (signature, key))
    return forge.with_input(forge.ours, told)
