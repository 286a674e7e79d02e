"""The paths that a payment can take, and on each of which somebody is killed at every step."""

from tests.kill import acts
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
    "WithReplyKey": acts.sending_at("append Created"),
    "PostingOriginal": acts.sending_at("append StartedPosting"),
    "PostingOriginal, posted": acts.sending_at("response"),
}
_SIGNING_STATES = {
    "ProposalReceived": acts.sender_at("append ReceivedProposal"),
    "PendingBroadcast": acts.sender_at("append SignedPayjoin"),
    "Monitor": acts.sender_at("append BroadcastPayjoin"),
}

_TAKEN_BACK = {
    "PostingOriginal": acts.sending_at("response"),
    "PollingForProposal": acts.sending_at("append PostedOriginalPsbt"),
    "ProposalReceived": acts.sender_at("append ReceivedProposal"),
}
_PAYJOIN, _RACE = (Ending.PAYJOIN,), (Ending.PAYJOIN, Ending.FALLBACK)

WAYS = (
    Way(
        name="payjoin completes, segwit",
        acts=acts.complete,
        parties=(*Party,),
        ends=_PAYJOIN,
        always=True,
        timeless=True,
    ),
    Way(
        name="payjoin completes, taproot",
        acts=acts.complete,
        coins=Coins.TAPROOT,
        ends=_PAYJOIN,
        always=True,
        stride=3,
    ),
    Way(
        name="payjoin completes, nested segwit",
        acts=acts.complete,
        coins=Coins.NESTED,
        ends=_PAYJOIN,
        always=True,
        stride=3,
    ),
    Way(
        name="payjoin completes, legacy",
        acts=acts.complete,
        coins=Coins.LEGACY,
        ends=_PAYJOIN,
        always=True,
        stride=3,
    ),
    Way(
        name="payjoin completes, v1",
        acts=acts.complete_v1,
        ends=_PAYJOIN,
        always=True,
        alone=True,
        timeless=True,
    ),
    Way(
        name="payjoin completes, by `run`",
        acts=acts.complete_by_run,
        ends=_PAYJOIN,
        always=True,
        alone=True,
        timeless=True,
    ),
    Way(
        name="payjoin completes, OHTTP keys rotate",
        acts=acts.complete,
        parties=(*Party,),
        mailroom={"housekeeping": 0.1, "key_lifetime": 0.3},
        ends=_PAYJOIN,
        always=True,
        stride=3,
        most=36,
    ),
    Way(
        name="a reorganisation removes the payjoin",
        setup=acts.proposed,
        acts=acts.payjoin_undone,
        depth=2,
        ends=_PAYJOIN,
        always=True,
        timeless=True,
    ),
    Way(
        name="a reorganisation removes the fallback",
        setup=acts.receiver_at("append IdentifiedReceiverOutputs"),
        acts=acts.fallback_undone,
        depth=2,
        timeless=True,
    ),
    Way(name="receiver cancels before the Original", setup=acts.asked, acts=acts.cancel_before),
    Way(
        name="receiver cancels after the Original",
        setup=acts.receiver_at("append IdentifiedReceiverOutputs"),
        acts=acts.cancel_and_take,
        timeless=True,
    ),
    Way(
        name="receiver cancels and releases",
        setup=acts.receiver_at("append IdentifiedReceiverOutputs"),
        acts=acts.cancel_and_release,
    ),
    Way(
        name="receiver cancels its proposal",
        setup=acts.receiver_at("append FinalizedProposal"),
        acts=acts.cancel_late,
    ),
    Way(
        name="sender cancels at WithReplyKey",
        setup=acts.sending_at("append Created"),
        acts=acts.cancel_unposted,
        ends=(Ending.RELEASED,),
        may_release=True,
    ),
    Way(
        name="sender cancels at WithReplyKey, and pays",
        setup=acts.sending_at("append Created"),
        acts=acts.cancel_and_pay,
        timeless=True,
    ),
    Way(
        name="sender pays and declines at once",
        setup=acts.sending_at("append Created"),
        acts=acts.pay_and_decline,
        ends=(Ending.FALLBACK, Ending.RELEASED),
        parties=(SENDER,),
        may_release=True,
    ),
    *(
        Way(
            name=f"sender revokes at {state}",
            setup=setup,
            acts=acts.take_back,
            ends=(Ending.RELEASED, Ending.FALLBACK),
            may_release=True,
        )
        for state, setup in _TAKEN_BACK.items()
    ),
    *(
        Way(
            name=f"sender revokes late at {state}",
            setup=setup,
            acts=acts.take_back_late,
            may_release=True,
        )
        for state, setup in _TAKEN_BACK.items()
    ),
    Way(name="receiver never answers", setup=acts.asked, acts=acts.unanswered),
    Way(name="sender never returns", setup=acts.asked, acts=acts.abandoned),
    Way(
        name="refused: unavailable",
        setup=acts.asked,
        acts=acts.pay,
        coins=Coins.POOR,
        parties=(*Party,),
        why=Reason.RECEIVER_UNAVAILABLE,
        timeless=True,
    ),
    Way(
        name="refused: not-enough-money",
        setup=acts.asked,
        acts=acts.pay,
        coins=Coins.EXACT,
        settings={RECEIVER: {"DOVETAIL_MIN_FEE_RATE": "3", "DOVETAIL_MAX_FEE_RATE": "1"}},
        why=Reason.RECEIVER_NOT_ENOUGH_MONEY,
        timeless=True,
    ),
    Way(
        name="refused: version-unsupported",
        setup=acts.asked,
        acts=acts.pay,
        tweaks={SENDER: (acts.speaks_version_3,)},
        why=Reason.RECEIVER_VERSION_UNSUPPORTED,
    ),
    Way(
        name="refused: original-psbt-rejected",
        setup=acts.asked,
        acts=acts.pay,
        settings={RECEIVER: {"DOVETAIL_MIN_FEE_RATE": "40"}},
        why=Reason.RECEIVER_ORIGINAL_PSBT_REJECTED,
        timeless=True,
    ),
    Way(
        name="expiry: nobody pays",
        setup=acts.asked,
        acts=acts.late,
        parties=(RECEIVER,),
        ends=(Ending.RELEASED,),
    ),
    Way(name="expiry: receiver at Initialized, paid", setup=acts.posted, acts=acts.late),
    *(
        Way(
            name=f"expiry: receiver at {tag}",
            setup=acts.receiver_at(f"append {tag}"),
            acts=acts.late,
        )
        for tag in _RECEIVER_STATES
    ),
    Way(
        name="expiry: receiver at GotReplyableError",
        setup=acts.receiver_at("append GotReplyableError"),
        acts=acts.late,
        coins=Coins.POOR,
    ),
    *(
        Way(name=f"expiry: sender at {state}", setup=setup, acts=acts.late)
        for state, setup in _SENDER_STATES.items()
    ),
    *(
        Way(name=f"expiry: sender at {state}", setup=setup, acts=acts.late, ends=_RACE)
        for state, setup in _SIGNING_STATES.items()
    ),
    Way(name="expiry: in the grace", setup=acts.proposed, acts=acts.in_grace),
    Way(
        name="network refuses the payjoin",
        setup=acts.strayed,
        acts=acts.nothing,
        why=Reason.PAYJOIN_REFUSED_BY_NETWORK,
        may_stray=True,
        timeless=True,
    ),
    *(
        Way(
            name=f"network refuses the payjoin, {dialect}",
            setup=acts.strayed,
            acts=acts.nothing,
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
        setup=acts.strayed,
        acts=acts.unanswered_broadcast,
        dialect=Dialect.FORBIDDEN,
        may_stray=True,
        stride=4,
    ),
    Way(
        name="refused: a signature that does not hold",
        setup=acts.asked,
        acts=acts.pay,
        dialect=Dialect.ELECTRS,
        tweaks={SENDER: (acts.garbles_its_signature,)},
        why=Reason.RECEIVER_ORIGINAL_PSBT_REJECTED,
        stride=2,
    ),
    *(
        Way(
            name=f"paid directly: receiver at {tag}",
            setup=acts.receiver_at(f"append {tag}"),
            acts=acts.paid_directly,
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
            setup=acts.receiver_at(f"append {tag}"),
            acts=acts.paid_in_parts,
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
        setup=acts.proposed,
        acts=acts.paid_by_payjoin_and_directly,
        coins=Coins.SPARE,
        ends=_PAYJOIN,
        always=True,
        beside=True,
    ),
    Way(
        name="paid by fallback and directly too",
        setup=acts.receiver_at("append IdentifiedReceiverOutputs"),
        acts=acts.paid_by_fallback_and_directly,
        coins=Coins.SPARE,
        always=True,
        beside=True,
    ),
    *(
        Way(
            name=f"inputs taken away: receiver at {tag}",
            setup=acts.receiver_at(f"append {tag}"),
            acts=acts.inputs_taken_away,
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
            setup=acts.receiver_at(f"append {tag}"),
            acts=acts.pay_now(RECEIVER),
            parties=(RECEIVER,),
            stride=3,
        )
        for tag in _RECEIVER_STATES[1:]
    ),
    *(
        Way(
            name=f"`fallback` of the sender at {state}",
            setup=setup,
            acts=acts.pay_now(SENDER),
            parties=(SENDER,),
            ends=_RACE,
            stride=3,
        )
        for state, setup in (_SENDER_STATES | _SIGNING_STATES).items()
    ),
)
