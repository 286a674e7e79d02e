"""The paths that a payment can take, and on each of which somebody is killed at every step."""

from tests.kill.acts import (
    abandoned,
    asked,
    cancel_and_pay,
    cancel_and_release,
    cancel_and_take,
    cancel_before,
    cancel_late,
    cancel_unposted,
    complete,
    complete_by_run,
    complete_v1,
    fallback_undone,
    garbles_its_signature,
    in_grace,
    inputs_taken_away,
    late,
    nothing,
    paid_by_fallback_and_directly,
    paid_by_payjoin_and_directly,
    paid_directly,
    paid_in_parts,
    pay,
    pay_and_decline,
    pay_now,
    payjoin_undone,
    posted,
    proposed,
    receiver_at,
    sender_at,
    sending_at,
    speaks_version_3,
    strayed,
    take_back,
    take_back_late,
    unanswered,
    unanswered_broadcast,
)
from tests.kill.dialects import Dialect
from tests.kill.ledger import Ending, Party
from tests.kill.path import Way
from tests.kill.servers import Coins

from dovetail.sessions.reasons import Reason

SENDER, RECEIVER, MAILROOM = Party.SENDER, Party.RECEIVER, Party.MAILROOM


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

_SENDER_STATES = {
    "WithReplyKey": sending_at("append Created"),
    "PostingOriginal": sending_at("append StartedPosting"),
    "PostingOriginal, posted": sending_at("response"),
}
_SIGNING_STATES = {
    "ProposalReceived": sender_at("append ReceivedProposal"),
    "PendingBroadcast": sender_at("append SignedPayjoin"),
    "Monitor": sender_at("append BroadcastPayjoin"),
}

_TAKEN_BACK = {
    "PostingOriginal": sending_at("response"),
    "PollingForProposal": sending_at("append PostedOriginalPsbt"),
    "ProposalReceived": sender_at("append ReceivedProposal"),
}
_PAYJOIN, _RACE = (Ending.PAYJOIN,), (Ending.PAYJOIN, Ending.FALLBACK)

