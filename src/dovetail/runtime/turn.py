"""A turn: the arguments of one step of a session."""

from dataclasses import dataclass, field
from typing import Generic, TypeAlias

from dovetail.bitcoin import UnixTime
from dovetail.runtime.async_ports import AsyncChain, AsyncStore, AsyncWallet
from dovetail.runtime.chain_watch import ChainWatch
from dovetail.runtime.policy import Policy
from dovetail.runtime.services import Services
from dovetail.sessions.receiver import ReceiverEvent
from dovetail.sessions.sender import SenderEvent
from dovetail.stores.ports import E, SessionId, SessionLog


@dataclass(frozen=True, slots=True)
class Turn(Generic[E]):
    """A session's turn: its log, the services, and what this process knows of the session."""

    log: SessionLog[E]
    services: Services
    failures: int = 0
    """How many tries in a row have failed at the same step before this one."""
    watch: ChainWatch = field(default_factory=ChainWatch)

    @property
    def session_id(self) -> SessionId:
        """The session's id."""
        return self.log.session_id

    @property
    def wallet(self) -> AsyncWallet:
        """The wallet, awaited."""
        return self.services.async_wallet

    @property
    def chain(self) -> AsyncChain:
        """The chain source, awaited."""
        return self.services.async_chain

    @property
    def store(self) -> AsyncStore:
        """The store, awaited."""
        return self.services.async_store

    @property
    def policy(self) -> Policy:
        """The user's standing decisions."""
        return self.services.policy

    def now(self) -> UnixTime:
        """The time."""
        return self.services.clock()


ReceiverTurn: TypeAlias = Turn[ReceiverEvent]
SenderTurn: TypeAlias = Turn[SenderEvent]
