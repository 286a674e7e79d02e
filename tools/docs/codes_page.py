"""`docs/reference/codes.md`: every code that `--json`, `--events` and `--csv` print."""

import inspect
from collections.abc import Iterable, Mapping

from dovetail.cli.error_codes import CODES, KEYS, OTHERS
from dovetail.cli.live.updates import HappeningKind as Happened
from dovetail.errors import DovetailError, ProposalRejected, TransportError
from dovetail.explain.explanation import DeadlineKind
from dovetail.protocol.proposal import RULES, rule_words
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sightings import SpendKind as Sighted
from dovetail.sessions.status import SessionStatus

_HEAD = """\
# Codes

<!-- Written by `python -m tools.docs.reference`; edit what they belong to instead. -->

What `--json`, `--events` and `--csv` print for programs. A code never changes its meaning; a newer
release may have more of them. The keys that they stand under are listed with each command in
[the command line](cli.md).
"""

STATUSES: Mapping[str, str] = {
    SessionStatus.WAITING_FOR_PAYMENT: "A receiver waits for the sender.",
    SessionStatus.NEGOTIATING: "A receiver makes a payjoin of the sender's payment.",
    SessionStatus.SENDING_PROPOSAL: "A receiver has signed the payjoin and sends it.",
    SessionStatus.PROPOSAL_SENT: "The sender has the payjoin; a receiver waits for it to confirm.",
    SessionStatus.SENDING_ERROR: "A receiver tells the sender that there is no payjoin.",
    SessionStatus.READY_TO_SEND: "A sender's payment is signed, and nothing has left.",
    SessionStatus.SENDING_ORIGINAL: "A sender's payment is on its way to the receiver.",
    SessionStatus.WAITING_FOR_PROPOSAL: "A sender waits for the receiver's payjoin.",
    SessionStatus.READY_TO_SIGN: "A sender has the receiver's payjoin, which is to be signed.",
    SessionStatus.READY_TO_BROADCAST: "A sender has signed the payjoin and broadcasts it.",
    SessionStatus.FALLBACK_PENDING: "The ordinary payment is due, or waits for your decision.",
    SessionStatus.CONFIRMING: "A payment is broadcast or seen and waits for confirmations.",
    SessionStatus.COINS_MISSING: "A coin that the payment spends is no longer on the chain.",
    SessionStatus.RELEASED: "The ordinary payment was declined; the other party can still make it.",
    SessionStatus.EXPIRED: "The URI has expired, and the next step ends the payjoin.",
    SessionStatus.CLOSED: "The session has ended; `outcome` says how.",
    "damaged": "The log cannot be read.",
}

OUTCOMES: Mapping[str, str] = {
    "success": "The payjoin confirmed.",
    "fallback": "The ordinary payment confirmed.",
    "unrecognized": "A transaction that is no part of the session spent the sender's coins.",
    "paid-directly": "Other transactions paid the receiver's address.",
    "proposal-sent": "The payjoin was sent; the chain source cannot tell what became of it.",
    "revoked": "The coins went back to the wallet, and no payment can come of the session.",
    "cancelled": "The session ended without a payment; `reason` says why.",
    "expired": "Time ran out before there was a payment.",
}

DEADLINES: Mapping[str, str] = {
    DeadlineKind.EXPIRES: "The URI expires.",
    DeadlineKind.FALLBACK: "The ordinary payment is broadcast.",
    DeadlineKind.WATCHING: "A receiver whom nobody paid stops looking for a payment.",
    DeadlineKind.SIGNING: "A payjoin that was not signed gives way to the ordinary payment.",
}

SEEN: Mapping[str, str] = {
    Sighted.PAYJOIN: "The payjoin.",
    Sighted.FALLBACK: "The ordinary payment.",
    Sighted.REVOCATION: "It pays back to the sender's own wallet.",
    Sighted.PAYMENT: "It is neither payjoin nor fallback, and makes the same payment.",
    Sighted.UNRECOGNIZED: "It spends the sender's coins and is no payment.",
    Sighted.DOUBLE_SPEND: "It spends the coins of a payment that was refused for that.",
    Sighted.DIRECT: "It pays the receiver's address from other coins.",
}

HAPPENED: Mapping[str, str] = {
    Happened.BEGUN: "The session has begun.",
    Happened.STATE: "It moved on.",
    Happened.SEEN: "The chain shows something else of its money.",
    Happened.FEE: "The fee is low, or another transaction keeps the payment out.",
    Happened.TROUBLE: "Something failed and is tried again.",
    Happened.ASKS: "It waits for your decision.",
    Happened.PAID: "It ended, and the payment was made.",
    Happened.ENDED: "It ended without its payment.",
    Happened.LEFT: "The command ends before the session does.",
    Happened.DAMAGED: "Its log cannot be read.",
    Happened.FAULT: "A bug in Dovetail stopped it.",
}

_TOLD_APART = {
    CODES[DovetailError]: "Anything else; the message says what.",
    CODES[ProposalRejected]: "The Proposal PSBT fails a check of BIP 78.",
    CODES[TransportError]: "A relay, directory or peer did not answer properly.",
}
"""Errors whose docstrings are for who catches them."""


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            _HEAD,
            _section("Where a session stands (`status`)", STATUSES),
            _section("How a session ended (`outcome`)", OUTCOMES),
            _reasons(),
            _section("The broken rule of BIP 78 (`rule`)", _rules()),
            _section("What time does next (`deadline`)", DEADLINES),
            _section("What the chain shows (`seen.kind`)", SEEN),
            _section("What happened (`event` of `--events`)", HAPPENED),
            _errors(),
        ]
    )


def _section(title: str, meanings: Mapping[str, str]) -> str:
    return f"## {title}\n\n{_table(('code', 'meaning'), _coded(meanings))}"


def _coded(meanings: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return ((f"`{code}`", words) for code, words in meanings.items())


def _rules() -> dict[str, str]:
    return {each: rule_words(each) for each in RULES}


def _reasons() -> str:
    rows = ((f"`{reason.value}`", reason.words, reason.advice) for reason in Reason)
    told = _table(("code", "what happened", "what to do"), rows)
    return f"## Why there was no payjoin (`reason`)\n\n{told}"


def _errors() -> str:
    said = {code: _summary(kind) for kind, code in CODES.items()} | _TOLD_APART | dict(OTHERS)
    keys = _table(("key of `error`", "meaning"), _coded(KEYS))
    codes = _table(("code", "meaning"), _coded(said))
    return f"""\
## What went wrong (`error.code`)

Where a command fails, it says why on stderr. With `--json` or `--events` it also prints an object
with the one key `error` on stdout.

{keys}
{codes}"""


def _summary(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " ")


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
