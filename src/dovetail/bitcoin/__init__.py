"""Bitcoin's bytes and sums, without Payjoin."""

from dovetail.bitcoin.encoding import Reader as Reader
from dovetail.bitcoin.encoding import compact_size as compact_size
from dovetail.bitcoin.encoding import read_compact_size as read_compact_size
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
