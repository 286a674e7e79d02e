"""Invoices as files: CSV for spreadsheets, and wallet labels (BIP 329)."""

import csv
import io
from collections.abc import Iterator, Mapping
from uuid import UUID

import msgspec

from dovetail.bitcoin import Transaction
from dovetail.merchant.dashboard.rendering import exact
from dovetail.merchant.dashboard.words import KINDS
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.record import Record
from dovetail.merchant.invoices.life import InvoiceState

COLUMNS = (
    "id",
    "store",
    "created_at",
    "expires_at",
    "status",
    "exception",
    "cause",
    "amount_sats",
    "paid_sats",
    "gained_sats",
    "currency",
    "price",
    "rate",
    "order_id",
    "label",
    "address",
    "payjoin",
)
MOST_LABEL = 255
"""Characters of a label: wallets may shorten longer ones (BIP 329, Importing)."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How texts begin that spreadsheets may take for formulas."""


def csv_head() -> str:
    """The first line of the file, with a byte order mark: spreadsheets then read UTF-8."""
    return "\ufeff" + _line(COLUMNS)


def csv_lines(rows: tuple[InvoiceRow, ...], stores: Mapping[UUID, str]) -> str:
    """One line for each invoice."""
    return "".join(_line(_cells(row, stores)) for row in rows)


def plain(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe before it shows it as it is."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def labels(record: Record, state: InvoiceState) -> Iterator[bytes]:
    """The lines of an invoice: its address, its transactions, and what they pay the shop."""
    row = record.row
    told = label_of(row)
    yield _label("addr", row.address, told)
    for each in state.counted:
        transaction = record.payments.seen[each.txid].transaction
        yield _label("tx", str(each.txid), f"{told} · {KINDS[each.kind]}")
        for index in _outputs(transaction, row):
            yield _label("output", f"{each.txid}:{index}", told)


def label_of(row: InvoiceRow) -> str:
    """What a wallet shows for an invoice, in one line."""
    parts = [row.label, None if row.order_id is None else f"order {row.order_id}"]
    told = " · ".join(each for each in parts if each) or f"invoice {row.id}"
    return " ".join(told.split())


def _outputs(transaction: Transaction, row: InvoiceRow) -> Iterator[int]:
    for index, output in enumerate(transaction.outputs):
        if output.script_pubkey in row.scripts:
            yield index


def _label(kind: str, ref: str, label: str) -> bytes:
    return msgspec.json.encode({"type": kind, "ref": ref, "label": label[:MOST_LABEL]}) + b"\n"


def _cells(row: InvoiceRow, stores: Mapping[UUID, str]) -> tuple[str, ...]:
    return (
        str(row.id),
        plain(stores.get(row.store_id, "")),
        exact(row.created_at),
        exact(row.expires_at),
        row.status.value,
        row.exception.value,
        row.cause.value,
        str(int(row.amount)),
        str(int(row.paid)),
        str(int(row.gained)),
        row.currency or "",
        row.price or "",
        row.rate or "",
        plain(row.order_id or ""),
        plain(row.label or ""),
        row.address,
        row.no_payjoin or ("offered" if row.session_id is not None else ""),
    )


def _line(cells: tuple[str, ...]) -> str:
    file = io.StringIO()
    csv.writer(file).writerow(cells)
    return file.getvalue()
