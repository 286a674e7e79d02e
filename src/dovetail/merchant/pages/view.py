"""What the checkout page of an invoice shows, as a function of where the invoice stands; no I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote, urlsplit
from uuid import UUID

from dovetail.bitcoin import Address, Network, Sats, UnixTime
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.invoices.btcpay import STATUSES, UNITS
from dovetail.merchant.invoices.invoice import InvoiceException, InvoiceStatus
from dovetail.merchant.invoices.life import Cause, InvoiceState
from dovetail.merchant.messages.base import APP
from dovetail.merchant.pages.language import NARROW, Language, phrase

QUICK, SLOW = 10, 60
"""Seconds after which a page without JavaScript loads itself again."""

_APP = re.compile(f"{APP}:", re.ASCII)


class Stage(StrEnum):
    """Where an invoice stands for its customer; the values are stable."""

    WAITING = "waiting"
    PARTIAL = "partial"
    """A part has come, and there is time for the rest."""
    SEEN = "seen"
    """Enough has come, and is not deep enough yet."""
    COMPLETING = "completing"
    """Time is up, and the shop broadcasts what the customer's wallet has handed over."""
    PAID = "paid"
    EXPIRED = "expired"
    SHORT = "short"
    """Time is up, and only a part has come."""
    LATE = "late"
    HELD = "held"
    """Time is up, and the shop decides about what the customer's wallet has handed over."""
    INVALID = "invalid"
    CLOSED = "closed"
    """The shop has decided that it is not paid."""


class Words(NamedTuple):
    """The words of a stage."""

    title: str
    text: str


WORDS: Mapping[Stage, Words] = MappingProxyType(
    {
        Stage.WAITING: Words(
            phrase("Waiting for your payment"),
            phrase("Scan the code with your Bitcoin wallet, or open a wallet on this device."),
        ),
        Stage.PARTIAL: Words(
            phrase("A part is still missing"),
            phrase("%(total)s arrived. Pay the missing %(missing)s with the new code below."),
        ),
        Stage.SEEN: Words(
            phrase("Payment received"),
            phrase("Thank you. The network confirms the payment now; you need not wait here."),
        ),
        Stage.COMPLETING: Words(
            phrase("Your payment is being sent"),
            phrase(
                "Your wallet has handed the payment over, and the shop sends it now. Do not"
                " pay again."
            ),
        ),
        Stage.PAID: Words(phrase("Paid"), phrase("Thank you. Your payment is complete.")),
        Stage.EXPIRED: Words(
            phrase("The time to pay is over"),
            phrase("Do not pay this invoice any more. Ask the shop for a new one."),
        ),
        Stage.SHORT: Words(
            phrase("The time is over, and a part is missing"),
            phrase(
                "%(total)s of %(amount)s arrived. Do not pay more: ask the shop to send the"
                " money back, or to complete your order."
            ),
        ),
        Stage.LATE: Words(
            phrase("Your payment came too late"),
            phrase(
                "%(total)s arrived, not all of it in time. Do not pay again: the shop can"
                " accept the payment, or send it back."
            ),
        ),
        Stage.HELD: Words(
            phrase("The shop has to decide"),
            phrase(
                "The time ended before your payment was complete. The shop decides whether it"
                " still takes the payment. Do not pay again."
            ),
        ),
        Stage.INVALID: Words(
            phrase("Your payment was not confirmed"),
            phrase("The network did not confirm it in time. Do not pay again: ask the shop."),
        ),
        Stage.CLOSED: Words(
            phrase("The shop has closed this invoice"),
            phrase("Do not pay it. If you paid already, ask the shop."),
        ),
    }
)

