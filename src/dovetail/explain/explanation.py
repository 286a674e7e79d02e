"""An explanation of a session's state: codes, sentences, actions and amounts."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import msgspec

from dovetail.actions import Action
from dovetail.bitcoin import Sats, UnixTime
from dovetail.protocol.proposal import rule_words
from dovetail.sessions.amounts import Paid, Received
from dovetail.sessions.overpayment import Surplus
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sightings import Sighting
from dovetail.sessions.standing import Standing, status_of
from dovetail.sessions.status import SessionStatus
from dovetail.stores.ports import Role, SessionRow

EITHER = "payjoin or ordinary; only one can confirm"
PLAINLY = "ordinary payment"


class DeadlineKind(StrEnum):
    """The effect of a time that comes before anything else happens."""

    EXPIRES = "expires"
    """Posting and polling end."""
    FALLBACK = "fallback"
    """The ordinary payment is broadcast, by the policy."""
    WATCHING = "watching"
    """A receiver whom nobody has paid stops looking for a payment."""
    SIGNING = "signing"
    """A proposal that was not signed gives way to the ordinary payment."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The next moment at which time alone moves a session."""

    kind: DeadlineKind
    at: UnixTime


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A session's state in stable codes and in words; the words name no address and no key."""

    status: SessionStatus
    words: str
    """Where it stands, in one sentence."""
    actions: frozenset[Action]
    """The actions that make sense now; the session allows each of them."""
    advice: str = ""
    """Help with the choice, in a sentence or two; empty where there is nothing to choose."""
    owed: str
    """The payment that is still to be made or to come, and how; or why there is none."""
    amount: Sats | None
    expires_at: UnixTime
    reason: Reason | None = None
    """Why there is no payjoin, where that is known."""
    rule: str | None = None
    """The rule of BIP 78 that the receiver's proposal broke, where that was why."""
    outcome: str | None = None
    """The code of how it ended, such as `success`; None while it is open."""
    paid: bool = False
    """Whether the payment of this session was made; meaningful once there is an outcome."""
    txid: str | None = None
    """The transaction that was seen or broadcast last."""
    unpaid: bool = False
    """Whether a payment is still to be made, by us or to us."""
    pays_next: bool = False
    """Whether the next step broadcasts the ordinary payment without asking."""
    needs_decision: bool = False
    """Whether the session waits until the user decides."""
    deadline: Deadline | None = None
    """The next effect of time alone."""
    receiver_can_take: bool = False
    """Whether the receiver can still take a payment that was cancelled or declined here."""
    amounts: Received | Paid | None = None
    """The cost of the payment, once it is known how it is made."""
    surplus: Surplus | None = None
    """Money that came to a receiver's address beside its payment."""

    @property
    def reason_words(self) -> str | None:
        """Why there is no payjoin, with the rule that was broken; None where no reason is known."""
        if self.reason is None:
            return None
        rule = "" if self.rule is None else f" {rule_words(self.rule)}"
        return f"{self.reason.words}{rule}"

    @property
    def tells_reason(self) -> bool:
        """Whether the reason is news: not where an ordinary payment was wanted."""
        return self.reason not in (None, Reason.PLAIN_PAYMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The time, the policy and the last sighting: an explanation depends on them and the log."""

    paying: bool
    """Whether the session is the sender's."""
    now: UnixTime
    expires_at: UnixTime
    ask: bool
    """Whether the user's policy asks before an ordinary payment is broadcast."""
    seen: Sighting | None = None
    """The last sighting on the chain."""

    @classmethod
    def of_row(cls, row: SessionRow, now: UnixTime, *, ask: bool) -> Self:
        """Of a stored session."""
        paying = row.role is Role.SENDER
        return cls(paying=paying, now=now, expires_at=row.expires_at, ask=ask, seen=row.sighting)

    @property
    def shown(self) -> Sighting | None:
        """The same, unless it is gone."""
        return None if self.seen is None or self.seen.gone else self.seen

    def status(self, found: Standing) -> SessionStatus:
        """Where the session stands now."""
        return status_of(found, paying=self.paying, expires_at=self.expires_at, now=self.now)

    def due(self, found: Standing, *, ask: bool = False) -> UnixTime | None:
        """From when the ordinary payment is broadcast; None: only on the user's word."""
        at = found.due_if_asked if ask or self.ask else found.due
        return None if at is None else UnixTime(at)

    def fallback_at(self, due: UnixTime | None) -> Deadline | None:
        """The deadline of an ordinary payment that is not due yet."""
        return None if due is None or due <= self.now else Deadline(DeadlineKind.FALLBACK, due)

    def explanation(
        self, found: Standing, *, owed: str, unpaid: bool = False, **told: Any
    ) -> Explanation:
        """An explanation with the facts that need no words.

        `owed` is how the payment is made where it is still `unpaid`, and else a sentence.
        """
        return Explanation(
            status=self.status(found),
            owed=f"{_money(found.amount)} ({owed})" if unpaid else owed,
            unpaid=unpaid,
            amount=None if found.amount is None else Sats(found.amount),
            expires_at=self.expires_at,
            reason=found.reason,
            rule=found.rule,
            txid=found.txid,
            amounts=found.amounts,
            **told,
        )


def _money(amount: int | None) -> str:
    return "The payment" if amount is None else f"{amount:,} sats"
