"""The previous transaction of an input (BIP 174, non-witness UTXO), parsed fully only when needed.

A PSBT holds the whole transaction, although the input spends one of its outputs. Making objects of
all inputs and outputs would take longer than parsing the rest of the PSBT.
"""

from typing import Final

from dovetail.bitcoin.hashes import hash256
from dovetail.bitcoin.transaction import Transaction, Txid
from dovetail.bitcoin.units import MAX_SATS

_MAX_SIZE = 4_000_000
_MARKER_AND_FLAG = b"\x00\x01"
_LONG = 0xFD  # from here on a size takes more than one byte


class Previous:
    """A well-formed transaction whose id and number of outputs are known."""

    __slots__ = ("_raw", "_transaction", "outputs", "txid")

    def __init__(self, raw: bytes) -> None:
        """Raises `InvalidTransaction` when `Transaction.parse` would."""
        self._raw = raw
        self._transaction: Transaction | None = None
        scanned = _scan(raw)
        if scanned is None:
            self._transaction = Transaction.parse(raw)
            scanned = self._transaction.txid, len(self._transaction.outputs)
        self.txid: Final[Txid] = scanned[0]
        self.outputs: Final[int] = scanned[1]

    @property
    def transaction(self) -> Transaction:
        """The parsed transaction."""
        if self._transaction is None:
            self._transaction = Transaction.parse(self._raw)
        return self._transaction


def _scan(raw: bytes) -> tuple[Txid, int] | None:
    """Return the id and the number of outputs of a transaction of the usual form.

    Return None for anything invalid or rare, such as a script of more than 252 bytes: the parser
    then decides. This function accepts nothing that the parser refuses.
    """
    has_witness = raw[4:6] == _MARKER_AND_FLAG
    start = at = 6 if has_witness else 4
    try:
        inputs, at, spent = raw[at], at + 1, set[bytes]()
        for _ in range(inputs):
            spent.add(raw[at : at + 36])
            size = raw[at + 36]
            if size >= _LONG:
                return None
            at += 41 + size
        outputs, at, paid = raw[at], at + 1, 0
        for _ in range(outputs):
            paid += int.from_bytes(raw[at : at + 8], "little")
            size = raw[at + 8]
            if size >= _LONG:
                return None
            at += 9 + size
        end = at
        if has_witness:
            at = _skip_witnesses(raw, at, inputs)
    except IndexError:
        return None
    usual = 0 < inputs == len(spent) < _LONG and 0 < outputs < _LONG and paid <= MAX_SATS
    if usual and at + 4 == len(raw) <= _MAX_SIZE:
        return Txid(hash256(raw[:4] + raw[start:end] + raw[-4:])), outputs
    return None


def _skip_witnesses(raw: bytes, at: int, inputs: int) -> int:
    """The offset behind the witnesses, or one too large if they are not of the usual form."""
    found = 0
    for _ in range(inputs):
        items, at = raw[at], at + 1
        found += items
        for _ in range(items):
            size = raw[at]
            at += 1 + (size if size < _LONG else len(raw))
        if items >= _LONG:
            return len(raw)
    return at if found else len(raw)
