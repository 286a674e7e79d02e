"""Real signatures of one key, in the final scripts of every kind of input."""

from collections.abc import Callable, Mapping
from itertools import count

from btclib_secp256k1 import dsa, ssa

from dovetail.bitcoin import OutPoint, Psbt, Script, TxOut
from dovetail.bitcoin.hashes import hash160, sha256
from dovetail.bitcoin.sighash import ALL, SignatureHashes
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.signature_scope import pushed

SECRET = SecretKey(b"\x11" * 32)
KEY = SECRET.public_key.compressed
P2WPKH = Script(b"\x00\x14" + hash160(KEY))
P2PKH = Script(b"\x76\xa9\x14" + hash160(KEY) + b"\x88\xac")
P2TR = Script(b"\x51\x20" + KEY[1:])
NESTED = Script(b"\xa9\x14" + hash160(P2WPKH) + b"\x87")
MULTISIG = Script(b"\x52" + (b"\x21" + KEY) * 2 + b"\x52\xae")
P2WSH = Script(b"\x00\x20" + sha256(MULTISIG))
P2SH = Script(b"\xa9\x14" + hash160(MULTISIG) + b"\x87")

ALL_KINDS = (P2WPKH, P2PKH, P2TR, NESTED, P2WSH, P2SH)

Signed = tuple[bytes, tuple[bytes, ...]]


def final_scripts(script: Script, signature: bytes, schnorr: bytes = b"\x44" * 64) -> Signed:
    """The script_sig and witness of an input that spends one of the scripts above."""
    push = bytes([len(signature)]) + signature
    return {
        P2WPKH: (b"", (signature, KEY)),
        P2PKH: (push + b"\x21" + KEY, ()),
        P2TR: (b"", (schnorr,)),
        NESTED: (b"\x16" + P2WPKH, (signature, KEY)),
        P2WSH: (b"", (b"", signature, signature, MULTISIG)),
        P2SH: (b"\x00" + push * 2 + bytes([len(MULTISIG)]) + MULTISIG, ()),
    }[script]


def ecdsa_of(digest: bytes, size: int = 72, secret: SecretKey = SECRET) -> bytes:
    """A signature of 71 or 72 bytes, its sighash byte ALL among them."""
    for extra in count():
        made = dsa.sign(digest, secret.reveal(), extra.to_bytes(32, "big")) + bytes([ALL])
        if len(made) == size:
            return made
    raise AssertionError


def digest_of(script: Script) -> Callable[[SignatureHashes, int], bytes]:
    if script in (P2WPKH, NESTED):
        return lambda hashes, index: hashes.witness_v0(index, P2PKH, ALL)
    if script == P2WSH:
        return lambda hashes, index: hashes.witness_v0(index, MULTISIG, ALL)
    code = MULTISIG if script == P2SH else script
    return lambda hashes, index: hashes.legacy(index, code, ALL)


def sign_input(hashes: SignatureHashes, index: int, size: int = 72) -> Signed:
    """The final scripts by which input `index` is spent."""
    script = hashes.spent[index].script_pubkey
    if script == P2TR:
        schnorr = ssa.sign(hashes.taproot(index, 0), SECRET.reveal(), bytes(32))
        return final_scripts(script, b"", schnorr)
    return final_scripts(script, ecdsa_of(digest_of(script)(hashes, index), size))


def signed_again(proposal: Psbt, known: Mapping[OutPoint, TxOut]) -> Psbt:
    """A changed proposal as a receiver would have signed it, signatures as long as before.

    `known` are the outputs of the sender's inputs, which are left alone, as is any input that is
    not signed by `KEY`.
    """
    outpoints = proposal.unsigned_transaction.contested()
    spent = [
        known[at] if at in known else told(proposal, index) for index, at in enumerate(outpoints)
    ]
    if None in spent:
        return proposal
    hashes = SignatureHashes(proposal.unsigned_transaction, [each for each in spent if each])
    for index, psbt_input in enumerate(proposal.inputs):
        script = hashes.spent[index].script_pubkey
        if outpoints[index] in known or script not in (P2WPKH, P2PKH, P2TR, NESTED, P2WSH, P2SH):
            continue
        old = psbt_input.final_script_sig or b"", psbt_input.final_script_witness or ()
        sizes = [len(each) for each in (*pushed(old[0]), *old[1]) if len(each) in (71, 72)]
        if [*map(len, old[1])] == [64] or sizes:
            final = psbt_input.with_final(*sign_input(hashes, index, *sizes[:1]))
            proposal = proposal.with_input(index, final)
    return proposal


def told(proposal: Psbt, index: int) -> TxOut | None:
    psbt_input = proposal.inputs[index]
    if psbt_input.witness_utxo is None and psbt_input.non_witness_utxo is None:
        return None
    return proposal.utxo(index)
