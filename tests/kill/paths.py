"""The paths that a payment can take, and on each of which somebody is killed at every step."""

from typing import Any

from tests.kill import acts
from tests.kill.acts import receiver_at, sender_at, sending_at
from tests.kill.dialects import Dialect
from tests.kill.ledger import Ending, Party
from tests.kill.path import Acts, Way, nothing
from tests.kill.servers import Coins

from dovetail.sessions.reasons import Reason

SENDER, RECEIVER = Party.SENDER, Party.RECEIVER
EVERYBODY, THE_SENDER, THE_RECEIVER = (*Party,), (SENDER,), (RECEIVER,)

_RECEIVER_STATES = (
    "RetrievedOriginalPayload",
    "CheckedBroadcastSuitability",
    "CheckedInputsNotOwned",
    "CheckedNoInputsSeenBefore",
    "IdentifiedReceiverOutputs",
    "CommittedOutputs",
    "CommittedInputs",
    "AppliedFeeRange",
    "FinalizedProposal",
    "PostedPayjoinProposal",
)
_UNPOSTED, _PAYABLE = sending_at("append Created"), receiver_at("IdentifiedReceiverOutputs")
_SENDER_STATES = {
    "WithReplyKey": _UNPOSTED,
    "PostingOriginal": sending_at("append StartedPosting"),
    "PostingOriginal, posted": sending_at("response"),
}
_SIGNING_STATES = {
    "ProposalReceived": sender_at("ReceivedProposal"),
    "PendingBroadcast": sender_at("SignedPayjoin"),
    "Monitor": sender_at("BroadcastPayjoin"),
}
_TAKEN_BACK = {
    "PostingOriginal": sending_at("response"),
    "PollingForProposal": sending_at("append PostedOriginalPsbt"),
    "ProposalReceived": sender_at("ReceivedProposal"),
}
_PARTS = ("RetrievedOriginalPayload", "CommittedInputs", "PostedPayjoinProposal")

_PAYJOIN, _RACE = (Ending.PAYJOIN,), (Ending.PAYJOIN, Ending.FALLBACK)
_FALLBACK, _DIRECT, _RELEASED = (Ending.FALLBACK,), (Ending.DIRECT,), (Ending.RELEASED,)
_REJECTED = Reason.RECEIVER_ORIGINAL_PSBT_REJECTED
_STRAYED: dict[str, Any] = {
    "why": Reason.PAYJOIN_REFUSED_BY_NETWORK,
    "may_stray": True,
    "timeless": True,
}


def _completes(what: str, way: Acts = acts.complete, **more: Any) -> Way:
    """What ends by payjoin whoever is killed."""
    return Way(f"payjoin completes, {what}", way, ends=_PAYJOIN, always=True, **more)


def _at(what: str, way: Acts, tags: tuple[str, ...] = _RECEIVER_STATES, **more: Any):
    """The receiver is where each of these events has left it."""
    for tag in tags:
        yield Way(f"{what} {tag}", way, receiver_at(tag), **more)


def _least_fee(rate: str, **more: str) -> dict[Party, dict[str, str]]:
    return {RECEIVER: {"DOVETAIL_MIN_FEE_RATE": rate, **more}}


