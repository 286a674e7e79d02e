"""The receiver's typestates, and the union of them that callers match on."""

from typing import TypeAlias

from dovetail.sessions.receiver.checking import (
    MaybeInputsOwned,
    MaybeInputsSeen,
    OutputsUnknown,
    UncheckedOriginalPayload,
)
from dovetail.sessions.receiver.closing import Closed
from dovetail.sessions.receiver.initialized import Initialized
from dovetail.sessions.receiver.proposing import (
    PayjoinProposal,
    ProvisionalProposal,
    WantsFeeRange,
    WantsInputs,
    WantsOutputs,
)
from dovetail.sessions.receiver.replying import HasReplyableError
from dovetail.sessions.receiver.settling import Monitor, PendingFallback

__all__ = [
    "Closed",
    "HasReplyableError",
    "Initialized",
    "MaybeInputsOwned",
    "MaybeInputsSeen",
    "Monitor",
    "OutputsUnknown",
    "PayjoinProposal",
    "PendingFallback",
    "ProvisionalProposal",
    "ReceiverSession",
    "UncheckedOriginalPayload",
    "WantsFeeRange",
    "WantsInputs",
    "WantsOutputs",
]

ReceiverSession: TypeAlias = (
    Initialized
    | UncheckedOriginalPayload
    | MaybeInputsOwned
    | MaybeInputsSeen
    | OutputsUnknown
    | WantsOutputs
    | WantsInputs
    | WantsFeeRange
    | ProvisionalProposal
    | PayjoinProposal
    | HasReplyableError
    | PendingFallback
    | Monitor
    | Closed
)
