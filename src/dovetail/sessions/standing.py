"""What a list shows of a session: where an open one stands, and what a closed one came to.

Both lie beside the log, and lists read nothing else. Each holds facts of the log alone: what they
mean at a moment, and by a user's policy, is for whoever shows them.
"""

from typing import Literal, TypeAlias

import msgspec

from dovetail.bitcoin import Txid, UnixTime
from dovetail.errors import DovetailError
from dovetail.protocol.uri import V1Endpoint
from dovetail.sessions import receiver, sender
from dovetail.sessions.amounts import Spending, amount_of, amounts_of, figures
from dovetail.sessions.ended import Ending, ending_of
from dovetail.sessions.fallback_policy import due_at
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import ReceiverSession
from dovetail.sessions.sender import SenderSession
from dovetail.sessions.sightings import SpendKind
from dovetail.sessions.status import SessionStatus

EDITION = 2
"""Raise it with what is drawn or how: what another edition drew is read from the log instead."""

AnySession: TypeAlias = ReceiverSession | SenderSession
"""A session of either role, in any state."""


StateName: TypeAlias = Literal[
    "Initialized",
    "UncheckedOriginalPayload",
    "MaybeInputsOwned",
    "MaybeInputsSeen",
    "OutputsUnknown",
    "WantsOutputs",
    "WantsInputs",
    "WantsFeeRange",
    "ProvisionalProposal",
    "PayjoinProposal",
    "HasReplyableError",
    "WithReplyKey",
    "PostingOriginal",
    "PollingForProposal",
    "ProposalReceived",
    "PendingBroadcast",
    "PendingFallback",
    "Monitor",
]
"""The states in which a session is open."""