WAYS = (
    Way(
        name="payjoin completes, segwit",
        acts=complete,
        parties=(*Party,),
        ends=_PAYJOIN,
        always=True,
        timeless=True,
    ),
    Way(
        name="payjoin completes, taproot",
        acts=complete,
        coins=Coins.TAPROOT,
        ends=_PAYJOIN,
        always=True,
        stride=3,
    ),
    Way(
        name="payjoin completes, nested segwit",
        acts=complete,
        coins=Coins.NESTED,
        ends=_PAYJOIN,
        always=True,
        stride=3,
    ),
    Way(
        name="payjoin completes, legacy",
        acts=complete,
        coins=Coins.LEGACY,
        ends=_PAYJOIN,
        always=True,
        stride=3,
    ),
    Way(
        name="payjoin completes, v1",
        acts=complete_v1,
        ends=_PAYJOIN,
        always=True,
        alone=True,
        timeless=True,
    ),
    Way(
        name="payjoin completes, by `run`",
        acts=complete_by_run,
        ends=_PAYJOIN,
        always=True,
        alone=True,
        timeless=True,
    ),
    Way(
        name="payjoin completes, OHTTP keys rotate",
        acts=complete,
        parties=(*Party,),
        mailroom={"housekeeping": 0.1, "key_lifetime": 0.3},
        ends=_PAYJOIN,
        always=True,
        stride=3,
        most=36,
    ),
    Way(
        name="a reorganisation removes the payjoin",
        setup=proposed,
        acts=payjoin_undone,
        depth=2,
        ends=_PAYJOIN,
        always=True,
        timeless=True,
    ),
    Way(
        name="a reorganisation removes the fallback",
        setup=receiver_at("append IdentifiedReceiverOutputs"),
        acts=fallback_undone,
        depth=2,
        timeless=True,
    ),
    Way(name="receiver cancels before the Original", setup=asked, acts=cancel_before),
    Way(
        name="receiver cancels after the Original",
        setup=receiver_at("append IdentifiedReceiverOutputs"),
        acts=cancel_and_take,
        timeless=True,
    ),
    Way(
        name="receiver cancels and releases",
        setup=receiver_at("append IdentifiedReceiverOutputs"),
        acts=cancel_and_release,
    ),
    Way(
        name="receiver cancels its proposal",
        setup=receiver_at("append FinalizedProposal"),
        acts=cancel_late,
    ),
    Way(
        name="sender cancels at WithReplyKey",
        setup=sending_at("append Created"),
        acts=cancel_unposted,
        ends=(Ending.RELEASED,),
        may_release=True,
    ),
    Way(
        name="sender cancels at WithReplyKey, and pays",
        setup=sending_at("append Created"),
        acts=cancel_and_pay,
        timeless=True,
    ),
    Way(
        name="sender pays and declines at once",
        setup=sending_at("append Created"),
        acts=pay_and_decline,
        ends=(Ending.FALLBACK, Ending.RELEASED),
        parties=(SENDER,),
        may_release=True,
    ),
    *(
        Way(
            name=f"sender revokes at {state}",
            setup=setup,
            acts=take_back,
            ends=(Ending.RELEASED, Ending.FALLBACK),
            may_release=True,
        )
        for state, setup in _TAKEN_BACK.items()
    ),
    *(
        Way(
            name=f"sender revokes late at {state}",
            setup=setup,
            acts=take_back_late,
            may_release=True,
        )
        for state, setup in _TAKEN_BACK.items()
    ),
    Way(name="receiver never answers", setup=asked, acts=unanswered),
    Way(name="sender never returns", setup=asked, acts=abandoned),
    Way(
        name="refused: unavailable",
        setup=asked,
        acts=pay,
        coins=Coins.POOR,
        parties=(*Party,),
        why=Reason.RECEIVER_UNAVAILABLE,
        timeless=True,
    ),
    Way(
        name="refused: not-enough-money",
        setup=asked,
        acts=pay,
        coins=Coins.EXACT,
        settings={RECEIVER: {"DOVETAIL_MIN_FEE_RATE": "3", "DOVETAIL_MAX_FEE_RATE": "1"}},
        why=Reason.RECEIVER_NOT_ENOUGH_MONEY,
        timeless=True,
    ),
    Way(
        name="refused: version-unsupported",
        setup=asked,
        acts=pay,
        tweaks={SENDER: (speaks_version_3,)},
        why=Reason.RECEIVER_VERSION_UNSUPPORTED,
    ),
    Way(
        name="refused: original-psbt-rejected",
        setup=asked,
        acts=pay,
        settings={RECEIVER: {"DOVETAIL_MIN_FEE_RATE": "40"}},
        why=Reason.RECEIVER_ORIGINAL_PSBT_REJECTED,
        timeless=True,
    ),
    Way(
        name="expiry: nobody pays",
        setup=asked,
        acts=late,
        parties=(RECEIVER,),
        ends=(Ending.RELEASED,),
    ),
    Way(name="expiry: receiver at Initialized, paid", setup=posted, acts=late),
    *(
        Way(name=f"expiry: receiver at {tag}", setup=receiver_at(f"append {tag}"), acts=late)
        for tag in _RECEIVER_STATES
    ),
    Way(
        name="expiry: receiver at GotReplyableError",
        setup=receiver_at("append GotReplyableError"),
        acts=late,
        coins=Coins.POOR,
    ),
    *(
        Way(name=f"expiry: sender at {state}", setup=setup, acts=late)
        for state, setup in _SENDER_STATES.items()
    ),
    *(
        Way(name=f"expiry: sender at {state}", setup=setup, acts=late, ends=_RACE)
        for state, setup in _SIGNING_STATES.items()
    ),
    Way(name="expiry: in the grace", setup=proposed, acts=in_grace),
    Way(
        name="network refuses the payjoin",
        setup=strayed,
        acts=nothing,
        why=Reason.PAYJOIN_REFUSED_BY_NETWORK,
        may_stray=True,
        timeless=True,
    ),
    *(
        Way(
            name=f"network refuses the payjoin, {dialect}",
            setup=strayed,
            acts=nothing,
            why=Reason.PAYJOIN_REFUSED_BY_NETWORK,
            dialect=dialect,
            may_stray=True,
            timeless=True,
            stride=4,
        )
        for dialect in Dialect
        if dialect.is_electrum
    ),
    Way(
        name=f"network refuses the payjoin, {Dialect.FORBIDDEN}",
        setup=strayed,
        acts=unanswered_broadcast,
        dialect=Dialect.FORBIDDEN,
        may_stray=True,
        stride=4,
    ),
    Way(
        name="refused: a signature that does not hold",
        setup=asked,
        acts=pay,
        dialect=Dialect.ELECTRS,
        tweaks={SENDER: (garbles_its_signature,)},
        why=Reason.RECEIVER_ORIGINAL_PSBT_REJECTED,
        stride=2,
    ),
    *(
        Way(
            name=f"paid directly: receiver at {tag}",
            setup=receiver_at(f"append {tag}"),
            acts=paid_directly,
            parties=(RECEIVER,),
            coins=Coins.SPARE,
            ends=(Ending.DIRECT,),
            always=True,
            stride=3,
        )
        for tag in _RECEIVER_STATES
    ),
    *(
        Way(
            name=f"paid in parts: receiver at {tag}",
            setup=receiver_at(f"append {tag}"),
            acts=paid_in_parts,
            parties=(RECEIVER,),
            coins=Coins.SPARE,
            ends=(Ending.DIRECT,),
            always=True,
            stride=4,
        )
        for tag in ("RetrievedOriginalPayload", "CommittedInputs", "PostedPayjoinProposal")
    ),
    Way(
        name="paid by payjoin and directly too",
        setup=proposed,
        acts=paid_by_payjoin_and_directly,
        coins=Coins.SPARE,
        ends=_PAYJOIN,
        always=True,
        beside=True,
    ),
    Way(
        name="paid by fallback and directly too",
        setup=receiver_at("append IdentifiedReceiverOutputs"),
        acts=paid_by_fallback_and_directly,
        coins=Coins.SPARE,
        always=True,
        beside=True,
    ),
    *(
        Way(
            name=f"inputs taken away: receiver at {tag}",
            setup=receiver_at(f"append {tag}"),
            acts=inputs_taken_away,
            parties=(RECEIVER,),
            ends=(Ending.RELEASED,),
            always=True,
            may_release=True,
            stride=3,
        )
        for tag in _RECEIVER_STATES
    ),
    *(
        Way(
            name=f"`fallback` of the receiver at {tag}",
            setup=receiver_at(f"append {tag}"),
            acts=pay_now(RECEIVER),
            parties=(RECEIVER,),
            stride=3,
        )
        for tag in _RECEIVER_STATES[1:]
    ),
    *(
        Way(
            name=f"`fallback` of the sender at {state}",
            setup=setup,
            acts=pay_now(SENDER),
            parties=(SENDER,),
            ends=_RACE,
            stride=3,
        )
        for state, setup in (_SENDER_STATES | _SIGNING_STATES).items()
    ),
)
