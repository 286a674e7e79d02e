"""The sender's session: one payment, by payjoin if it can be, else by the fallback (BIP 77)."""

from dovetail.sessions.sender import events as events
from dovetail.sessions.sender.events import CODEC as CODEC
from dovetail.sessions.sender.events import SenderEvent as SenderEvent
from dovetail.sessions.sender.events import decode_event as decode_event
from dovetail.sessions.sender.events import encode_event as encode_event
from dovetail.sessions.sender.negotiating import PollingForProposal as PollingForProposal
from dovetail.sessions.sender.negotiating import PostingOriginal as PostingOriginal
from dovetail.sessions.sender.negotiating import WithReplyKey as WithReplyKey
from dovetail.sessions.sender.paying import Closed as Closed
from dovetail.sessions.sender.paying import classified as classified
from dovetail.sessions.sender.replay import TRANSITIONS as TRANSITIONS
from dovetail.sessions.sender.replay import apply as apply
from dovetail.sessions.sender.replay import replay as replay
from dovetail.sessions.sender.settling import Monitor as Monitor
from dovetail.sessions.sender.settling import PendingBroadcast as PendingBroadcast
from dovetail.sessions.sender.settling import PendingFallback as PendingFallback
from dovetail.sessions.sender.signing import ProposalReceived as ProposalReceived
from dovetail.sessions.sender.states import SenderSession as SenderSession
from dovetail.sessions.sender.states import answer_until as answer_until
from dovetail.sessions.sender.states import create as create
from dovetail.sessions.sender.states import create_plain as create_plain
