"""PSBTs of version 2, and signatures: what is read from strangers before a node is asked."""

import json
from base64 import b64decode
from collections.abc import Iterable
from pathlib import Path

import pbk
from pbk.script import PrecomputedTransactionData
from tests.fuzz.target import Target, parsed, require
from tests.fuzz.targets.bitcoin import originals
from tests.protocol.examples import ORIGINAL
from tests.protocol.signer import KEY, sign_input

from dovetail.bitcoin import Psbt, PsbtV2, Script, Transaction, TxOut, read_psbt
from dovetail.bitcoin.hashes import sha256
from dovetail.bitcoin.psbt.version2 import is_version_2
from dovetail.bitcoin.sighash import SignatureHashes
from dovetail.errors import InvalidPsbt, InvalidTransaction
from dovetail.protocol.verification import Verdict, verify
from dovetail.protocol.witness_scripts import may_succeed

VECTORS = Path(__file__).parents[2] / "vectors" / "bip370.json"
SIGNED = [each for each in originals() if each.is_finalized]


def psbt_v2(data: bytes) -> None:
    found = parsed(PsbtV2.parse, data, error=InvalidPsbt)
    if found is None:
        require(
            parsed(Psbt.parse, data, error=InvalidPsbt) is None or not is_version_2(data), "one"
        )
        return
    require(found.serialize() == data, "a PSBT is written as it was read")
    require(is_version_2(data), "it says of what version it is")
    require(parsed(Psbt.parse, data, error=InvalidPsbt) is None, "the versions exclude each other")
    same = found.version_0
    require(read_psbt(data) == same, "it is read for what it says")
    require(Psbt.parse(same.serialize()) == same, "what it says can be read")
    require(found.with_version_0(same) == found, "nothing is changed by what it knows")
    require(PsbtV2.of(same).version_0.inputs == same.inputs, "nothing is lost on the way back")


def psbts_v2() -> Iterable[bytes]:
    for name, cases in json.loads(VECTORS.read_text(encoding="utf-8")).items():
        if name != "invalid":
            yield from (b64decode(case[-1]) for case in cases)
    yield from (PsbtV2.of(each).serialize() for each in originals())


def signatures(data: bytes) -> None:
    """Spoil a signed transaction: what we call valid, consensus does too."""
    transaction = parsed(Transaction.parse, data, error=InvalidTransaction)
    if transaction is None:
        return
    spent = [known.get(outpoint) for outpoint in transaction.contested()]
    outputs = [each for each in spent if each is not None]
    if len(outputs) == len(spent) and verify(transaction, outputs) is Verdict.VALID:
        require(consensus_accepts(transaction, outputs), "a valid signature is one for all")


def consensus_accepts(transaction: Transaction, spent: list[TxOut]) -> bool:
    made = pbk.Transaction(transaction.serialize())
    scripts = [pbk.ScriptPubkey(bytes(each.script_pubkey)) for each in spent]
    pairs = zip(scripts, spent, strict=True)
    told = [pbk.TransactionOutput(script, int(each.value)) for script, each in pairs]
    data = PrecomputedTransactionData(made, told)
    return all(
        script.verify(int(each.value), made, data, index, pbk.ScriptVerificationFlags.ALL)
        for index, (script, each) in enumerate(zip(scripts, spent, strict=True))
    )


def signed_for_real(psbt: Psbt) -> Transaction:
    hashes = SignatureHashes(psbt.unsigned_transaction, psbt.utxos())
    finals = [sign_input(hashes, index) for index in range(len(psbt.inputs))]
    return psbt.unsigned_transaction.with_signatures(finals)


OWN = [each for each in SIGNED if each != Psbt.from_base64(ORIGINAL)]
known = {
    outpoint: utxo
    for each in OWN
    for outpoint, utxo in zip(each.unsigned_transaction.contested(), each.utxos(), strict=True)
}


def signed_transactions() -> Iterable[bytes]:
    return [signed_for_real(each).serialize() for each in OWN]


def scripts_that_may_succeed(data: bytes) -> None:
    """What must fail beside one item fails, says consensus, whatever the item."""
    if may_succeed(data) or not data:
        return
    spent = TxOut(SIGNED[0].utxo(0).value, p2wsh(data))
    unsigned = SIGNED[0].unsigned_transaction
    made = unsigned.with_signatures([(b"", (b"\x01", data))])
    require(not consensus_accepts(made, [spent]), "it must fail")


def p2wsh(script: bytes) -> Script:
    return Script(b"\x00\x20" + sha256(script))


def scripts() -> Iterable[bytes]:
    return [KEY, b"\x02\xaa\xbb\x6d\x1c" + bytes(28), b"\x75\x51", b"\x51\x63\x75\x51\x68"]


TARGETS = (
    Target("psbt-v2", psbt_v2, psbts_v2),
    Target("signatures", signatures, signed_transactions),
    Target("may-succeed", scripts_that_may_succeed, scripts),
)
