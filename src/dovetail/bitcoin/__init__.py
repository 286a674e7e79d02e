"""Bitcoin's bytes and sums, without Payjoin."""

from dovetail.bitcoin.encoding import Reader, compact_size, read_compact_size
from dovetail.bitcoin.psbt import Psbt, PsbtInput, PsbtOutput, PsbtV2, read_psbt
from dovetail.bitcoin.script import Address, Network, Script, ScriptType
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.units import FeeRate, Sats, UnixTime, Weight
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.bitcoin.weights import input_weight, output_weight, predicted_input_weight

__all__ = [
    "Address",
    "BitcoinUri",
    "FeeRate",
    "Network",
    "OutPoint",
    "Psbt",
    "PsbtInput",
    "PsbtOutput",
    "PsbtV2",
    "Reader",
    "Sats",
    "Script",
    "ScriptType",
    "Transaction",
    "TxIn",
    "TxOut",
    "Txid",
    "UnixTime",
    "Weight",
    "compact_size",
    "input_weight",
    "output_weight",
    "predicted_input_weight",
    "read_compact_size",
    "read_psbt",
]
