"""BTCPay Server's words for where an invoice stands, and what happened to it (Greenfield API)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from dovetail.bitcoin import Sats
from dovetail.merchant.invoices.invoice import InvoiceException, InvoiceStatus
from dovetail.merchant.invoices.life import InvoiceState

STATUSES: Mapping[InvoiceStatus, str] = MappingProxyType(
    {
        InvoiceStatus.NEW: "New",
        InvoiceStatus.PROCESSING: "Processing",
        InvoiceStatus.SETTLED: "Settled",
        InvoiceStatus.EXPIRED: "Expired",
        InvoiceStatus.INVALID: "Invalid",
    }
)
_EXCEPTIONS: Mapping[InvoiceException, str] = MappingProxyType(
    {
        InvoiceException.NONE: "None",
        InvoiceException.PAID_PARTIALLY: "PaidPartial",
        InvoiceException.LATE: "PaidLate",
        InvoiceException.OVER: "PaidOver",
        InvoiceException.MARKED: "Marked",
    }
)

BTC = "BTC"
UNITS: Mapping[str, int] = MappingProxyType({BTC: 1, "SATS": 100_000_000})
"""The currencies that are units of bitcoin, and how many of each are one bitcoin."""

CREATED = "InvoiceCreated"
RECEIVED = "InvoiceReceivedPayment"
PAYMENT_SETTLED = "InvoicePaymentSettled"
PROCESSING = "InvoiceProcessing"
SETTLED = "InvoiceSettled"
EXPIRED = "InvoiceExpired"
INVALID = "InvoiceInvalid"
EVENTS = (CREATED, RECEIVED, PAYMENT_SETTLED, PROCESSING, EXPIRED, SETTLED, INVALID)
"""The names of events that an endpoint can hear of."""

_OF_KIND: Mapping[str, str] = MappingProxyType(
    {
        "invoice.created": CREATED,
        "invoice.processing": PROCESSING,
        "invoice.settled": SETTLED,
        "invoice.expired": EXPIRED,
        "invoice.invalid": INVALID,
    }
)


@dataclass(frozen=True, slots=True)
class Told:
    """An event by BTCPay Server's name, and the transaction that it is about, if any."""

    name: str
    txid: str | None = None


def told_as(kind: str, state: InvoiceState, listed: Mapping[str, int]) -> tuple[Told, ...]:
    """Return what BTCPay Server would tell by an event of this kind: payments, then the status.

    `listed` has the transactions that earlier events named, with the greatest depth that they
    told. A status that it does not tell, such as the return to `new`, gives nothing.
    """
    received = [each for each in state.counted if str(each.txid) not in listed]
    settled = [
        each
        for each in state.counted
        if each.is_deep(state.depth)
        and not replace(each, depth=listed.get(str(each.txid), -1)).is_deep(state.depth)
    ]
    name = _OF_KIND.get(kind)
    return (
        *(Told(RECEIVED, str(each.txid)) for each in received),
        *(Told(PAYMENT_SETTLED, str(each.txid)) for each in settled),
        *(() if name is None else (Told(name),)),
    )


def additional_status(exception: InvoiceException, state: InvoiceState | None, enough: int) -> str:
    """Return the additional status of an invoice that is `state` now, or None where it is not late.

    Shop software takes `PaidLate` for paid. So it is told once the late payments are confirmed, and
    until then they are a part of what was asked for.
    """
    if exception is not InvoiceException.LATE or state is None:
        return _EXCEPTIONS[exception]
    deep = Sats.sum(each.value for each in state.counted if each.is_deep(state.depth))
    return _EXCEPTIONS[exception if deep >= enough else InvoiceException.PAID_PARTIALLY]
