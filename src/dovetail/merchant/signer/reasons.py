"""Short names for why the signer refuses, for counting; the sentences are for people."""

_NAMES = {
    "The customer's own transaction pays less": "too-little",
    "The payjoin leaves out a coin": "both-payable",
    "The payjoin makes the wallet no richer": "no-richer",
    "The payjoin takes more from the wallet": "fee-too-high",
    "A sweep spends the wallet's own coins": "foreign-coins",
    "A sweep pays the cold wallet alone": "not-cold",
    "The sweep's fee is above": "fee-too-high",
    "A payment spends the wallet's own coins": "foreign-coins",
    "The payment's fee is above": "fee-too-high",
    "An input": "wrong-input",
    "An output is not of the wallet's key": "wrong-output",
    "A coin that is to be signed": "wrong-input",
    "It spends a coin of the wallet that": "unnamed-coin",
    "A coin is reserved": "coin-reserved",
    "Another transaction was signed": "signed-otherwise",
    "The session was opened with another sum": "another-sum",
    "The signer knows no": "unknown",
    "Too many payments wait": "queue-full",
    "Another payment of this id": "another-payment",
    "The request": "unreadable",
    "The signer's log is older": "older-log",
}
OTHER = "other"


def reason_of(why: str) -> str:
    """Return the short name for a refusal's sentence; never a part of the sentence itself."""
    return next((name for begin, name in _NAMES.items() if why.startswith(begin)), OTHER)
