"""The sender's typestates, and the union of them that callers match on."""

from typing import TypeAlias

from dovetail.sessions.sender.closing import Closed
from dovetail.sessions.sender.posting import PollingForProposal, PostingOriginal, WithReplyKey
from dovetail.sessions.sender.settling import Monitor, PendingBroadcast, PendingFallback
from dovetail.sessions.sender.signing import ProposalReceived

__all__ = [
    "Closed",
    "Monitor",
    "PendingBroadcast",
    "PendingFallback",
    "PollingForProposal",
    "PostingOriginal",
    "ProposalReceived",
    "SenderSession",
    "WithReplyKey",
]

SenderSession: TypeAlias = (
    WithReplyKey
    | PostingOriginal
    | PollingForProposal
    | ProposalReceived
    | PendingBroadcast
    | PendingFallback
    | Monitor
    | Closed
)
