"""The base of both roles' typestates: their place in the log, and their expiration."""

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from dovetail.bitcoin.units import UnixTime
from dovetail.errors import UsageError
from dovetail.sessions.codec import SessionEvent
from dovetail.sessions.transition import Transition


class SessionTerms(Protocol):
    """The terms that the first event of either role fixes."""

    @property
    def expires_at(self) -> UnixTime:
        """When posting and polling end."""
        ...

    @property
    def depth(self) -> int:
        """How many confirmations make a payment final."""
        ...

    def validate(self) -> None:
        """Parse everything now; raises where it is not valid."""
        ...


EventT = TypeVar("EventT", bound=SessionEvent)
TermsT = TypeVar("TermsT", bound=SessionTerms)
NextT = TypeVar("NextT", bound="SessionState[Any, Any]")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SessionState(Generic[EventT, TermsT]):
    """The fields every typestate has; the repr shows only its name and `seq` (P4)."""

    role: ClassVar[str]
    closed: ClassVar[bool] = False

    seq: int
    """How many events were applied: the slot of the next one (M1)."""
    terms: TermsT

    @property
    def expires_at(self) -> UnixTime:
        """When posting and polling end; nothing else does."""
        return self.terms.expires_at

    def validate(self) -> None:
        """Parse again what the log holds; raises where it is not valid."""
        self.terms.validate()

    def _transition(self, event: EventT, successor: NextT) -> Transition[EventT, NextT]:
        """Hold `event` for the slot that this state knows to be next (M1)."""
        return Transition(event, successor, seq=self.seq, closes=successor.closed)

    def _require_expired(self, now: UnixTime) -> None:
        """Raise `UsageError` before the expiration."""
        if now < self.expires_at:
            raise UsageError("The session has not expired yet; wait, or cancel it instead.")

    def _require_unexpired(self, now: UnixTime) -> None:
        """Raise `UsageError` from the expiration on, which ends posting and polling."""
        if now >= self.expires_at:
            raise UsageError("The session has expired; call `expire` and save what it returns.")

    def __repr__(self) -> str:
        return f"<{self.role} {type(self).__name__} after {self.seq} events>"
