"""What a person can do about a session, as values: commands or buttons are made of them."""

from enum import StrEnum


class Action(StrEnum):
    """One thing to do. The values are stable; the order is the one in which they are offered."""

    SHOW = "show"
    """Look at the session's log and at what the chain shows."""
    LIST = "list"
    """List the sessions."""
    RESUME = "resume"
    """Go on with the session, and follow it."""
    CANCEL = "cancel"
    """Stop the payjoin, not the payment."""
    FALLBACK = "fallback"
    """Pay by the ordinary payment; a receiver takes it."""
    RAISE_FEE = "raise-fee"
    """Make the ordinary payment anew, for a higher fee."""
    RELEASE = "release"
    """Decline the ordinary payment."""
    REVOKE = "revoke"
    """Take the coins of a payment back that the other party can still take."""