WAYS = (
    _completes("segwit", parties=EVERYBODY, timeless=True),
    _completes("taproot", coins=Coins.TAPROOT, stride=3),
    _completes("nested segwit", coins=Coins.NESTED, stride=3),
    _completes("legacy", coins=Coins.LEGACY, stride=3),
    _completes("v1", acts.complete_v1, alone=True, timeless=True),
    _completes("by `run`", acts.complete_by_run, alone=True, timeless=True),
    _completes(
        "OHTTP keys rotate",
        parties=EVERYBODY,
        mailroom={"housekeeping": 0.1, "key_lifetime": 0.3},
        stride=3,
        most=36,
    ),
    Way(
        "a reorganisation removes the payjoin", acts.payjoin_undone, acts.proposed, _PAYJOIN,
        depth=2, always=True, timeless=True,
    ),
    Way(
        "a reorganisation removes the fallback", acts.fallback_undone, _PAYABLE,
        depth=2, timeless=True,
    ),
    Way("receiver cancels before the Original", acts.cancel_before, acts.asked),
    Way("receiver cancels after the Original", acts.cancel_and_take, _PAYABLE, timeless=True),
    Way("receiver cancels and releases", acts.cancel_and_release, _PAYABLE),
    Way("receiver cancels its proposal", acts.cancel_late, receiver_at("FinalizedProposal")),
    Way(
        "sender cancels at WithReplyKey", acts.cancel_unposted, _UNPOSTED, _RELEASED,
        may_release=True,
    ),
    Way(
        "sender cancels at WithReplyKey, and pays", acts.cancel_and_pay, _UNPOSTED, timeless=True
    ),
    Way(
        "sender pays and declines at once", acts.pay_and_decline, _UNPOSTED,
        _FALLBACK + _RELEASED, THE_SENDER, may_release=True,
    ),
    *(
        Way(f"sender revokes at {state}", acts.take_back, setup, _RELEASED + _FALLBACK,
            may_release=True)
        for state, setup in _TAKEN_BACK.items()
    ),
    *(
        Way(f"sender revokes late at {state}", acts.take_back_late, setup, may_release=True)
        for state, setup in _TAKEN_BACK.items()
    ),
    Way("receiver never answers", acts.unanswered, acts.asked),
    Way("sender never returns", acts.abandoned, acts.asked),
    Way(
        "refused: unavailable", acts.pay, acts.asked, parties=EVERYBODY,
        coins=Coins.POOR, why=Reason.RECEIVER_UNAVAILABLE, timeless=True,
    ),
    Way(
        "refused: not-enough-money", acts.pay, acts.asked,
        settings=_least_fee("3", DOVETAIL_MAX_FEE_RATE="1"),
        coins=Coins.EXACT, why=Reason.RECEIVER_NOT_ENOUGH_MONEY, timeless=True,
    ),
    Way(
        "refused: version-unsupported", acts.pay, acts.asked,
        tweaks={SENDER: (acts.speaks_version_3,)}, why=Reason.RECEIVER_VERSION_UNSUPPORTED,
    ),
    Way(
        "refused: original-psbt-rejected", acts.pay, acts.asked,
        settings=_least_fee("40"), why=_REJECTED, timeless=True,
    ),
    Way("expiry: nobody pays", acts.late, acts.asked, _RELEASED, THE_RECEIVER),
    Way("expiry: receiver at Initialized, paid", acts.late, acts.posted),
    *_at("expiry: receiver at", acts.late),
    *_at("expiry: receiver at", acts.late, ("GotReplyableError",), coins=Coins.POOR),
    *(
        Way(f"expiry: sender at {state}", acts.late, setup)
        for state, setup in _SENDER_STATES.items()
    ),
    *(
        Way(f"expiry: sender at {state}", acts.late, setup, _RACE)
        for state, setup in _SIGNING_STATES.items()
    ),
    Way("expiry: in the grace", acts.in_grace, acts.proposed),
    Way("network refuses the payjoin", nothing, acts.strayed, **_STRAYED),
    *(
        Way(f"network refuses the payjoin, {dialect}", nothing, acts.strayed,
            dialect=dialect, stride=4, **_STRAYED)
        for dialect in Dialect
        if dialect.is_electrum
    ),
    Way(
        f"network refuses the payjoin, {Dialect.FORBIDDEN}", acts.unanswered_broadcast,
        acts.strayed, dialect=Dialect.FORBIDDEN, may_stray=True, stride=4,
    ),
    Way(
        "refused: a signature that does not hold", acts.pay, acts.asked, dialect=Dialect.ELECTRS,
        tweaks={SENDER: (acts.garbles_its_signature,)}, why=_REJECTED, stride=2,
    ),
    *_at(
        "paid directly: receiver at", acts.paid_directly,
        parties=THE_RECEIVER, coins=Coins.SPARE, ends=_DIRECT, always=True, stride=3,
    ),
    *_at(
        "paid in parts: receiver at", acts.paid_in_parts, _PARTS,
        parties=THE_RECEIVER, coins=Coins.SPARE, ends=_DIRECT, always=True, stride=4,
    ),
    Way(
        "paid by payjoin and directly too", acts.paid_by_payjoin_and_directly, acts.proposed,
        _PAYJOIN, coins=Coins.SPARE, always=True, beside=True,
    ),
    Way(
        "paid by fallback and directly too", acts.paid_by_fallback_and_directly, _PAYABLE,
        coins=Coins.SPARE, always=True, beside=True,
    ),
    *_at(
        "inputs taken away: receiver at", acts.inputs_taken_away,
        parties=THE_RECEIVER, ends=_RELEASED, always=True, may_release=True, stride=3,
    ),
    *_at(
        "`fallback` of the receiver at", acts.pay_now(RECEIVER), _RECEIVER_STATES[1:],
        parties=THE_RECEIVER, stride=3,
    ),
    *(
        Way(f"`fallback` of the sender at {state}", acts.pay_now(SENDER), setup, _RACE,
            THE_SENDER, stride=3)
        for state, setup in (_SENDER_STATES | _SIGNING_STATES).items()
    ),
)  # fmt: skip