_GOOD = frozenset({Stage.SEEN, Stage.PAID})
_ASKS = frozenset({Stage.WAITING, Stage.PARTIAL})
_QUICK = _ASKS | {Stage.SEEN, Stage.COMPLETING}
_OVER = frozenset({Stage.PAID, Stage.INVALID, Stage.CLOSED})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Checkout:
    """All that the page shows; its repr shows nothing of it (P4)."""

    invoice_id: UUID
    stage: Stage
    status: str
    """The same as the page of a shop that shows this one in a frame hears it."""
    title: str
    text: str
    over: str | None
    """How much more was paid than was asked for, with its unit."""
    sats: str
    """What is to be paid now while money is asked for; else the invoice's amount."""
    btc: str
    bare: str
    """The same in bitcoins as wallets take it, without a unit."""
    whole: str | None
    """The invoice's amount where only a part of it is asked for."""
    price: str | None
    rate: str | None
    uri: str | None
    link: str | None
    """The URI for a wallet on this device, which can return to the shop's app."""
    """What a wallet pays; None where nothing is asked for."""
    address: str
    private: bool
    """Whether the URI offers a payjoin."""
    seconds_left: int
    confirmations: tuple[int, int] | None
    """How many the payment has, and how many settle the invoice; None where none are awaited."""
    label: str
    order_id: str | None
    back: str | None
    """Where the customer goes on at the shop."""
    test_network: str | None
    follows: bool
    """Whether something may still happen."""
    refresh: int | None
    """After how many seconds the page without JavaScript loads itself again."""
    version: str
    """Differs where the page differs, but for the time."""

    def __repr__(self) -> str:
        return f"<Checkout {self.stage}>"

    @property
    def tone(self) -> str:
        """How the page looks: `open`, `good` or `closed`."""
        if self.stage in _ASKS or self.stage is Stage.COMPLETING:
            return "open"
        return "good" if self.stage in _GOOD else "closed"

    @property
    def clock(self) -> str:
        """The time left, as a clock without JavaScript shows it."""
        minutes, seconds = divmod(self.seconds_left, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def stage_of(state: InvoiceState) -> Stage:
    """Where the invoice stands for its customer."""
    match state.status:
        case InvoiceStatus.NEW:
            return Stage.PARTIAL if state.credit.total else Stage.WAITING
        case InvoiceStatus.PROCESSING:
            return Stage.SEEN if state.fallback_due is None else Stage.COMPLETING
        case InvoiceStatus.SETTLED:
            return Stage.PAID
        case InvoiceStatus.INVALID:
            return Stage.INVALID if state.mark is None else Stage.CLOSED
        case InvoiceStatus.EXPIRED:
            return _expired(state)


def _expired(state: InvoiceState) -> Stage:
    if state.cause is Cause.FALLBACK_HELD:
        return Stage.HELD
    if state.exception is InvoiceException.LATE:
        return Stage.LATE
    return Stage.SHORT if state.credit.total else Stage.EXPIRED


def view_of(
    row: InvoiceRow, state: InvoiceState, speech: Language, *, network: Network, now: UnixTime
) -> Checkout:
    """What the page shows at `now`; `row` has its payment URI if there is to be one."""
    stage, total = stage_of(state), int(state.credit.total)
    missing = max(0, int(row.amount) - total)
    asked = _asked(row, missing) if stage is Stage.PARTIAL else row.amount
    words = WORDS[stage]
    values = {
        "total": speech.sats(total),
        "missing": speech.sats(missing),
        "amount": speech.sats(int(row.amount)),
    }
    uri = _uri(row, stage, asked)
    over = total - int(row.amount)
    confirmations = _confirmations(state) if stage is Stage.SEEN else None
    return Checkout(
        invoice_id=row.id,
        stage=stage,
        status=STATUSES[state.status].lower(),
        title=speech.say(words.title),
        text=speech.say(words.text) % values,
        over=speech.sats(over) if over > 0 and stage in _GOOD else None,
        sats=speech.sats(int(asked)),
        btc=f"{speech.decimal(_decimals(asked))}{NARROW}BTC",
        bare=_decimals(asked),
        whole=values["amount"] if asked != row.amount else None,
        price=_money(speech, row.price, row.currency),
        rate=_money(speech, row.rate, row.currency),
        uri=uri,
        address=row.address,
        private=stage is Stage.WAITING and row.session_id is not None,
        seconds_left=max(0, int(row.expires_at) - int(now)) if stage in _ASKS else 0,
        confirmations=confirmations,
        label=row.label or "",
        order_id=row.order_id,
        back=safe_url(row.redirect_url) if stage in _GOOD else None,
        link=None if uri is None else linked(uri, row.redirect_url),
        test_network=None if network is Network.MAINNET else network.value,
        follows=stage not in _OVER and now < row.monitored_until,
        refresh=_refresh(row, stage, now),
        version=f"{stage}-{total}-{confirmations[0] if confirmations else 0}",
    )


def safe_url(url: str | None) -> str | None:
    """The address of a page or an app of the shop, where a browser may go; None for any other."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    is_page = parts.scheme in ("http", "https") and parts.netloc
    return url if is_page or _APP.match(url) else None


def linked(uri: str, back: str | None) -> str:
    """The URI with the app that a wallet opens after the payment (BIP 321, Proof of Payment).

    The wallet appends `onchain=` and the payment to the app's address. It opens no web page.
    """
    if back is None or not _APP.match(back):
        return uri
    begun = f"{back}{'&' if '?' in back else '?'}"
    return f"{uri}{'&' if '?' in uri else '?'}pop={quote(begun, safe='')}"


def _asked(row: InvoiceRow, missing: int) -> Sats:
    """What is asked for in place of what is missing: nodes relay no less than the dust limit."""
    return Sats(max(missing, int(row.script.dust_limit)))


def _uri(row: InvoiceRow, stage: Stage, asked: Sats) -> str | None:
    """The URI to pay: the invoice's own, which may offer a payjoin, or a plain one for the rest."""
    if stage is Stage.PARTIAL:
        address = Address.parse(row.address)
        return BitcoinUri(address=address, amount=asked, label=row.label).serialize()
    return row.uri if stage is Stage.WAITING else None


def _confirmations(state: InvoiceState) -> tuple[int, int]:
    """The confirmations of the payment that has the least, and how many are needed."""
    least = min((each.depth for each in state.counted if not each.late), default=0)
    return min(least, state.depth), state.depth


def _decimals(amount: Sats) -> str:
    whole, part = divmod(int(amount), 100_000_000)
    return f"{whole}.{part:08}"


def _money(speech: Language, value: str | None, currency: str | None) -> str | None:
    """An amount in a currency; None where there is none, and for bitcoin, which is shown anyway."""
    if not value or not currency or currency in UNITS:
        return None
    return f"{speech.decimal(value)}{NARROW}{currency}"


def _refresh(row: InvoiceRow, stage: Stage, now: UnixTime) -> int | None:
    if stage in _OVER or now >= row.monitored_until:
        return None
    return QUICK if stage in _QUICK else SLOW
