"""Whether the policy broadcasts a fallback that is owed now, without asking again."""

from dovetail.runtime.policy import AtExpiry
from dovetail.runtime.services import Services
from dovetail.sessions.fallback_policy import Owing, due_at


def is_due(state: Owing, services: Services) -> bool:
    """Whether the policy broadcasts the fallback now."""
    at = due_at(state, ask=services.policy.at_expiry is AtExpiry.ASK)
    return at is not None and services.clock() >= at
