"""Amounts in the currencies of the Greenfield API: bitcoins, satoshis, and those of prices."""

from decimal import ROUND_DOWN, Decimal

from dovetail.bitcoin.units import MAX_SATS
from dovetail.merchant.api.problems import invalid
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.invoices.btcpay import BTC, UNITS

_SATS = 100_000_000
_CENTS = Decimal("0.01")


def plain(number: Decimal) -> str:
    """Return a number in decimal digits, without exponent and without zeros at the end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def sats_of(amount: Decimal, currency: str, path: str) -> int:
    """Return an amount of a unit of bitcoin in satoshis; raises `Refused`."""
    sats = amount * _SATS / UNITS[currency]
    if not 1 <= sats <= MAX_SATS or sats != sats.to_integral_value():
        raise invalid(path, "Give a whole number of satoshis, of which there is at least one.")
    return int(sats)


def asked_for(row: InvoiceRow) -> tuple[str, str]:
    """Return the amount of an invoice, and its currency."""
    if row.currency is None or row.price is None:
        return plain(Decimal(int(row.amount)) / _SATS), BTC
    return row.price, row.currency


def paid_for(row: InvoiceRow) -> str:
    """Return what was paid for an invoice, in its currency, rounded down."""
    amount, currency = asked_for(row)
    paid = Decimal(amount) * int(row.paid) / int(row.amount)
    if currency not in UNITS and row.paid != row.amount:
        paid = paid.quantize(_CENTS, ROUND_DOWN)
    return plain(paid)


def rate_of(row: InvoiceRow) -> str:
    """Return the price of one bitcoin in an invoice's currency, as fixed for it."""
    return "1" if row.rate is None else plain(Decimal(row.rate))
