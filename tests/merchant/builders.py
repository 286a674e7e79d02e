"""Invoices, transactions and looks at the chain, in few words; times count from the creation."""

from typing import Any
from uuid import UUID

from tests.protocol.builders import CHANGE, FRESH, P2WPKH, PAYEE

from dovetail.bitcoin import (
    Address,
    Network,
    OutPoint,
    Psbt,
    PsbtInput,
    Sats,
    Script,
    Transaction,
    Txid,
    TxIn,
    TxOut,
    UnixTime,
)
from dovetail.merchant.invoices.invoice import Confirmations, Invoice, Mark
from dovetail.merchant.invoices.life import InvoiceState, state_of
from dovetail.merchant.invoices.negotiation import Negotiation
from dovetail.merchant.invoices.payments import Found, Look, Payments

COLD = FRESH
"""The script that takes the invoice's place in a payjoin to cold storage."""
AMOUNT = 50_000
CREATED, EXPIRES, MONITORED = (UnixTime(1_000_000 + seconds) for seconds in (0, 900, 90_000))
OURS = 70_000
"""The value of each coin that the shop contributes."""


def invoice(**terms: Any) -> Invoice:
    """50,000 sats that one confirmation settles, unless other terms are given."""
    depth = terms.pop("depth", 1)
    usual: dict[str, Any] = {
        "id": UUID(int=7),
        "address": Address.from_script(PAYEE, Network.REGTEST),
        "amount": Sats(AMOUNT),
        "created_at": CREATED,
        "expires_at": EXPIRES,
        "monitored_until": MONITORED,
        "confirmations": Confirmations(((Sats(0), depth),), accept_unconfirmed=depth == 0),
    }
    return Invoice(**(usual | terms))


def coin(number: int) -> OutPoint:
    """A coin of a customer; other numbers are other coins."""
    return OutPoint(Txid(number.to_bytes(32, "big")), 0)


def own(number: int) -> OutPoint:
    """A coin of the shop, worth `OURS`."""
    return OutPoint(Txid(number.to_bytes(32, "big")), 1)


def pay(
    *coins: int | OutPoint, to: Script = PAYEE, value: int = AMOUNT, change: int = 1_000
) -> Transaction:
    """A transaction that spends coins of a customer and pays `value`."""
    spent = [each if isinstance(each, OutPoint) else coin(each) for each in coins]
    outputs = TxOut(Sats(value), to), TxOut(Sats(change), CHANGE)
    return Transaction(2, tuple(TxIn(each) for each in spent), outputs, 0)


def signed(transaction: Transaction, signature: bytes = b"signature") -> Transaction:
    """The same as the chain shows it; for each input a script_sig, which changes the txid."""
    return transaction.with_signatures([(signature, ())] * len(transaction.inputs))


def proposal(transaction: Transaction, value: int = OURS) -> Psbt:
    """A PSBT of a payjoin; each input holds a UTXO of this value."""
    psbt = Psbt.from_unsigned(transaction)
    for index in range(len(transaction.inputs)):
        known = PsbtInput().with_witness_utxo(TxOut(Sats(value), P2WPKH))
        psbt = psbt.with_input(index, known)
    return psbt


def negotiated(fallback: Transaction, *, at: int = 10, script: Script = PAYEE) -> Negotiation:
    """An Original that a customer handed over, `at` seconds after the invoice was created."""
    return Negotiation.of(fallback, script=script, received_at=UnixTime(CREATED + at))


def pinned(
    number: int = 1, *, at: int = 10, fee: int = 0, to: Script = PAYEE, ours: int = 90
) -> tuple[Negotiation, Transaction, Transaction]:
    """A negotiation whose proposal is out, its fallback and its payjoin.

    The payjoin adds a coin of ours, takes `fee` from our output, and pays `to`.
    """
    fallback = pay(number)
    payjoin = pay(number, own(ours), to=to, value=AMOUNT + OURS - fee)
    begun = negotiated(fallback, at=at)
    return begun.pinned(proposal(payjoin), scripts={PAYEE, to}), fallback, payjoin


def look(number: int, *found: Transaction | tuple[Transaction, int] | Found, at: int = 100) -> Look:
    """A look at the chain that finds transactions in the mempool, or as deep as is given."""
    return Look(number, UnixTime(CREATED + at), tuple(_found(each) for each in found))


def _found(each: Transaction | tuple[Transaction, int] | Found) -> Found:
    match each:
        case Found():
            return each
        case Transaction():
            return Found(each, 0)
        case transaction, depth:
            return Found(transaction, depth)


def seen(*looks: Look) -> Payments:
    """The payments after these looks."""
    payments = Payments()
    for each in looks:
        payments = payments.after(each)
    return payments


def state(
    *looks: Look,
    terms: Invoice | None = None,
    negotiations: tuple[Negotiation, ...] = (),
    marks: tuple[Mark, ...] = (),
    at: int = 100,
) -> InvoiceState:
    """Where an invoice stands after these looks, `at` seconds after it was created."""
    now = UnixTime(CREATED + at)
    return state_of(terms or invoice(), seen(*looks), negotiations, marks, now=now)


def mark(number: int = 1, *, settled: bool = True) -> Mark:
    """A person's decision."""
    return Mark(number=number, settled=settled, by="alice", at=UnixTime(CREATED + 500))