class Standing(Spending, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where an open session stands; satoshis, sat/kwu and Unix seconds.

    A fact that the state does not have is False or None.
    """

    edition: int
    state: StateName
    amount: int | None = None
    """What is paid; None where a receiver named no amount and was not paid yet."""
    reason: Reason | None = None
    """Why there is no payjoin."""
    rule: str | None = None
    txid: str | None = None
    """What was broadcast or seen last."""
    expected: SpendKind | None = None
    """What that is, where its id tells: `PAYJOIN` or `FALLBACK`."""
    due: int | None = None
    """From when the ordinary payment is broadcast by itself; None: only on the user's word."""
    due_if_asked: int | None = None
    """The same where the user's policy is to be asked first."""
    until: int | None = None
    """When the wallet has to have signed, or a receiver stops to look for a payment."""
    depth: int = 1
    """How many confirmations make a payment final."""
    v1: bool = False
    """Whether the payment goes straight to the receiver's server (BIP 78)."""
    plain: bool = False
    """Whether it was an ordinary payment from the beginning."""
    held: bool = False
    """Whether a sender's ordinary payment is held."""
    owed: bool = False
    """Whether that is known to pay us, and to spend nobody else's coins."""
    safe: bool = False
    """Whether a policy may broadcast it at all."""
    out: bool = False
    """Whether the other party may hold what is signed here: our proposal, or our payment."""
    requested: bool = False
    """Whether the ordinary payment was decided on."""
    raised: bool = False
    """Whether its fee was raised."""
    released: bool = False
    """Whether it was declined."""
    broadcast: bool = False
    """Whether it was broadcast from here."""
    seen_spent: bool = False
    """Whether a spend of the sender's coins was seen."""
    paid_twice: bool = False
    """Whether it would pay what others have paid in full."""
    missing: bool = False
    """Whether a coin of the payment is missed."""

    def __repr__(self) -> str:
        return f"<Standing {self.state}>"


Summary: TypeAlias = Standing | Ending


def summary_of(state: AnySession) -> Summary | None:
    """What a list shows of a session in this state; None where it cannot be told."""
    try:
        if isinstance(state, receiver.Closed | sender.Closed):
            return ending_of(state)
        return _standing(state)
    except DovetailError:  # of a state that nobody has validated
        return None


def status_of(
    found: Summary, *, paying: bool, expires_at: UnixTime, now: UnixTime
) -> SessionStatus:
    """The status of a session; `paying` is whether it is the sender's.

    `EXPIRED` is a session that its next step will end.
    """
    if isinstance(found, Ending):
        return SessionStatus.CLOSED
    if found.missing:
        return SessionStatus.COINS_MISSING
    if found.state == "Monitor":
        if found.released:
            return SessionStatus.RELEASED
        known = paying or found.broadcast or found.seen_spent
        return SessionStatus.CONFIRMING if known else SessionStatus.PROPOSAL_SENT
    status = _STATUS.get(found.state, SessionStatus.NEGOTIATING)
    return SessionStatus.EXPIRED if now >= expires_at and status in ENDED_BY_EXPIRY else status


_STATUS = {
    "Initialized": SessionStatus.WAITING_FOR_PAYMENT,
    "HasReplyableError": SessionStatus.SENDING_ERROR,
    "PayjoinProposal": SessionStatus.SENDING_PROPOSAL,
    "WithReplyKey": SessionStatus.READY_TO_SEND,
    "PostingOriginal": SessionStatus.SENDING_ORIGINAL,
    "PollingForProposal": SessionStatus.WAITING_FOR_PROPOSAL,
    "ProposalReceived": SessionStatus.READY_TO_SIGN,
    "PendingBroadcast": SessionStatus.READY_TO_BROADCAST,
    "PendingFallback": SessionStatus.FALLBACK_PENDING,
}

ENDED_BY_EXPIRY = frozenset(
    {
        SessionStatus.WAITING_FOR_PAYMENT,
        SessionStatus.NEGOTIATING,
        SessionStatus.SENDING_ERROR,
        SessionStatus.READY_TO_SEND,
        SessionStatus.SENDING_ORIGINAL,
        SessionStatus.WAITING_FOR_PROPOSAL,
    }
)
"""What EX ends: waiting and negotiating, never what has a proposal or a fallback at stake."""


def encode_summary(summary: Summary) -> bytes:
    """JSON."""
    return msgspec.json.encode(summary)


def decode_summary(data: bytes, *, closed: bool) -> Summary | None:
    """What a row says of its session; None where only the log can tell.

    Which is so where the row is damaged, or was written by another edition of these rules.
    """
    try:
        if closed:
            return _ENDING.decode(data)
        found = _STANDING.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found if found.edition == EDITION else None


_ENDING = msgspec.json.Decoder(Ending)
_STANDING = msgspec.json.Decoder(Standing)


def _standing(state: AnySession) -> Standing:
    amount, (received, paid) = amount_of(state), figures(amounts_of(state))
    found = Standing(
        edition=EDITION,
        state=type(state).__name__,  # type: ignore[arg-type]  # a test holds them against the union
        amount=None if amount is None else int(amount),
        received=received,
        paid=paid,
    )
    return msgspec.structs.replace(found, **_facts(state))


def _facts(state: AnySession) -> dict[str, object]:
    match state:
        case receiver.Initialized():
            return {"until": int(state.watched_until), "reason": state.last_refusal}
        case receiver.HasReplyableError():
            held = state.held is not None
            return {"reason": state.reason, "held": held, "owed": held and state.owed}
        case receiver.PendingFallback() | receiver.Monitor():
            return _receiver_settling(state)
        case sender.PostingOriginal():
            return {"v1": isinstance(state.terms.endpoint, V1Endpoint)}
        case sender.ProposalReceived(signing_deadline=deadline) if deadline is not None:
            return {"until": int(deadline)}
        case sender.PendingFallback() | sender.Monitor():
            return _sender_settling(state)
        case _:
            return {}


def _receiver_settling(state: receiver.PendingFallback | receiver.Monitor) -> dict[str, object]:
    seen = state.expected if isinstance(state, receiver.Monitor) else None
    skeleton = state.payjoin_skeleton
    known = {state.fallback_transaction.txid: SpendKind.FALLBACK}
    if skeleton is not None:
        known[skeleton.txid] = SpendKind.PAYJOIN
    return _settling(state, seen, known) | {
        "held": True,
        "owed": state.owed,
        "safe": state.due_at is not None,
        "out": state.proposal_out,
        "broadcast": state.fallback_broadcast,
        "seen_spent": state.seen_spent,
        "paid_twice": state.paid_twice,
    }


def _sender_settling(state: sender.PendingFallback | sender.Monitor) -> dict[str, object]:
    seen = state.expected if isinstance(state, sender.Monitor) else None
    known = {state.fallback_transaction.txid: SpendKind.FALLBACK}
    if state.payjoin is not None:
        known[state.payjoin.txid] = SpendKind.PAYJOIN
    return _settling(state, seen, known) | {
        "rule": state.rule,
        "plain": state.terms.is_plain,
        "out": isinstance(state, sender.Monitor) or state.original_out,
        "raised": state.bumped is not None,
    }


def _settling(
    state: receiver.PendingFallback | receiver.Monitor | sender.PendingFallback | sender.Monitor,
    seen: Txid | None,
    known: dict[Txid, SpendKind],
) -> dict[str, object]:
    return {
        "reason": state.reason,
        "txid": None if seen is None else str(seen),
        "expected": None if seen is None else known.get(seen),
        "due": due_at(state),
        "due_if_asked": due_at(state, ask=True),
        "depth": state.depth,
        "requested": state.requested,
        "released": state.released,
        "missing": state.coins.missed_at is not None,
    }
