"""The fields and facts that the sender's states share."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import OutPoint, Transaction
from dovetail.bitcoin.units import UnixTime
from dovetail.errors import UsageError
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions.sender.events import Created, CreatedPlain, SenderEvent
from dovetail.sessions.sender.terms import Terms
from dovetail.sessions.transition import Transition

NextT = TypeVar("NextT", bound="State")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class State:
    """The fields every typestate has; the repr shows only its name and `seq` (P4)."""

    closed: ClassVar[bool] = False

    seq: int
    """How many events were applied: the slot of the next one (M1)."""
    terms: Terms

    def validate(self) -> None:
        """Read again what the log says; raises what is wrong with it."""
        self.terms.validate()

    def _transition(self, event: SenderEvent, successor: NextT) -> Transition[SenderEvent, NextT]:
        """Hold `event` for the slot that this state knows to be next (M1)."""
        return Transition(event, successor, seq=self.seq, closes=successor.closed)

    def __repr__(self) -> str:
        return f"<sender {type(self).__name__} after {self.seq} events>"

    @property
    def created(self) -> Created | CreatedPlain:
        """The first event of the log."""
        return self.terms.created

    @property
    def payjoin_uri(self) -> PayjoinUri:
        """The Payjoin URI that is paid; raises `InvalidEvent` for an ordinary payment."""
        return self.terms.uri

    @property
    def expires_at(self) -> UnixTime:
        """When posting and polling end; nothing else does."""
        return self.terms.expires_at

    @property
    def original(self) -> Psbt:
        """The signed Original PSBT."""
        return self.terms.original

    @property
    def fallback_transaction(self) -> Transaction:
        """The transaction that pays without a payjoin."""
        return self.terms.fallback_transaction

    @property
    def contested(self) -> tuple[OutPoint, ...]:
        """The sender's inputs: to watch, and to keep reserved, until the session is closed."""
        return self.terms.contested

    def _require_expired(self, now: UnixTime) -> None:
        if now < self.expires_at:
            raise UsageError("This session has not expired yet; cancel it to end it early.")

    def _require_unexpired(self, now: UnixTime) -> None:
        if now >= self.expires_at:
            raise UsageError("The Payjoin URI has expired; expire the session.")
