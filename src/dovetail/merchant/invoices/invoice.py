"""An invoice's terms, and the words for where it stands.

The terms never change once the invoice exists: so its status is a function of what happened to it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from operator import itemgetter
from uuid import UUID

from dovetail.bitcoin import Address, Sats, Script, UnixTime
from dovetail.errors import ConfigurationError

_WHOLE = 1000
_NOTHING = Sats(0)


class InvoiceStatus(StrEnum):
    """Where an invoice stands; the values are stable."""

    NEW = "new"
    """It waits for its payment."""
    PROCESSING = "processing"
    """Enough came in time, and is not deep enough yet."""
    SETTLED = "settled"
    """Enough came in time, and is deep enough."""
    EXPIRED = "expired"
    """Its time ran out before enough came."""
    INVALID = "invalid"
    """Enough came in time, and was not deep enough when the monitoring ended."""


class InvoiceException(StrEnum):
    """How an invoice differs from one that is paid exactly, and in time; the values are stable."""

    NONE = "none"
    PAID_PARTIALLY = "paid-partially"
    LATE = "late"
    """All that came is enough, but not all of it came in time."""
    OVER = "over"
    """More came than was asked for."""
    MARKED = "marked"
    """A person has decided the status."""


@dataclass(frozen=True, slots=True)
class Permille:
    """A share of the amount, in thousandths, rounded down to whole satoshis.

    Raises `ConfigurationError` outside of 0 to 999.
    """

    value: int

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0 <= self.value < _WHOLE:
            raise ConfigurationError("`tolerance` must be 0 to 999 permille; correct it.")

    def of(self, amount: Sats) -> Sats:
        """That share of an amount."""
        return Sats(int(amount) * self.value // _WHOLE)


@dataclass(frozen=True, slots=True)
class Confirmations:
    """How many confirmations settle an invoice, by its amount.

    `tiers` are pairs of the least amount and the confirmations; the first amount is 0. A payment
    without confirmations can be replaced by its sender at any time (BIP 125, and full RBF): it
    settles only with `accept_unconfirmed`. Raises `ConfigurationError`.
    """

    tiers: tuple[tuple[Sats, int], ...] = ((Sats(0), 1),)
    accept_unconfirmed: bool = False

    def __post_init__(self) -> None:
        """Check the order, the range, and that nothing settles unconfirmed by mistake."""
        amounts = [amount for amount, _ in self.tiers]
        if not amounts or amounts[0] != 0 or amounts != sorted(set(amounts)):
            raise ConfigurationError(
                "`confirmations` must have amounts that begin with 0 and rise; correct them."
            )
        least = min(depth for _, depth in self.tiers)
        if least < 0:
            raise ConfigurationError("`confirmations` cannot be negative; correct them.")
        if least == 0 and not self.accept_unconfirmed:
            raise ConfigurationError(
                "`confirmations` of 0 let a sender take the payment back after it settled: set"
                " `accept_unconfirmed` if you bear that risk, or ask for 1."
            )

    def of(self, amount: Sats) -> int:
        """The confirmations that an invoice of this amount needs."""
        return max((tier for tier in self.tiers if tier[0] <= amount), key=itemgetter(0))[1]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Invoice:
    """The terms of one invoice; its repr shows its id only (P4).

    It is paid in time before `expires_at`. It is looked at until `monitored_until`: what is not
    deep enough by then makes it invalid. Raises `ConfigurationError` where the terms contradict
    each other.
    """

    id: UUID
    address: Address
    amount: Sats
    created_at: UnixTime
    expires_at: UnixTime
    monitored_until: UnixTime
    confirmations: Confirmations = Confirmations()
    tolerance: Sats | Permille = _NOTHING
    """How much less than the amount counts as paid."""
    broadcasts_fallback: bool = True
    """Whether a fallback that is in hand when the invoice expires is broadcast: the customer had
    signed it in time."""

    def __post_init__(self) -> None:
        """Check the order of the times, and that a payment is asked for."""
        if not self.created_at < self.expires_at <= self.monitored_until:
            raise ConfigurationError(
                "An invoice must expire after its creation, and be monitored at least until then."
            )
        if self.enough <= 0:
            raise ConfigurationError("An invoice must ask for more than its tolerance; correct it.")

    def __repr__(self) -> str:
        return f"<Invoice {self.id}>"

    @property
    def script(self) -> Script:
        """The script of its address, which no other invoice has."""
        return self.address.script_pubkey

    @property
    def depth(self) -> int:
        """The confirmations that settle it."""
        return self.confirmations.of(self.amount)

    @property
    def enough(self) -> int:
        """The satoshis that count as paid: the amount less the tolerance."""
        tolerance = self.tolerance
        less = tolerance.of(self.amount) if isinstance(tolerance, Permille) else tolerance
        return int(self.amount) - int(less)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A person's decision that an invoice is settled or invalid, whatever came.

    `number` orders the marks of one invoice; the store gives it.
    """

    number: int
    settled: bool
    """Whether it is marked as settled; else as invalid."""
    by: str
    """The person or the API key that decided, as the audit trail names them."""
    at: UnixTime

    @property
    def status(self) -> InvoiceStatus:
        """The status that it decides."""
        return InvoiceStatus.SETTLED if self.settled else InvoiceStatus.INVALID


def last_mark(marks: Iterable[Mark]) -> Mark | None:
    """The mark that holds: a later one takes the place of an earlier one."""
    return max(marks, key=lambda mark: mark.number, default=None)
