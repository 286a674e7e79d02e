"""The mempool between two runs: one line per transaction, its time and its hex."""

from collections.abc import Iterable
from pathlib import Path

from dovetail.bitcoin.transaction import Transaction
from dovetail.durable_files import replace_durably
from dovetail.errors import InvalidTransaction, ReplayError, StoreUnavailable
from dovetail.regtest.mempool import Entry


def save_mempool(path: Path, entries: Iterable[Entry]) -> None:
    """Replace the file as a whole, durably. Raises StoreUnavailable."""
    lines = (f"{entry.time} {entry.transaction.serialize().hex()}\n" for entry in entries)
    try:
        replace_durably(path, "".join(lines).encode("ascii"))
    except OSError as error:
        raise StoreUnavailable(
            "The mempool could not be saved; check the regtest directory and its free space."
        ) from error


def load_mempool(path: Path) -> tuple[tuple[int, Transaction], ...]:
    """Times and transactions, parents first; nothing when there is no file.

    Raises ReplayError when the file is damaged and StoreUnavailable when it cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    except OSError as error:
        raise StoreUnavailable("The saved mempool cannot be read; check the file.") from error
    try:
        return tuple(_parse_line(line) for line in lines)
    except (InvalidTransaction, ValueError) as error:
        raise ReplayError("The saved mempool is damaged; delete its file and go on.") from error


def _parse_line(line: bytes) -> tuple[int, Transaction]:
    time, _, data = line.decode("ascii").partition(" ")
    return int(time), Transaction.parse(bytes.fromhex(data))
