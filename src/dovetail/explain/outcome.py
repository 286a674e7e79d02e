"""How a session ended, and why there was no payjoin: codes, words, and what to do."""

from dovetail.sessions import outcomes
from dovetail.sessions.outcomes import Outcome

_NO_MORE = "Nothing is left to do."
_LATER = "Dovetail no longer watches this address; later payments show in your wallet."

_AGAIN = (
    "Check whether something came to its address, and make a new URI if you still want the payment."
)


def ending(outcome: Outcome, *, paying: bool, asked: int | None = None) -> tuple[str, str, bool]:
    """The sentence, the advice, and whether the payment was made.

    `paying` is whether the session was the sender's; `asked` is what its receiver asked for, in
    satoshis.
    """
    match outcome:
        case outcomes.Success():
            return "Paid by payjoin.", _NO_MORE, True
        case outcomes.FallbackBroadcasted():
            return "Paid by the ordinary payment, without a payjoin.", _NO_MORE, True
        case outcomes.PaidDirectly():
            how = "by another transaction of yours" if paying else "to the address directly"
            return f"Paid {how}, without a payjoin.", _NO_MORE, True
        case outcomes.PayjoinProposalSent():
            return (
                "The payjoin was sent to the sender; whether it was broadcast is not known.",
                "Look for the payment in your wallet.",
                True,
            )
        case outcomes.Revoked():
            return "Revoked: the coins went back to the wallet.", _NO_MORE, False
        case outcomes.Expired(received=received):
            again = _AGAIN if received is None else "Make a new URI if you still want the payment."
            return f"Expired: {_came(received, asked)}", f"{again} {_LATER}", False
        case outcomes.Cancelled() if paying:
            return "Cancelled: no payment was made here.", _NO_MORE, False
        case outcomes.Cancelled(received=received):
            return f"Cancelled: {_came(received, asked)}", _LATER, False
        case outcomes.Unrecognized():
            whose = "coins" if paying else "sender's coins"
            return (
                f"The {whose} were spent by a transaction from outside this session.",
                "Check that transaction, and settle the payment with the other party.",
                False,
            )


def _came(received: int | None, asked: int | None) -> str:
    """The amount that had come to the address by the last look, in words."""
    if received is None:
        return "no payment came through the Payjoin URI."
    if not received:
        return "nothing had come to the address."
    whole = "" if asked is None else f" of {asked:,}"
    return f"{received:,}{whole} sats had come to the address."


def ended(outcome: Outcome, *, paying: bool) -> str:
    """How a session ended, in a sentence; `paying` is whether it was the sender's."""
    return ending(outcome, paying=paying)[0]
