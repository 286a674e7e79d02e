"""The sender's states until a proposal has come: create, post, poll (BIP 77; BIP 78 for v1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import Transaction
from dovetail.bitcoin.units import UnixTime
from dovetail.crypto.entropy import Entropy, system
from dovetail.errors import (
    CounterpartyError,
    InvalidEvent,
    ParseError,
    ProposalRejected,
    TransportError,
)
from dovetail.protocol.error_replies import ErrorCode, ErrorReply
from dovetail.protocol.mailbox import ShortId, open_message_b, seal_message_a
from dovetail.protocol.proposal import check_proposal
from dovetail.protocol.requests import (
    OhttpContext,
    Request,
    poll_mailbox,
    post_to_mailbox,
    v1_reply,
    v1_request,
)
from dovetail.protocol.uri import V1Endpoint, V2Endpoint
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender import events
from dovetail.sessions.sender.closing import why_spent
from dovetail.sessions.sender.early_ends import Stopping
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.sender.settling import PendingFallback
from dovetail.sessions.sender.signing import ProposalReceived
from dovetail.sessions.sender.terms import Terms
from dovetail.sessions.transition import Transition

LAST_POLL_LEAD = 5
"""Seconds before the expiration at which the last poll should be sent."""

_REASONS: Mapping[ErrorCode | None, Reason] = MappingProxyType(
    {
        ErrorCode.UNAVAILABLE: Reason.RECEIVER_UNAVAILABLE,
        ErrorCode.NOT_ENOUGH_MONEY: Reason.RECEIVER_NOT_ENOUGH_MONEY,
        ErrorCode.VERSION_UNSUPPORTED: Reason.RECEIVER_VERSION_UNSUPPORTED,
        ErrorCode.ORIGINAL_PSBT_REJECTED: Reason.RECEIVER_ORIGINAL_PSBT_REJECTED,
        None: Reason.RECEIVER_UNKNOWN_ERROR,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WithReplyKey(Stopping):
    """The payment is decided and nothing has left."""

    _left: ClassVar[bool] = False

    def start_posting(self) -> Transition[SenderEvent, "PostingOriginal"]:
        """Begin to post the Original PSBT; then only a spend of its inputs can undo it.

        Save this before the first byte is sent: from then on the receiver can broadcast it (M3).
        """
        event = events.StartedPosting()
        return self._transition(event, self._on_started_posting(event))

    def _on_started_posting(self, _event: events.StartedPosting) -> "PostingOriginal":
        return PostingOriginal(seq=self.seq + 1, terms=self.terms)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Offered(Stopping):
    """The base of the states in which the receiver may hold the Original and has not answered."""

    def record_spend(self, spend: Transaction) -> Transition[SenderEvent, PendingFallback]:
        """A contested outpoint was seen spent; record it again on the state this leads to.

        Raises `UsageError` when `spend` spends no contested outpoint.
        """
        self.terms.require_spend(spend)
        return self.fail(why_spent(self, spend, None))

    def _on_received_proposal(self, event: events.ReceivedProposal) -> ProposalReceived:
        proposal = Psbt.parse(event.proposal)
        spent = frozenset(proposal.unsigned_transaction.contested())
        if not spent.issuperset(self.contested):
            # M4: only a payjoin that spends our inputs excludes the fallback.
            raise InvalidEvent("The proposal does not spend every input of the Original PSBT.")
        return ProposalReceived(seq=self.seq + 1, terms=self.terms, proposal=proposal)

    def _judge(
        self, answer: Psbt | ErrorReply
    ) -> Transition[SenderEvent, ProposalReceived | PendingFallback]:
        """Run the sender's checklist (BIP 78): the one decision that can lose the user's money."""
        if isinstance(answer, ErrorReply):
            return self.fail(_REASONS[answer.code])
        uri = self.terms.uri
        try:
            checked = check_proposal(
                original=self.original,
                proposal=answer,
                params=self.terms.params,
                payee=uri.address.script_pubkey,
                output_substitution=uri.output_substitution,
            )
        except (ProposalRejected, ParseError) as error:
            rule = error.rule if isinstance(error, ProposalRejected) else None
            failed = events.ProtocolFailed(reason=Reason.PROPOSAL_BROKE_RULE, rule=rule)
            return self._transition(failed, self._on_protocol_failed(failed))
        received = events.ReceivedProposal(proposal=checked.serialize())
        return self._transition(received, self._on_received_proposal(received))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PostingOriginal(Offered):
    """The Original PSBT is on its way to the receiver, or may be."""

    def post(
        self, relay: str | None, *, now: UnixTime, entropy: Entropy = system
    ) -> tuple[Request, OhttpContext]:
        """A fresh request that posts the Original PSBT: send it once, and ask again to retry (P1).

        `relay` is an OHTTP relay's URL; None goes to the directory's gateway itself. Raises
        `UsageError` after the expiration and for a v1 payment.
        """
        self._require_unexpired(now)
        endpoint = _v2(self.terms)
        message = seal_message_a(
            self.terms.body,
            receiver_key=endpoint.receiver_key,
            reply_key=self.terms.reply_key.public_key,
            entropy=entropy,
        )
        return post_to_mailbox(
            relay=relay,
            directory=endpoint.directory,
            short_id=endpoint.short_id,
            ohttp_keys=endpoint.ohttp_keys,
            body=message,
            entropy=entropy,
        )

    def process_post(
        self, body: bytes, context: OhttpContext
    ) -> Transition[SenderEvent, "PollingForProposal | PendingFallback"]:
        """Read the directory's answer to `post`, however late it comes.

        Raises `TransportError` when another try may succeed.
        """
        reply = context.open(body)
        try:
            reply.confirm_posted()
        except TransportError:
            if reply.refused_for_good:
                return self.fail(Reason.DIRECTORY_REFUSED)
            raise
        event = events.PostedOriginalPsbt()
        return self._transition(event, self._on_posted_original_psbt(event))

    def post_v1(self, *, now: UnixTime) -> Request:
        """The BIP 78 request; its answer goes to `process_v1`.

        Raises `UsageError` after the expiration and for a v2 payment.
        """
        self._require_unexpired(now)
        return v1_request(_v1(self.terms).url, self.terms.disclosed, self.terms.params)

    def process_v1(
        self, status: int, body: bytes
    ) -> Transition[SenderEvent, ProposalReceived | PendingFallback]:
        """Read a v1 receiver's answer: the proposal itself, or an error.

        Raises `TransportError` when the answer is neither and another try may succeed.
        """
        _v1(self.terms)
        try:
            answer = v1_reply(status, body)
        except ParseError:
            return self.fail(Reason.PROPOSAL_UNREADABLE)
        if isinstance(answer, ErrorReply) and answer.supported and 1 not in answer.supported:
            return self.fail(Reason.V1_REFUSED)
        return self._judge(answer)

    def _on_posted_original_psbt(self, _event: events.PostedOriginalPsbt) -> "PollingForProposal":
        _v2(self.terms)
        return PollingForProposal(seq=self.seq + 1, terms=self.terms)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PollingForProposal(Offered):
    """The receiver can fetch the Original PSBT; its answer is awaited."""

    _expiry: ClassVar[Reason] = Reason.EXPIRED_WAITING_FOR_PROPOSAL

    @property
    def last_poll_at(self) -> UnixTime:
        """When the last poll should be sent; its answer may come after the expiration."""
        return UnixTime(self.expires_at - LAST_POLL_LEAD)

    def poll(
        self, relay: str | None, *, now: UnixTime, entropy: Entropy = system
    ) -> tuple[Request, OhttpContext]:
        """A fresh request for the receiver's answer: send it once, and ask again to retry (P1).

        The directory may hold it for 30 seconds. `relay` is an OHTTP relay's URL; None goes to
        the directory's gateway itself. Raises `UsageError` after the expiration.
        """
        self._require_unexpired(now)
        endpoint = _v2(self.terms)
        return poll_mailbox(
            relay=relay,
            directory=endpoint.directory,
            short_id=ShortId.of(self.terms.reply_key.public_key),
            ohttp_keys=endpoint.ohttp_keys,
            entropy=entropy,
        )

    def process_poll(
        self, body: bytes, context: OhttpContext
    ) -> Transition[SenderEvent, "PollingForProposal | ProposalReceived | PendingFallback"]:
        """Read the answer to `poll`, however late it comes; 202 leaves the session as it is.

        The sender's checklist of BIP 78 runs here, once. A mailbox keeps its first message, so
        one that cannot be read ends the negotiation. Raises `TransportError` when another try
        may succeed.
        """
        message = context.open(body).message()
        if message is None:
            return Transition(None, self, seq=self.seq)
        try:
            answer = open_message_b(
                message,
                reply_secret=self.terms.reply_key,
                receiver_key=_v2(self.terms).receiver_key,
            )
        except (CounterpartyError, ParseError):
            return self.fail(Reason.PROPOSAL_UNREADABLE)
        return self._judge(answer)


def _v1(terms: Terms) -> V1Endpoint:
    endpoint = terms.endpoint
    if isinstance(endpoint, V2Endpoint):
        raise InvalidEvent("This payment goes through a directory; use `post` and `poll`.")
    return endpoint


def _v2(terms: Terms) -> V2Endpoint:
    endpoint = terms.endpoint
    if isinstance(endpoint, V1Endpoint):
        raise InvalidEvent("This payment goes to a v1 endpoint; use `post_v1`.")
    return endpoint
