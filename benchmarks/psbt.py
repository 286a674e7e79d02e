"""Reading and writing PSBTs, beside embit: `python -m benchmarks.psbt`."""

import json
import timeit
from pathlib import Path

from embit.psbt import PSBT

from dovetail.bitcoin.psbt import Psbt, PsbtInput
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.units import Sats

VECTORS = Path(__file__).parents[1] / "tests" / "vectors" / "bip174.json"
RUNS, REPEATS = 1000, 7


def typical() -> bytes:
    """Two P2WPKH inputs, finalized, with their UTXOs, and two outputs."""
    utxo = TxOut(Sats(100_000), Script(b"\x00\x14" + bytes(20)))
    inputs = tuple(TxIn(OutPoint(Txid(bytes([n]) * 32), n), sequence=0xFFFFFFFD) for n in (1, 2))
    transaction = Transaction(2, inputs, (utxo, utxo), 0)
    signature = b"\x30\x44\x02\x20" + b"\x11" * 32 + b"\x02\x20" + b"\x11" * 32 + b"\x01"
    final = PsbtInput().with_witness_utxo(utxo).with_final(b"", (signature, b"\x02" + b"\x11" * 32))
    empty = Psbt.from_unsigned(transaction)
    return empty.with_transaction(transaction, (final, final), empty.outputs).serialize()


def microseconds(module: type[Psbt | PSBT], data: bytes) -> float:
    """The best time of one reading and writing."""
    times = timeit.repeat(lambda: module.parse(data).serialize(), number=RUNS, repeat=REPEATS)
    return min(times) / RUNS * 1e6


def main() -> None:
    """Print a table."""
    vectors = json.loads(VECTORS.read_text())
    rows = {
        "2 inputs, 2 outputs, finalized": typical(),
        "BIP 174, one input finalized": bytes.fromhex(vectors["valid"][1]["psbt"]),
        "BIP 174, combiner": bytes.fromhex(vectors["roles"]["combiner"]),
    }
    print(f"{'parse and serialize, µs':34}{'bytes':>7}{'dovetail':>10}{'embit':>8}")
    for name, data in rows.items():
        ours, theirs = microseconds(Psbt, data), microseconds(PSBT, data)
        print(f"{name:34}{len(data):7}{ours:10.1f}{theirs:8.1f}")


if __name__ == "__main__":
    main()
