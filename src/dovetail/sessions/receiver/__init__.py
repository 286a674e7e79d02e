"""The receiver's session: states, events and replay (BIP 77, BIP 78)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.sessions.receiver import events as events
    from dovetail.sessions.receiver.creation import create as create
    from dovetail.sessions.receiver.creation import create_v1 as create_v1
    from dovetail.sessions.receiver.events import ReceiverEvent as ReceiverEvent
    from dovetail.sessions.receiver.events import decode_event as decode_event
    from dovetail.sessions.receiver.events import encode_event as encode_event
    from dovetail.sessions.receiver.initialized import reopen as reopen
    from dovetail.sessions.receiver.machine import TRANSITIONS as TRANSITIONS
    from dovetail.sessions.receiver.machine import apply as apply
    from dovetail.sessions.receiver.machine import replay as replay
    from dovetail.sessions.receiver.states import Closed as Closed
    from dovetail.sessions.receiver.states import HasReplyableError as HasReplyableError
    from dovetail.sessions.receiver.states import Initialized as Initialized
    from dovetail.sessions.receiver.states import MaybeInputsOwned as MaybeInputsOwned
    from dovetail.sessions.receiver.states import MaybeInputsSeen as MaybeInputsSeen
    from dovetail.sessions.receiver.states import Monitor as Monitor
    from dovetail.sessions.receiver.states import OutputsUnknown as OutputsUnknown
    from dovetail.sessions.receiver.states import PayjoinProposal as PayjoinProposal
    from dovetail.sessions.receiver.states import PendingFallback as PendingFallback
    from dovetail.sessions.receiver.states import ProvisionalProposal as ProvisionalProposal
    from dovetail.sessions.receiver.states import ReceiverSession as ReceiverSession
    from dovetail.sessions.receiver.states import (
        UncheckedOriginalPayload as UncheckedOriginalPayload,
    )
    from dovetail.sessions.receiver.states import WantsFeeRange as WantsFeeRange
    from dovetail.sessions.receiver.states import WantsInputs as WantsInputs
    from dovetail.sessions.receiver.states import WantsOutputs as WantsOutputs
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__,
        {
            "events": "ReceiverEvent decode_event encode_event",
            "machine": "TRANSITIONS apply replay",
            "states": (
                "Closed HasReplyableError Initialized MaybeInputsOwned MaybeInputsSeen "
                "Monitor OutputsUnknown PayjoinProposal PendingFallback "
                "ProvisionalProposal ReceiverSession UncheckedOriginalPayload "
                "WantsFeeRange WantsInputs WantsOutputs"
            ),
            "creation": "create create_v1",
            "initialized": "reopen",
        },
    )
