"""Bitcoin's data types: amounts, scripts, addresses, transactions, PSBTs and URIs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.bitcoin.encoding import Reader as Reader
    from dovetail.bitcoin.encoding import compact_size as compact_size
    from dovetail.bitcoin.encoding import read_compact_size as read_compact_size
    from dovetail.bitcoin.psbt import Psbt as Psbt
    from dovetail.bitcoin.psbt import PsbtInput as PsbtInput
    from dovetail.bitcoin.psbt import PsbtOutput as PsbtOutput
    from dovetail.bitcoin.psbt import PsbtV2 as PsbtV2
    from dovetail.bitcoin.psbt import read_psbt as read_psbt
    from dovetail.bitcoin.script import Address as Address
    from dovetail.bitcoin.script import Network as Network
    from dovetail.bitcoin.script import Script as Script
    from dovetail.bitcoin.script import ScriptType as ScriptType
    from dovetail.bitcoin.transaction import OutPoint as OutPoint
    from dovetail.bitcoin.transaction import Transaction as Transaction
    from dovetail.bitcoin.transaction import Txid as Txid
    from dovetail.bitcoin.transaction import TxIn as TxIn
    from dovetail.bitcoin.transaction import TxOut as TxOut
    from dovetail.bitcoin.units import FeeRate as FeeRate
    from dovetail.bitcoin.units import Sats as Sats
    from dovetail.bitcoin.units import UnixTime as UnixTime
    from dovetail.bitcoin.units import Weight as Weight
    from dovetail.bitcoin.uri import BitcoinUri as BitcoinUri
    from dovetail.bitcoin.weights import input_weight as input_weight
    from dovetail.bitcoin.weights import output_weight as output_weight
    from dovetail.bitcoin.weights import predicted_input_weight as predicted_input_weight
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__,
        {
            "encoding": "Reader compact_size read_compact_size",
            "psbt": "Psbt PsbtInput PsbtOutput PsbtV2 read_psbt",
            "script": "Address Network Script ScriptType",
            "transaction": "OutPoint Transaction Txid TxIn TxOut",
            "units": "FeeRate Sats UnixTime Weight",
            "uri": "BitcoinUri",
            "weights": "input_weight output_weight predicted_input_weight",
        },
    )
