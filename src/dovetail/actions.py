"""Actions that a person can take, as values. A command line or page names them."""

from enum import StrEnum


class Action(StrEnum):
    """One thing to do. The values are stable. They are offered in this order."""

    SHOW = "show"
    """Look at the session's log and at what the chain shows."""
    LIST = "list"
    """List the sessions."""
    RESUME = "resume"
    """Continue the session, and follow it."""
    CANCEL = "cancel"
    """Stop the payjoin, not the payment."""
    FALLBACK = "fallback"
    """Pay by the ordinary payment; a receiver takes it."""
    RAISE_FEE = "raise-fee"
    """Make the ordinary payment anew, for a higher fee."""
    RELEASE = "release"
    """Decline the ordinary payment."""
    REVOKE = "revoke"
    """Take back the coins of a payment that the other party can still broadcast."""
    PAY = "pay"
    """Pay the address of a URI by an ordinary payment, without a payjoin."""
