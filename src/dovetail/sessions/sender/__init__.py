"""The sender's session: one payment, by payjoin if it can be, else by the fallback (BIP 77)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.sessions.sender import events as events
    from dovetail.sessions.sender.events import SenderEvent as SenderEvent
    from dovetail.sessions.sender.events import decode_event as decode_event
    from dovetail.sessions.sender.events import encode_event as encode_event
    from dovetail.sessions.sender.machine import TRANSITIONS as TRANSITIONS
    from dovetail.sessions.sender.machine import apply as apply
    from dovetail.sessions.sender.machine import replay as replay
    from dovetail.sessions.sender.negotiating import PollingForProposal as PollingForProposal
    from dovetail.sessions.sender.negotiating import PostingOriginal as PostingOriginal
    from dovetail.sessions.sender.negotiating import WithReplyKey as WithReplyKey
    from dovetail.sessions.sender.paying import Closed as Closed
    from dovetail.sessions.sender.paying import classified as classified
    from dovetail.sessions.sender.settling import Monitor as Monitor
    from dovetail.sessions.sender.settling import PendingBroadcast as PendingBroadcast
    from dovetail.sessions.sender.settling import PendingFallback as PendingFallback
    from dovetail.sessions.sender.signing import ProposalReceived as ProposalReceived
    from dovetail.sessions.sender.states import SenderSession as SenderSession
    from dovetail.sessions.sender.states import answer_until as answer_until
    from dovetail.sessions.sender.states import create as create
    from dovetail.sessions.sender.states import create_plain as create_plain
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__,
        {
            "events": "SenderEvent decode_event encode_event",
            "negotiating": "PollingForProposal PostingOriginal WithReplyKey",
            "paying": "Closed classified",
            "machine": "TRANSITIONS apply replay",
            "settling": "Monitor PendingBroadcast PendingFallback",
            "signing": "ProposalReceived",
            "states": "SenderSession answer_until create create_plain",
        },
    )
