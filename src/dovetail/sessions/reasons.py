"""Why a session made no payjoin: a closed list of codes, with words and advice.

A code is stored in logs and answered with `--json`: it never changes its meaning. The
counterparty's own text is never among them (P4).
"""

from enum import StrEnum


class Reason(StrEnum):
    """One cause; `words` says what happened, `advice` what to do about it, one sentence each.

    What to do about the payment depends on where the session stands, not on the reason.
    """

    words: str
    advice: str

    def __new__(cls, code: str, words: str, advice: str) -> "Reason":  # noqa: PYI034 - an Enum is final
        """A str with its two sentences."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.words = words
        member.advice = advice
        return member

    @classmethod
    def _missing_(cls, value: object) -> "Reason | None":
        """Read a code that older logs spell differently."""
        return cls.COINS_GONE if value == "original-inputs-gone" else None

    # ours
    CANCELLED_BY_US = (
        "cancelled-by-us",
        "You cancelled the payjoin.",
        "For a payjoin, let the session run to its end next time.",
    )
    FALLBACK_REQUESTED = (
        "fallback-requested",
        "You chose the ordinary payment instead of the payjoin.",
        "For a payjoin, wait longer next time.",
    )
    PLAIN_PAYMENT = (
        "plain-payment",
        "You chose an ordinary payment.",
        "For a payjoin, ask the receiver for a Payjoin URI next time.",
    )
    FALLBACK_DUE = (
        "fallback-due",
        "The payjoin did not appear before the session expired.",
        "Ask the sender to be online sooner, or choose a longer `lifetime`.",
    )
    SIGNING_DEADLINE_PASSED = (
        "signing-deadline-passed",
        "The proposal was not signed in time.",
        "Sign sooner next time.",
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
        "No other payment is needed.",
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
    ORIGINAL_INPUTS_MISSING = (
        "original-inputs-missing",
        "The sender's payment spends coins that are not on the chain.",
        "Ask the sender to pay again with coins that exist.",
    )
    ORIGINAL_INPUTS_MISSTATED = (
        "original-inputs-misstated",
        "The sender's payment misstates its coins: the chain says otherwise.",
        "Ask the sender to update their wallet or to pay the address directly.",
    )
    ORIGINAL_SIGNATURE_INVALID = (
        "original-signature-invalid",
        "The sender's payment has a signature that is not valid.",
        "Ask the sender to update their wallet or to pay the address directly.",
    )
    ORIGINAL_NOT_VERIFIABLE = (
        "original-not-verifiable",
        "The sender's payment spends coins of a kind that only a node can verify.",
        "Use your own node as the chain source to accept such coins.",
    )
    ORIGINAL_SPENDS_OUR_COINS = (
        "original-spends-our-coins",
        "The sender's payment spends coins of the receiver.",
        "Do not broadcast it unless you sent it yourself.",
    )
    ORIGINAL_INPUTS_SEEN_BEFORE = (
        "original-inputs-seen-before",
        "The sender's coins were offered in another session before.",
        "Expect the payment there, and broadcast this one only if you know why it repeats.",
    )
    ORIGINAL_DOES_NOT_PAY_US = (
        "original-does-not-pay-us",
        "The sender's payment does not pay the receiver.",
        "Ask the sender to pay again by a new Payjoin URI.",
    )
    ORIGINAL_PAYS_TOO_LITTLE = (
        "original-pays-too-little",
        "The sender's payment pays less than was asked for.",
        "Ask the sender for the rest: parts that come to the address are added up.",
    )
    ORIGINAL_UNCONFIRMED_INPUTS = (
        "original-unconfirmed-inputs",
        "The sender's payment spends coins that are not confirmed yet.",
        "Ask the sender to pay again once their coins are confirmed, or to pay the address.",
    )
    ORIGINAL_INPUTS_SPENT = (
        "original-inputs-spent",
        "Another transaction that spends the sender's coins appeared before the payjoin was made.",
        "Wait until one confirms, and ask the sender to pay again if it is not their payment.",
    )
    FALLBACK_INVALID = (
        "fallback-invalid",
        "The sender's payment has no valid signatures, so that no node accepts it.",
        "Ask the sender to pay again: this payment can never confirm.",
    )
    # the receiver's answer, as the sender read it
    RECEIVER_UNAVAILABLE = (
        "receiver-unavailable",
        "The receiver cannot make payjoins at present.",
        "Try again later: the receiver may have no coins or no wallet now.",
    )
    RECEIVER_NOT_ENOUGH_MONEY = (
        "receiver-not-enough-money",
        "The receiver had no coin to add or could not pay its fee.",
        "Try again when fees are lower, or when the receiver has coins.",
    )
    RECEIVER_VERSION_UNSUPPORTED = (
        "receiver-version-unsupported",
        "The receiver does not speak this version of payjoin.",
        "Ask the receiver to update their wallet.",
    )
    V1_REFUSED = (
        "v1-refused",
        "The URI asks for payjoin's version 1 (BIP 78), and its server takes only version 2.",
        "Ask the receiver for a Payjoin URI of version 2, or of a server that takes version 1.",
    )
    RECEIVER_ORIGINAL_PSBT_REJECTED = (
        "receiver-original-psbt-rejected",
        "The receiver refused the Original PSBT.",
        "Check the payment's fee and coins, and ask for a new Payjoin URI next time.",
    )
    RECEIVER_UNKNOWN_ERROR = (
        "receiver-unknown-error",
        "The receiver refused, for a reason that this release does not know.",
        "Update Dovetail: a newer release may know the reason.",
    )
    PROPOSAL_BROKE_RULE = (
        "proposal-broke-rule",
        "The receiver's proposal broke a rule of BIP 78 and was not signed.",
        "Tell the receiver which rule it was: their wallet has a fault or is dishonest.",
    )
    PROPOSAL_UNREADABLE = (
        "proposal-unreadable",
        "The receiver's answer could not be read.",
        "Tell the receiver: their wallet has a fault, or someone else wrote to the mailbox.",
    )
    PAYJOIN_REFUSED_BY_NETWORK = (
        "payjoin-refused-by-network",
        "The network refused the payjoin.",
        "Try again with a higher fee rate, or tell the receiver that it was refused.",
    )
    PAYJOIN_UNANSWERED = (
        "payjoin-unanswered",
        "The chain source did not say in time whether the network takes the payjoin.",
        "Check that your server or node answers: the payjoin may be on its way anyway.",
    )
    # the chain, as the sender saw it
    INPUTS_ALREADY_SPENT = (
        "inputs-already-spent",
        "A transaction that spends the payment's coins appeared before the payjoin was complete.",
        "Check which transaction it is, and whether it pays the receiver.",
    )
    RECEIVER_TOOK_FALLBACK = (
        "receiver-took-fallback",
        "The ordinary payment appeared before there was a payjoin; the receiver may broadcast it.",
        "The payment was made; ask the receiver why, if payjoins with them keep failing.",
    )
    FALLBACK_CONFIRMED_FIRST = (
        "fallback-confirmed-first",
        "The ordinary payment confirmed before the payjoin; the receiver may broadcast it.",
        "Be online sooner next time: the receiver then waits for the payjoin.",
    )
    SENDER_CHOSE_FALLBACK = (
        "sender-chose-fallback",
        "The sender had the payjoin, and the ordinary payment confirmed instead.",
        "The payment has arrived; ask the sender why, if payjoins with them keep failing.",
    )
    SPENT_ELSEWHERE = (
        "spent-elsewhere",
        "Another transaction spent the sender's coins.",
        "Check that transaction, and settle the payment with the other party.",
    )
    COINS_GONE = (
        "coins-gone",
        "The payment's coins are gone: their transaction is no longer on the chain.",
        "If the coins come back, the payment can still be made.",
    )
    TAKEN_BACK = (
        "taken-back",
        "The payment's coins were spent back to the wallet.",
        "Ask for a new Payjoin URI if you still want to pay.",
    )
    PAYJOIN_UNOBSERVED = (
        "payjoin-unobserved",
        "The payjoin went to the sender, and the chain source cannot tell what became of it.",
        "Look for the payment in your wallet, or set a chain source that can tell.",
    )
    # in between
    EXPIRED_WAITING_FOR_ORIGINAL = (
        "expired-waiting-for-original",
        "No payment came through the Payjoin URI before it expired.",
        "Make a new Payjoin URI if you still want the payment.",
    )
    EXPIRED_WAITING_FOR_PROPOSAL = (
        "expired-waiting-for-proposal",
        "The receiver did not answer before the Payjoin URI expired.",
        "Ask the receiver to be online, or for a Payjoin URI that lasts longer.",
    )
    EXPIRED_BEFORE_REPLY = (
        "expired-before-reply",
        "The session expired before the sender was answered.",
        "Be online until the payment is complete, or give Payjoin URIs a longer `lifetime`.",
    )
    EXPIRED_BEFORE_POSTING = (
        "expired-before-posting",
        "The Payjoin URI expired before the payment was offered to the receiver.",
        "Ask for a new Payjoin URI next time, and check your connection.",
    )
    RELAY_UNREACHABLE = (
        "relay-unreachable",
        "No OHTTP relay brought a proper answer before the Payjoin URI expired.",
        "Check your connection and `relays`; another relay may work.",
    )
    DIRECTORY_UNREACHABLE = (
        "directory-unreachable",
        "The directory gave no proper answer before the Payjoin URI expired.",
        "Check your connection, or use another directory for the next Payjoin URI.",
    )
    RECEIVER_UNREACHABLE = (
        "receiver-unreachable",
        "The receiver's server did not answer properly.",
        "Check your connection, or tell the receiver that their server is down.",
    )
    TOR_UNREACHABLE = (
        "tor-unreachable",
        "Tor could not be reached, and the receiver has an onion address.",
        "Start Tor, and check the setting `tor`.",
    )
    DIRECTORY_REFUSED = (
        "directory-refused",
        "The directory refused the message.",
        "Ask the receiver for a Payjoin URI of another directory.",
    )
    SENDER_GONE = (
        "sender-gone",
        "The sender no longer waited for the answer.",
        "Be online while a v1 sender pays: they wait only half a minute.",
    )
