"""The fields and facts that the receiver's states share."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.script import Address
from dovetail.bitcoin.transaction import OutPoint, Transaction
from dovetail.bitcoin.units import UnixTime
from dovetail.errors import UsageError
from dovetail.protocol.mailbox import ShortId
from dovetail.protocol.params import SenderParams
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions.receiver.events import Created, ReceiverEvent
from dovetail.sessions.receiver.payload import Payload
from dovetail.sessions.receiver.terms import Terms
from dovetail.sessions.transition import Transition

NextT = TypeVar("NextT", bound="State")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class State:
    """The fields every typestate has; the repr shows only its name and `seq` (P4)."""

    closed: ClassVar[bool] = False

    seq: int
    """How many events were applied: the slot of the next one (M1)."""
    terms: Terms

    @property
    def created(self) -> Created:
        """The event the session began with."""
        return self.terms.created

    @property
    def expires_at(self) -> UnixTime:
        """When polling and posting end."""
        return UnixTime(self.terms.created.expires_at)

    @property
    def address(self) -> Address:
        """The address the sender was shown."""
        return self.terms.address

    @property
    def payjoin_uri(self) -> PayjoinUri:
        """What to show the sender; for one sender and one payment only."""
        return self.terms.uri

    @property
    def short_id(self) -> ShortId:
        """The receiver's mailbox; raises `UsageError` in a session that is served over HTTP."""
        return self.terms.require_mailbox().short_id

    def validate(self) -> None:
        """Read again what the log says; raises what is wrong with it."""
        self.terms.validate()

    def _transition(
        self, event: ReceiverEvent, successor: NextT
    ) -> Transition[ReceiverEvent, NextT]:
        """Hold the event for the slot that this state knows to be next."""
        return Transition(event, successor, seq=self.seq, closes=successor.closed)

    def _require_expired(self, now: UnixTime) -> None:
        """Raise `UsageError` before the expiration."""
        if now < self.expires_at:
            raise UsageError("The session has not expired yet; wait, or cancel it instead.")

    def _require_unexpired(self, now: UnixTime) -> None:
        """Raise `UsageError` from the expiration on: EX ends posting and polling."""
        if now >= self.expires_at:
            raise UsageError("The session has expired; call `expire` and save what it gives.")

    def __repr__(self) -> str:
        return f"<receiver {type(self).__name__} after {self.seq} events>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WithPayload(State):
    """The fields and facts of every state that holds an Original PSBT."""

    payload: Payload

    @property
    def original(self) -> Psbt:
        """The Original PSBT, signed by the sender."""
        return self.payload.original

    @property
    def fallback_transaction(self) -> Transaction:
        """The sender's own payment, which pays without a payjoin: the Original, extracted."""
        return self.payload.fallback_transaction

    @property
    def params(self) -> SenderParams:
        """What the sender asked for."""
        return self.payload.params

    def validate(self) -> None:
        """Read again what the log says; raises what is wrong with it."""
        State.validate(self)
        _ = self.payload.fallback_transaction, self.payload.params, self.payload.reply_to

    @property
    def contested(self) -> tuple[OutPoint, ...]:
        """The sender's inputs, in order: one transaction only can spend them, so watch them."""
        return self.payload.contested
