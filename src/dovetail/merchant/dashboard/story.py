"""One invoice's whole story, read in one snapshot of the database."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from dovetail.bitcoin import Address, Network, OutPoint, Sats, Script, Transaction, UnixTime
from dovetail.errors import DovetailError
from dovetail.merchant.dashboard.drawing import Drawing, Known, drawing_of
from dovetail.merchant.data import close_requests as closing
from dovetail.merchant.data import coins, events, record, refunds, stores, wallets
from dovetail.merchant.data.close_requests import CloseRequest
from dovetail.merchant.data.events import EventRow
from dovetail.merchant.data.invoices import invoice
from dovetail.merchant.data.record import Record
from dovetail.merchant.data.refunds import RefundRow
from dovetail.merchant.invoices.credit import PaymentKind
from dovetail.merchant.invoices.life import InvoiceState
from dovetail.merchant.invoices.payments import Payment, PaymentTransaction
from dovetail.merchant.invoices.refunds import Taken, refundable
from dovetail.merchant.invoices.sales import Sale, sale_in


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Paid:
    """One transaction of a payment, with its drawing."""

    payment: Payment
    told: PaymentTransaction
    drawing: Drawing


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Story:
    """All that the page of an invoice shows, but for its session."""

    record: Record
    state: InvoiceState
    store: str
    network: Network
    events: tuple[EventRow, ...]
    refunds: tuple[RefundRow, ...]
    closing: CloseRequest | None
    paid: tuple[Paid, ...]

    @property
    def refundable(self) -> Sats:
        """What may still be refunded."""
        taken = [Taken(each.status, each.amount) for each in self.refunds]
        return refundable(self.state, taken)

    @property
    def sale(self) -> Sale | None:
        """What was bought at a point of sale."""
        return sale_in(self.record.row.metadata)

    @property
    def metadata(self) -> str:
        """The shop's own data as JSON on several lines; empty where there is none."""
        found = self.record.row.metadata
        if found in (None, b"{}"):
            return ""
        return msgspec.json.format(found or b"{}").decode()


def read(connection: Connection, invoice_id: UUID, now: UnixTime) -> Story | None:
    """The story of an invoice as of now; None for an unknown one."""
    row = invoice(connection, invoice_id)
    store = None if row is None else stores.store(connection, row.store_id)
    wallet = None if row is None else wallets.wallet(connection, row.wallet_id)
    if row is None or store is None or wallet is None:
        return None
    known = record.load(connection, invoice_id)
    state = known.state(now)
    return Story(
        record=known,
        state=state,
        store=store.name,
        network=wallet.network,
        events=events.events_of(connection, invoice_id),
        refunds=refunds.refunds_of(connection, invoice_id),
        closing=closing.request_for(connection, invoice_id),
        paid=tuple(_paid(connection, known, state, wallet.network)),
    )


def _paid(
    connection: Connection, known: Record, state: InvoiceState, network: Network
) -> Iterator[Paid]:
    for payment in state.payments:
        for each in payment.transactions:
            transaction = known.payments.seen[each.txid].transaction
            names = {
                output.script_pubkey: name
                for output in transaction.outputs
                if (name := _name(output.script_pubkey, network))
            }
            told = _known(connection, known, transaction, each.kind)
            yield Paid(payment=payment, told=each, drawing=drawing_of(transaction, told, names))


def _known(
    connection: Connection, known: Record, transaction: Transaction, kind: PaymentKind
) -> Known:
    """What the shop knows of the transaction's inputs and outputs."""
    own: dict[OutPoint, Sats] = {
        each.outpoint: each.value for each in coins.coins_at(connection, transaction.contested())
    }
    theirs: set[OutPoint] = set()
    for negotiation in known.negotiations:
        theirs |= negotiation.coins
        own |= dict(negotiation.pin.inputs) if negotiation.pin is not None else {}
    scripts = {output.script_pubkey for output in transaction.outputs}
    own_scripts = {
        each for each in scripts if wallets.address_at(connection, each) is not None
    } | known.row.scripts
    is_negotiated = kind in (PaymentKind.PAYJOIN, PaymentKind.FALLBACK)
    return Known(
        own_coins=own,
        customer_coins=frozenset(theirs),
        payment_scripts=known.row.scripts,
        own_scripts=frozenset(own_scripts),
        customer_scripts=frozenset(scripts - own_scripts if is_negotiated else ()),
    )


def _name(script: Script, network: Network) -> str | None:
    try:
        return str(Address.from_script(script, network))
    except (DovetailError, ValueError):
        return None
