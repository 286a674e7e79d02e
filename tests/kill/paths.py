"""The paths that a payment can take, and on each of which somebody is killed at every step."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from unittest.mock import patch

from tests.kill.ledger import Ending, Party
from tests.kill.play import LIFETIME, Play
from tests.kill.processes import Coins, Tweak

from dovetail.protocol.params import SenderParams
from dovetail.sessions.reasons import Reason

SENDER, RECEIVER, MAILROOM = Party.SENDER, Party.RECEIVER, Party.MAILROOM

Acts = Callable[[Play], None]


def nothing(_play: Play) -> None:
    """No set-up: kills may come from the very first effect on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One path: its set-up, which no kill disturbs, and its acts, up to the final settling."""

    name: str
    acts: Acts
    setup: Acts = nothing
    parties: tuple[Party, ...] = (SENDER, RECEIVER)
    settings: Mapping[Party, Mapping[str, str]] = field(default_factory=dict)
    tweaks: Mapping[Party, tuple[Tweak, ...]] = field(default_factory=dict)
    coins: Coins = Coins.USUAL
    ends: tuple[Ending, ...] = (Ending.FALLBACK,)
    """How it ends where nobody is killed; several where the two race."""
    always: bool = False
    """It ends so whoever is killed: nothing is forgotten that a payjoin needs."""
    why: Reason | None = None
    """The sender's reason, where nobody is killed."""
    stride: int = 1
    """Every so many effects are enough, as another path has the same ones."""
    may_release: bool = False
    may_stray: bool = False
    timeless: bool = False
    """No clock is set forward, so that the installed command can go on."""


# Sets-up


def asked(play: Play) -> None:
    play.receive()


def posted(play: Play) -> None:
    play.receive()
    play.send()


def proposed(play: Play) -> None:
    posted(play)
    play.halt(RECEIVER, "append PostedPayjoinProposal")


def receiver_at(effect: str) -> Acts:
    def setup(play: Play) -> None:
        posted(play)
        play.halt(RECEIVER, effect)

    return setup


def sending_at(effect: str) -> Acts:
    def setup(play: Play) -> None:
        asked(play)
        play.halt(SENDER, effect, *play.sending())

    return setup


def sender_at(effect: str) -> Acts:
    def setup(play: Play) -> None:
        proposed(play)
        play.halt(SENDER, effect)

    return setup


def strayed(play: Play) -> None:
    """The receiver's coin is spent elsewhere once the sender has the proposal."""
    proposed(play)
    play.stray()


# Acts


def complete(play: Play) -> None:
    play.receive()
    play.send()
    play.begin(RECEIVER)
    play.until(lambda: play.logged(RECEIVER, "PostedPayjoinProposal"), "for the proposal")


def pay(play: Play) -> None:
    play.send()


def cancel_before(play: Play) -> None:
    play.decide(RECEIVER, "cancel")
    play.send()
    play.until(lambda: play.logged(SENDER, "PostedOriginalPsbt"), "for the Original")
    play.pass_time()


def cancel_and_take(play: Play) -> None:
    play.decide(RECEIVER, "cancel")
    play.answer(RECEIVER, "fallback")


def cancel_and_release(play: Play) -> None:
    """The receiver wants it no more; the sender makes the payment all the same."""
    play.decide(RECEIVER, "cancel")
    play.answer(RECEIVER, "release", "--yes")
    play.pass_time()


def cancel_late(play: Play) -> None:
    play.decide(RECEIVER, "cancel")
    play.pass_time()


def cancel_unposted(play: Play) -> None:
    play.decide(SENDER, "cancel")
    play.answer(SENDER, "release", "--yes")
    play.pass_time()


def _decline(play: Play) -> None:
    play.begin(RECEIVER)
    play.until(lambda: play.logged(RECEIVER, "PostedPayjoinProposal"), "for the proposal")
    play.decide(SENDER, "cancel")
    play.answer(SENDER, "release", "--yes")


def take_back(play: Play) -> None:
    """The sender declines and takes the coin back while the receiver broadcasts the fallback."""
    _decline(play)
    play.pass_time()
    play.decide(SENDER, "revoke", "--yes", "--fee-rate", "20")


def take_back_late(play: Play) -> None:
    """The sender wants the coin back when the receiver's fallback is in a block already."""
    _decline(play)
    play.pass_time()
    play.until(lambda: play.closed(RECEIVER), "for the receiver's fallback")
    play.decide(SENDER, "revoke", "--yes", "--fee-rate", "20")


def unanswered(play: Play) -> None:
    play.send()
    play.until(lambda: play.logged(SENDER, "PostedOriginalPsbt"), "for the Original")
    play.pass_time()
    play.begin(SENDER)
    play.until(lambda: play.closed(SENDER), "for the sender's fallback")


def abandoned(play: Play) -> None:
    play.send()
    play.until(lambda: play.logged(SENDER, "PostedOriginalPsbt"), "for the Original")
    play.pause(SENDER)
    play.begin(RECEIVER)
    play.until(lambda: play.logged(RECEIVER, "PostedPayjoinProposal"), "for the proposal")
    play.pass_time()
    play.until(lambda: play.closed(RECEIVER), "for the receiver's fallback")


def late(play: Play) -> None:
    """Both come back when the expiration and its grace are over."""
    play.pass_time()


def in_grace(play: Play) -> None:
    """Both come back after the expiration, within the grace; then that passes too."""
    play.pass_time(LIFETIME + 60)
    play.begin(SENDER)
    play.begin(RECEIVER)
    play.linger()
    play.pass_time()


# Peers


def speaks_version_3() -> AbstractContextManager[object]:
    """A sender from the future."""
    serialize = SenderParams.serialize
    return patch.object(
        SenderParams, "serialize", lambda self: serialize(self).replace("v=2", "v=3")
    )


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
        name="payjoin completes",
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
)
