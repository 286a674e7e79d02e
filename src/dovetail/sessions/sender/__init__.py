"""The sender's session: one payment, by payjoin if it can be, else by the fallback (BIP 77)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.sessions.sender import events as events
    from dovetail.sessions.sender.closing import classify_spend as classify_spend
    from dovetail.sessions.sender.creation import answer_until as answer_until
    from dovetail.sessions.sender.creation import create as create
    from dovetail.sessions.sender.creation import create_plain as create_plain
    from dovetail.sessions.sender.events import SenderEvent as SenderEvent
    from dovetail.sessions.sender.events import decode_event as decode_event
    from dovetail.sessions.sender.events import encode_event as encode_event
    from dovetail.sessions.sender.machine import TRANSITIONS as TRANSITIONS
    from dovetail.sessions.sender.machine import apply as apply
    from dovetail.sessions.sender.machine import replay as replay
    from dovetail.sessions.sender.states import Closed as Closed
    from dovetail.sessions.sender.states import Monitor as Monitor
    from dovetail.sessions.sender.states import PendingBroadcast as PendingBroadcast
    from dovetail.sessions.sender.states import PendingFallback as PendingFallback
    from dovetail.sessions.sender.states import PollingForProposal as PollingForProposal
    from dovetail.sessions.sender.states import PostingOriginal as PostingOriginal
    from dovetail.sessions.sender.states import ProposalReceived as ProposalReceived
    from dovetail.sessions.sender.states import SenderSession as SenderSession
    from dovetail.sessions.sender.states import WithReplyKey as WithReplyKey
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__,
        {
            "closing": "classify_spend",
            "creation": "answer_until create create_plain",
            "events": "SenderEvent decode_event encode_event",
            "machine": "TRANSITIONS apply replay",
            "states": (
                "Closed Monitor PendingBroadcast PendingFallback PollingForProposal "
                "PostingOriginal ProposalReceived SenderSession WithReplyKey"
            ),
        },
    )
