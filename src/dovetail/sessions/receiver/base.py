"""The facts that the receiver's states share."""

from dataclasses import dataclass
from typing import ClassVar

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.script import Address
from dovetail.bitcoin.transaction import OutPoint, Transaction
from dovetail.protocol.mailbox import ShortId
from dovetail.protocol.params import SenderParams
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions.receiver.events import Created, ReceiverEvent
from dovetail.sessions.receiver.payload import Payload
from dovetail.sessions.receiver.terms import Terms
from dovetail.sessions.state import SessionState


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class State(SessionState[ReceiverEvent, Terms]):
    """A typestate of the receiver."""

    role: ClassVar[str] = "receiver"

    @property
    def created(self) -> Created:
        """The event the session began with."""
        return self.terms.created

    @property
    def address(self) -> Address:
        """The address the sender was shown."""
        return self.terms.address

    @property
    def payjoin_uri(self) -> PayjoinUri:
        """The Payjoin URI to show the sender; for one sender and one payment only."""
        return self.terms.uri

    @property
    def short_id(self) -> ShortId:
        """The receiver's mailbox; raises `UsageError` in a session that is served over HTTP."""
        return self.terms.require_mailbox().short_id


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
        """The parameters that the sender asked for."""
        return self.payload.params

    def validate(self) -> None:
        """Parse again what the log holds; raises where it is not valid."""
        State.validate(self)
        _ = self.payload.fallback_transaction, self.payload.params, self.payload.reply_to

    @property
    def contested(self) -> tuple[OutPoint, ...]:
        """The sender's inputs, in order; watch them, as only one transaction can spend them."""
        return self.payload.contested
