"""Receivers who lie about their own coins: every rule about fees hangs on what those are worth."""

from btclib_secp256k1 import dsa
from tests.hostile.forge import Forge, breaks
from tests.hostile.mallory import spoilt
from tests.hostile.record import tricks_in
from tests.properties.histories.lies import moved

from dovetail.bitcoin import Psbt, PsbtInput, Sats, Script, TxOut
from dovetail.bitcoin.hashes import hash160
from dovetail.bitcoin.sighash import ALL, SignatureHashes
from dovetail.crypto.secp256k1 import SecretKey

ALL_MONEY = Sats(21_000_000 * 100_000_000)
READS_AS_A_SCRIPT = SecretKey((294_512).to_bytes(32, "big"))
"""Its public key is 02, two bytes, OP_2DROP, and a push of the 28 bytes that are left."""


@breaks("receiver-input-signature")
def signs_wrongly(forge: Forge) -> bytes:
    """Proposes a payjoin whose own signature is wrong, to have the sender's for nothing."""
    ours = forge.honest.inputs[forge.ours]
    return forge.with_input(forge.ours, spoilt(ours))


@breaks("receiver-input-signature")
def overvalues_its_own_coin(forge: Forge) -> bytes:
    """Claims more for its coin than it is worth, so that what it keeps looks like a fee."""
    # Takes the fee for itself, and claims as much more for its coin: the fee seems untouched.
    psbt = Psbt.parse(forge.signed(moved(forge.tx, forge.payee, 300)))
    utxo = forge.honest.utxo(forge.ours)
    claimed = TxOut(Sats(utxo.value + 300), utxo.script_pubkey)
    told = psbt.inputs[forge.ours].with_witness_utxo(claimed)
    return psbt.with_input(forge.ours, told).serialize()


@breaks("receiver-input-signature")
def claims_all_the_money_there_is(forge: Forge) -> bytes:
    """Claims 21 million bitcoins for its coin, for a sum to overflow."""
    utxo = forge.honest.utxo(forge.ours)
    claimed = TxOut(ALL_MONEY, utxo.script_pubkey)
    return forge.with_input(forge.ours, forge.honest.inputs[forge.ours].with_witness_utxo(claimed))


@breaks("receiver-input-utxo")
def passes_a_script_off_as_a_key(forge: Forge) -> bytes:
    """Has a coin whose script is 33 bytes that are a public key too: signs with that key over
    an amount of its choice, and spends the coin by the script, which asks for no signature.
    """
    key = READS_AS_A_SCRIPT.public_key.compressed
    script = Script(b"\x00\x14" + hash160(key))
    utxo = TxOut(Sats(forge.honest.utxo(forge.ours).value + 300), script)
    spent = [utxo if at == forge.ours else forge.original.utxo(0) for at in (0, 1)]
    code = b"\x76\xa9" + script[1:] + b"\x88\xac"
    digest = SignatureHashes(forge.tx, spent).witness_v0(forge.ours, code, ALL)
    signature = dsa.sign(digest, READS_AS_A_SCRIPT.reveal()) + bytes([ALL])
    told = PsbtInput().with_witness_utxo(utxo).with_final(b"", (signature, key))
    return forge.with_input(forge.ours, told)


TRICKS = tricks_in(globals())
