"""Why a session brought no payjoin: a closed list of codes, with words and advice.

A code is stored in logs and answered by `--json`: it never changes its meaning. The
counterparty's own text is never among them (P4).
"""

from enum import StrEnum


class Reason(StrEnum):
    """One cause; `words` says what happened, `advice` what to do, one sentence each."""

    words: str
    advice: str

    def __new__(cls, code: str, words: str, advice: str) -> "Reason":  # noqa: PYI034 - an Enum is final
        """A str with its two sentences."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.words = words
        member.advice = advice
        return member

    # ours
    CANCELLED_BY_US = (
        "cancelled-by-us",
        "The payjoin was cancelled here.",
        "Broadcast the fallback to complete the payment, or release it.",
    )
    FALLBACK_REQUESTED = (
        "fallback-requested",
        "The ordinary payment was asked for instead of the payjoin.",
        "Broadcast the fallback and wait for its confirmation.",
    )
    FALLBACK_DUE = (
        "fallback-due",
        "The payjoin did not appear before the session expired.",
        "Look for the payjoin once more, then broadcast the fallback.",
    )
    SIGNING_DEADLINE_PASSED = (
        "signing-deadline-passed",
        "The proposal was not signed in time.",
        "Broadcast the fallback, and sign sooner next time.",
    )
    NO_COINS_TO_CONTRIBUTE = (
        "no-coins-to-contribute",
        "The receiver had no coin to add.",
        "Fund the receiving wallet, so that the next payment can be a payjoin.",
    )
    FEE_CAP = (
        "fee-cap",
        "The payjoin would have cost the receiver more than the fee cap allows.",
        "Raise the highest fee rate, or wait for lower fees.",
    )
    WALLET_CANNOT_SIGN = (
        "wallet-cannot-sign",
        "The wallet could not sign.",
        "Check that the wallet holds its keys and is unlocked.",
    )
    WALLET_UNAVAILABLE = (
        "wallet-unavailable",
        "The wallet did not answer.",
        "Check that the wallet is running and can be reached.",
    )
    PROPOSAL_TOO_LARGE = (
        "proposal-too-large",
        "The proposal does not fit the fixed size of a message.",
        "Contribute a segwit coin: an older one brings its whole previous transaction.",
    )
    PAID_DIRECTLY = (
        "paid-directly",
        "The address had been paid without a payjoin.",
        "Nothing is left to do: the payment has arrived.",
    )
    # the Original PSBT, as the receiver judged it
    ORIGINAL_MALFORMED = (
        "original-malformed",
        "The sender's payment could not be read or breaks the rules of BIP 78.",
        "Ask the sender to update their wallet or to pay the address directly.",
    )
    ORIGINAL_VERSION_UNSUPPORTED = (
        "original-version-unsupported",
        "The sender asked for a version of payjoin that is not spoken here.",
        "Update Dovetail, or ask the sender to pay the address directly.",
    )
    ORIGINAL_NOT_BROADCASTABLE = (
        "original-not-broadcastable",
        "The network would not accept the sender's payment.",
        "Ask the sender to pay again, with a sufficient fee and unspent coins.",
    )
    ORIGINAL_SPENDS_OUR_COINS = (
        "original-spends-our-coins",
        "The sender's payment spends coins of the receiver.",
        "Do not broadcast it unless you sent it yourself.",
    )
    ORIGINAL_INPUTS_SEEN_BEFORE = (
        "original-inputs-seen-before",
        "The sender's coins were offered in another session before.",
        "Expect the payment there; broadcast this one only if you know why it repeats.",
    )
    ORIGINAL_DOES_NOT_PAY_US = (
        "original-does-not-pay-us",
        "The sender's payment does not pay the receiver.",
        "Ask the sender to pay again from a fresh payment link.",
    )
    # the receiver's answer, as the sender read it
    RECEIVER_UNAVAILABLE = (
        "receiver-unavailable",
        "The receiver cannot make payjoins at present.",
        "Complete the payment with the fallback.",
    )
    RECEIVER_NOT_ENOUGH_MONEY = (
        "receiver-not-enough-money",
        "The receiver had no coin to add or could not pay its fee.",
        "Complete the payment with the fallback, or allow a larger fee contribution next time.",
    )
    RECEIVER_VERSION_UNSUPPORTED = (
        "receiver-version-unsupported",
        "The receiver does not speak this version of payjoin.",
        "Complete the payment with the fallback.",
    )
    RECEIVER_ORIGINAL_PSBT_REJECTED = (
        "receiver-original-psbt-rejected",
        "The receiver refused the Original PSBT.",
        "Check the payment's inputs and fee, then complete it with the fallback.",
    )
    RECEIVER_UNKNOWN_ERROR = (
        "receiver-unknown-error",
        "The receiver refused for a reason that is not known here.",
        "Complete the payment with the fallback.",
    )
    PROPOSAL_BROKE_RULE = (
        "proposal-broke-rule",
        "The receiver's proposal broke a rule of BIP 78 and was not signed.",
        "Complete the payment with the fallback, and tell the receiver.",
    )
    PROPOSAL_UNREADABLE = (
        "proposal-unreadable",
        "What came as the receiver's answer could not be read.",
        "Complete the payment with the fallback.",
    )
    PAYJOIN_REFUSED_BY_NETWORK = (
        "payjoin-refused-by-network",
        "The network refused the payjoin.",
        "Complete the payment with the fallback.",
    )
    # the chain, as the sender saw it
    INPUTS_ALREADY_SPENT = (
        "inputs-already-spent",
        "A transaction that spends the payment's coins appeared before the payjoin was complete.",
        "Look which transaction it is; the session follows it to its confirmation.",
    )
    FALLBACK_CONFIRMED_FIRST = (
        "fallback-confirmed-first",
        "The receiver broadcast the ordinary payment, and it confirmed before the payjoin.",
        "Nothing is left to do: the payment has been made.",
    )
    # in between
    EXPIRED_WAITING_FOR_ORIGINAL = (
        "expired-waiting-for-original",
        "Nobody paid before the payment link expired.",
        "Make a new payment link if the payment is still wanted.",
    )
    EXPIRED_WAITING_FOR_PROPOSAL = (
        "expired-waiting-for-proposal",
        "The receiver did not answer before the payment link expired.",
        "Complete the payment with the fallback.",
    )
    EXPIRED_BEFORE_REPLY = (
        "expired-before-reply",
        "The session expired before the sender was answered.",
        "Complete the payment with the fallback.",
    )
    EXPIRED_BEFORE_POSTING = (
        "expired-before-posting",
        "The payment link expired before the payment was offered to the receiver.",
        "Ask for a new payment link, or complete the payment with the fallback.",
    )
    DIRECTORY_UNREACHABLE = (
        "directory-unreachable",
        "The directory could not be reached.",
        "Complete the payment with the fallback; check the connection, relays and directory.",
    )
    DIRECTORY_REFUSED = (
        "directory-refused",
        "The directory refused the message.",
        "Complete the payment with the fallback; ask the receiver for another payment link.",
    )
    SENDER_GONE = (
        "sender-gone",
        "The sender no longer waited for the answer.",
        "Complete the payment with the fallback.",
    )
