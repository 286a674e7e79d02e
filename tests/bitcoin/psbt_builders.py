"""Builders of PSBTs, valid and broken, for the tests of `dovetail.bitcoin.psbt`."""

from collections.abc import Iterable
from dataclasses import replace

from dovetail.bitcoin import OutPoint, Sats, Script, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.encoding import prefixed
from dovetail.bitcoin.hashes import hash160, sha256
from dovetail.bitcoin.psbt import KeyMap, Psbt, PsbtInput

KEY = b"\x02" + b"\x11" * 32
KEYS = tuple(b"\x03" + bytes([n]) * 32 for n in range(1, 4))
SIGNATURE = b"\x30\x44" + b"\x22" * 68 + b"\x01"
SCHNORR = b"\x44" * 64

P2PKH = Script(b"\x76\xa9\x14" + hash160(KEY) + b"\x88\xac")
P2WPKH = Script(b"\x00\x14" + hash160(KEY))
P2TR = Script(b"\x51\x20" + b"\x55" * 32)
MULTISIG = Script(b"\x52" + b"".join(b"\x21" + key for key in KEYS) + b"\x53\xae")

Entries = Iterable[tuple[bytes, bytes]]


def p2sh(redeem_script: bytes) -> Script:
    return Script(b"\xa9\x14" + hash160(redeem_script) + b"\x87")


def p2wsh(witness_script: bytes) -> Script:
    return Script(b"\x00\x20" + sha256(witness_script))


def transaction(inputs: int = 1, outputs: int = 1, value: int = 90_000) -> Transaction:
    return Transaction(
        version=2,
        inputs=tuple(TxIn(OutPoint(Txid(bytes([n + 1]) * 32), n)) for n in range(inputs)),
        outputs=(TxOut(Sats(value), P2WPKH),) * outputs,
        lock_time=0,
    )


def funding(script_pubkey: Script = P2WPKH, value: int = 100_000) -> Transaction:
    """A transaction whose second output pays this script."""
    coinbase = TxIn(OutPoint(Txid(b"\x77" * 32), 0), script_sig=b"\x51", witness=(b"\x01",))
    outputs = (TxOut(Sats(1), P2TR), TxOut(Sats(value), script_pubkey))
    return Transaction(version=2, inputs=(coinbase,), outputs=outputs, lock_time=0)


def spending(previous: Transaction, vout: int = 1) -> Psbt:
    """A PSBT that spends an output of the transaction and does not say so."""
    template = transaction()
    txin = TxIn(OutPoint(previous.txid, vout))
    return Psbt.from_unsigned(replace(template, inputs=(txin,)))


def paying_from(script_pubkey: Script, psbt_input: PsbtInput | None = None) -> Psbt:
    """A PSBT with one input that spends this script, its previous transaction given."""
    previous = funding(script_pubkey)
    psbt_input = (psbt_input or PsbtInput()).with_non_witness_utxo(previous)
    return spending(previous).with_input(0, psbt_input)


def input_of(*entries: tuple[bytes, bytes]) -> PsbtInput:
    return PsbtInput(KeyMap(entries))


def serialize_map(entries: Entries) -> bytes:
    return b"".join(prefixed(key) + prefixed(value) for key, value in entries) + b"\x00"


def serialize(
    global_entries: Entries = (), input_entries: Entries = (), output_entries: Entries = ()
) -> bytes:
    """A PSBT of one input and one output, with these fields beside the transaction."""
    unsigned = (b"\x00", transaction().serialize(witness=False))
    maps = ((unsigned, *global_entries), input_entries, output_entries)
    return b"psbt\xff" + b"".join(map(serialize_map, maps))
