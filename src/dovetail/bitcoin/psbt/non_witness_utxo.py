"""The transaction an input spends from (BIP 174, non-witness UTXO): checked at once, read later.

Wallets carry whole transactions along for the sake of one output of theirs, so that making
objects of all the others would take longer than reading the rest of a PSBT.
"""

from typing import Final

from dovetail.bitcoin.hashes import hash256
from dovetail.bitcoin.transaction import Transaction, Txid
from dovetail.bitcoin.units import MAX_SATS

_MAX_SIZE = 4_000_000
_MARKER_AND_FLAG = b"\x00\x01"
_LONG = 0xFD  # from here on a size takes more than one byte


class Previous:
    """A well-formed transaction, of which the id and the number of outputs are known."""

    __slots__ = ("_raw", "_transaction", "outputs", "txid")

    def __init__(self, raw: bytes) -> None:
        """Raises `InvalidTransaction` for what `Transaction.parse` refuses."""
        self._raw = raw
        self._transaction: Transaction | None = None
        glance = _glance(raw)
        if glance is None:
            self._transaction = Transaction.parse(raw)
            glance = self._transaction.txid, len(self._transaction.outputs)
        self.txid: Final[Txid] = glance[0]
        self.outputs: Final[int] = glance[1]

    @property
    def transaction(self) -> Transaction:
        """The transaction as values."""
        if self._transaction is None:
            self._transaction = Transaction.parse(self._raw)
        return self._transaction


def _glance(raw: bytes) -> tuple[Txid, int] | None:
    """The id and the number of outputs, by stepping over what has the usual form.

    None where anything is wrong or merely rare, such as a script of more than 252 bytes: the
    parser then decides. What is accepted here is what the parser accepts.
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
            at = _behind_witnesses(raw, at, inputs)
    except IndexError:
        return None
    usual = 0 < inputs == len(spent) < _LONG and 0 < outputs < _LONG and paid <= MAX_SATS
    if usual and at + 4 == len(raw) <= _MAX_SIZE:
        return Txid(hash256(raw[:4] + raw[start:end] + raw[-4:])), outputs
    return None


def _behind_witnesses(raw: bytes, at: int, inputs: int) -> int:
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
