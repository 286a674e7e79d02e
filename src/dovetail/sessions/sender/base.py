"""The facts that the sender's states share."""

from dataclasses import dataclass
from typing import ClassVar

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import OutPoint, Transaction
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions.sender.events import Created, CreatedPlain, SenderEvent
from dovetail.sessions.sender.terms import Terms
from dovetail.sessions.state import SessionState


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class State(SessionState[SenderEvent, Terms]):
    """A typestate of the sender."""

    role: ClassVar[str] = "sender"

    @property
    def created(self) -> Created | CreatedPlain:
        """The first event of the log."""
        return self.terms.created

    @property
    def payjoin_uri(self) -> PayjoinUri:
        """The Payjoin URI that is paid; raises `InvalidEvent` for an ordinary payment."""
        return self.terms.uri

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
