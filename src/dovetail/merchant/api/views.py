"""Rows as the API's messages show them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from dovetail.merchant import messages
from dovetail.merchant.data.coins import CoinRow
from dovetail.merchant.data.events import EventRow
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.refunds import RefundRow, StepRow
from dovetail.merchant.data.stores import StoreRow
from dovetail.merchant.invoices.invoice import InvoiceException, InvoiceStatus
from dovetail.merchant.invoices.life import Cause
from dovetail.merchant.invoices.payments import Payment, PaymentTransaction
from dovetail.merchant.invoices.refunds import RefundStatus
from dovetail.merchant.services.readiness import NoPayjoin
from dovetail.merchant.services.refund_payments import Trouble
from dovetail.merchant.services.refunds import Claim


def invoice(row: InvoiceRow, origin: str) -> messages.Invoice:
    """An invoice; `origin` is that of its page."""
    return messages.Invoice(
        id=row.id,
        store_id=row.store_id,
        status=row.status,
        exception=row.exception,
        cause=row.cause,
        amount_sats=int(row.amount),
        currency=row.currency,
        price=row.price,
        rate=row.rate,
        paid_sats=int(row.paid),
        gained_sats=int(row.gained),
        label=row.label or "",
        order_id=row.order_id,
        metadata=_object(row.metadata),
        redirect_url=row.redirect_url,
        checkout_url=checkout_url(origin, row.id),
        address=row.address,
        payment_uri=row.uri,
        payjoin=offer(row),
        created_at=int(row.created_at),
        expires_at=int(row.expires_at),
        monitored_until=int(row.monitored_until),
        sequence=row.events,
    )


def checkout_url(origin: str, invoice_id: UUID) -> str:
    """The address of an invoice's page."""
    return f"{origin}/i/{invoice_id}"


def claim_url(origin: str, token: str) -> str:
    """The address of a refund's page, whose token is its key."""
    return f"{origin}/claims/{token}"


def offer(row: InvoiceRow) -> messages.PayjoinOffer:
    """Whether an invoice offers payjoin."""
    if row.no_payjoin is None:
        return messages.PayjoinOffer(offered=row.session_id is not None)
    return messages.PayjoinOffer(
        offered=False, reason=row.no_payjoin, words=NoPayjoin(row.no_payjoin).words
    )


def payment(payment: Payment) -> messages.Payment:
    """A payment."""
    first = (payment.counted or payment.transactions)[0]
    return messages.Payment(
        id=str(payment.id),
        kind=first.kind,
        status=first.status,
        value_sats=sum(int(each.value) for each in payment.counted),
        transactions=tuple(map(_transaction, payment.transactions)),
    )


def _transaction(each: PaymentTransaction) -> messages.PaymentTransaction:
    return messages.PaymentTransaction(
        txid=str(each.txid),
        kind=each.kind,
        status=each.status,
        gain_sats=int(each.gain),
        fees_sats=int(each.fees),
        depth=each.depth,
        counts=each.counts,
        first_seen=int(each.first_seen),
        late=each.late,
    )


def event(row: EventRow) -> messages.Event:
    """An event of an invoice."""
    return messages.Event(
        id=row.id,
        invoice_id=row.invoice_id,
        store_id=row.store_id,
        sequence=row.seq,
        type=row.kind,
        status=InvoiceStatus(row.status),
        exception=InvoiceException(row.exception),
        cause=Cause(row.cause),
        at=row.at,
        data=row.data,
    )


def refund(
    row: RefundRow,
    *,
    token: str | None = None,
    origin: str = "",
    steps: Sequence[StepRow] = (),
) -> messages.Refund:
    """A refund; `origin` is that of the page to which the token belongs."""
    return messages.Refund(
        id=row.id,
        invoice_id=row.invoice_id,
        store_id=row.store_id,
        status=row.status,
        amount_sats=int(row.amount),
        reason=row.reason or "",
        address=row.address,
        created_at=int(row.created_at),
        expires_at=int(row.expires_at),
        asked_by=row.asked_by,
        decided_by=row.decided_by,
        txid=row.txid,
        confirmations=row.depth,
        trouble=row.trouble,
        trouble_words="" if row.trouble is None else Trouble(row.trouble).words,
        claim_token=token,
        claim_url=None if token is None else claim_url(origin, token),
        steps=tuple(
            messages.RefundEntry(
                number=each.number,
                step=each.step,
                status=each.status,
                who=each.who,
                at=int(each.at),
            )
            for each in steps
        ),
    )


def claim(found: Claim) -> messages.Claim:
    """What the customer of a refund sees."""
    row = found.refund
    shown = found.status in (RefundStatus.PAYING, RefundStatus.PAID)
    return messages.Claim(
        store=found.store,
        network=found.network.value,
        amount_sats=int(row.amount),
        status=found.status,
        expires_at=int(row.expires_at),
        txid=row.txid if shown else None,
    )


def store(row: StoreRow) -> messages.StoreView:
    """A store."""
    return messages.StoreView(
        id=row.id,
        name=row.name,
        wallet_id=row.wallet_id,
        policy=row.policy,
        created_at=row.created_at,
        archived_at=row.archived_at,
    )


def coin(row: CoinRow) -> messages.Coin:
    """A coin."""
    return messages.Coin(
        txid=str(row.outpoint.txid),
        vout=row.outpoint.vout,
        value_sats=int(row.value),
        keychain="hot",
        height=row.height,
        spent_by=None if row.spent_by is None else str(row.spent_by),
    )


def _object(entry: bytes | None) -> dict[str, Any]:
    return {} if entry is None else msgspec.json.decode(entry, type=dict[str, Any])
