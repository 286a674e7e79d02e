"""How long a session that has nothing to do waits before its next step."""

from dovetail.bitcoin import UnixTime
from dovetail.runtime.services import Services
from dovetail.sessions import receiver, sender
from dovetail.sessions.fallback_policy import due_at
from dovetail.sessions.receiver.events import Mailbox
from dovetail.sessions.standing import AnySession


def pause(state: AnySession, services: Services) -> float:
    """Seconds between two steps in the same state: short for a mailbox, longer for a chain."""
    waits = polls(state, services.clock())
    return services.policy.poll_pause if waits else services.policy.watch_interval


def polls(state: AnySession | None, now: UnixTime) -> bool:
    """Whether it polls a mailbox."""
    match state:
        case receiver.Initialized() if isinstance(state.created.endpoint, Mailbox):
            return now < state.expires_at
        case sender.PollingForProposal():
            return True
        case _:
            return False


def next_deadline(state: AnySession, now: UnixTime) -> UnixTime | None:
    """The next time after `now` at which the state has something to do by a deadline."""
    times = (each for each in _deadlines(state) if each is not None and each > now)
    return min(times, default=None)


def _deadlines(state: AnySession) -> tuple[UnixTime | None, ...]:
    match state:
        case receiver.PendingFallback() | receiver.Monitor() | sender.PendingFallback():
            return (due_at(state),)
        case sender.PollingForProposal():
            # A failure just before must not cost the last poll.
            return (state.last_poll_at, state.expires_at)
        case receiver.Initialized():
            return (state.expires_at, state.watched_until)
        case sender.ProposalReceived():
            return (state.signing_deadline,)
        case sender.PendingBroadcast() | sender.Monitor() | sender.Closed() | receiver.Closed():
            return ()
        case _:
            return (state.expires_at,)
