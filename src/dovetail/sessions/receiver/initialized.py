"""Before a sender appears: the receiver's mailbox and its address (BIP 77, Receiver)."""

from dataclasses import dataclass
from typing import TypeAlias

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import Transaction
from dovetail.bitcoin.units import UnixTime
from dovetail.crypto.entropy import Entropy, system
from dovetail.crypto.secp256k1 import PublicKey
from dovetail.errors import (
    DecryptionError,
    InvalidEvent,
    InvalidMessage,
    OriginalRejected,
    UnsupportedVersion,
    UsageError,
)
from dovetail.protocol.error_replies import ErrorReply
from dovetail.protocol.mailbox import decode_original, is_plaintext, open_message_a
from dovetail.protocol.original import check_original
from dovetail.protocol.params import SenderParams
from dovetail.protocol.requests import OhttpContext, Request, poll_mailbox, read_v1_request
from dovetail.sessions.other_payments import Receipts
from dovetail.sessions.outcomes import cancelled, expired
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import events
from dovetail.sessions.receiver.base import State
from dovetail.sessions.receiver.checking import UncheckedOriginalPayload
from dovetail.sessions.receiver.closing import UNPAID_OUTCOMES, Closed, paid_directly
from dovetail.sessions.receiver.events import Channel, ReceiverEvent
from dovetail.sessions.receiver.payload import Payload, RefusedOriginal, ReplyTo, mark_of
from dovetail.sessions.receiver.replying import HasReplyableError, error_code
from dovetail.sessions.transition import Transition


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Initialized(State):
    """No Original PSBT that passes the checks has come.

    Show `payjoin_uri`, send what `poll` returns and save `process_poll`. Also check the address:
    a wallet without payjoin pays it directly (`record_payment`).
    """

    refused: tuple[RefusedOriginal, ...] = ()
    """The Originals that were refused; none of them is checked again."""

    @property
    def takes_originals(self) -> bool:
        """Whether another Original is taken; after many bad ones only the address is watched."""
        return len(self.refused) < MOST_REFUSED

    def refusal(self, psbt: bytes) -> Reason | None:
        """Why a v1 sender's Original was refused before; None where it was not."""
        mark = mark_of(None, psbt)
        return next((each.reason for each in self.refused if each.mark == mark), None)

    @property
    def last_refusal(self) -> Reason | None:
        """Why the last Original that came was refused; None where none came."""
        bad = (each.reason for each in self.refused if each.reason is not Reason.PAID_DIRECTLY)
        return next(reversed([*bad]), None)

    @property
    def watched_until(self) -> UnixTime:
        """Until when to watch the address before `expire`: the expiration plus the grace.

        At the expiration a sender whose Original was lost makes the ordinary payment.
        """
        return UnixTime(self.expires_at + self.created.grace)

    def poll(
        self, relay: str | None, *, now: UnixTime, entropy: Entropy = system
    ) -> tuple[Request, OhttpContext]:
        """The request for our mailbox's message; send it once, a retry calls `poll` again (P1).

        Without a relay it goes straight to the gateway. Raises `UsageError` when expired, in a
        session that is served over HTTP, or unless `takes_originals`.
        """
        self._require_unexpired(now)
        self._require_room()
        mailbox = self.terms.require_mailbox()
        return poll_mailbox(
            relay=relay,
            directory=mailbox.directory,
            short_id=mailbox.short_id,
            ohttp_keys=mailbox.ohttp_keys,
            entropy=entropy,
        )

    def process_poll(
        self, body: bytes, context: OhttpContext, *, now: UnixTime
    ) -> Transition[ReceiverEvent, "Initialized | ReceivedOriginal"]:
        """Read the answer to a poll; nothing changes while the mailbox holds no Original.

        Bytes that do not decrypt are ignored: anyone who saw the URI can write there. An Original
        that decrypts but breaks the rules leads to an error for its sender. Raises `TransportError`
        where another try may help.
        """
        message = context.open(body).message()
        if message is None:
            return self._stasis()
        if is_plaintext(message):
            return self._read_plaintext(message, now)
        return self._read_encrypted(message, now)

    def receive_v1(
        self, body: bytes, query: str, *, now: UnixTime
    ) -> Transition[ReceiverEvent, UncheckedOriginalPayload]:
        """Read what a v1 sender posted over HTTP, and the query of the URL they used.

        Hold the HTTP request open until the session can answer it. Raises `InvalidMessage` or
        `OriginalRejected`, and `UsageError` when expired or unless `takes_originals`; nothing
        changes then.
        """
        self._require_unexpired(now)
        self._require_room()
        psbt, params = read_v1_request(body, query)
        fallback = check_original(psbt)
        return self._retrieved(psbt, fallback, params, ReplyTo(Channel.V1_HTTP, None), now)

    def record_payment(self, received: Receipts) -> Transition[ReceiverEvent, Closed]:
        """Close because other transactions have paid the address in full."""
        return self._close(events.Closed(outcome=paid_directly(received, depth=self.created.depth)))

    def cancel(self, *, received: Receipts | None = None) -> Transition[ReceiverEvent, Closed]:
        """Close the session; a sender who comes later gets no answer.

        `received` is what the address had received by then.
        """
        return self._close(events.Closed(outcome=cancelled(Reason.CANCELLED_BY_US, received)))

    def expire(
        self, now: UnixTime, *, why: Reason | None = None, received: Receipts | None = None
    ) -> Transition[ReceiverEvent, Closed]:
        """Close the session; raises `UsageError` before the expiration.

        `why` is the obstacle, such as a directory that could not be reached; where the last
        Original was refused, its reason counts. `received` is what the address had received.
        """
        self._require_expired(now)
        return self._close(events.Closed(outcome=expired(why or self.last_refusal, received)))

    def _require_room(self) -> None:
        if not self.takes_originals:
            raise UsageError("Too many payments by this URI were refused: watch its address only.")

    def _read_encrypted(
        self, message: bytes, now: UnixTime
    ) -> Transition[ReceiverEvent, "Initialized | ReceivedOriginal"]:
        secret_key = self.terms.require_mailbox().secret_key
        try:
            opened = open_message_a(message, receiver_secret=secret_key)
        except (DecryptionError, InvalidMessage):
            return self._stasis()
        if self._knows(opened.reply_key.compressed):
            return self._stasis()
        try:
            psbt, params = decode_original(opened.body, default_version=2)
            fallback = check_original(psbt)
        except UnsupportedVersion as error:
            return self._refused(
                Reason.ORIGINAL_VERSION_UNSUPPORTED, opened.reply_key, error.supported
            )
        except (InvalidMessage, OriginalRejected):
            return self._refused(Reason.ORIGINAL_MALFORMED, opened.reply_key)
        reply_to = ReplyTo(Channel.MAILBOX, opened.reply_key)
        return self._retrieved(psbt, fallback, params, reply_to, now)

    def _read_plaintext(
        self, message: bytes, now: UnixTime
    ) -> Transition[ReceiverEvent, "Initialized | ReceivedOriginal"]:
        # Without pjos=0 the directory could have told the sender to let it redirect the payment.
        if not self.created.welcomes_v1:
            return self._stasis()
        try:
            psbt, params = decode_original(message, default_version=1)
            fallback = check_original(psbt)
        except (InvalidMessage, OriginalRejected):
            return self._stasis()
        if self.refusal(psbt.serialize()) is not None:
            return self._stasis()
        reply_to = ReplyTo(Channel.V1_DIRECTORY, None)
        return self._retrieved(psbt, fallback, params, reply_to, now)

    def _knows(self, mark: bytes) -> bool:
        return any(each.mark == mark for each in self.refused)

    def _stasis(self) -> Transition[ReceiverEvent, "Initialized"]:
        return Transition(None, self, seq=self.seq)

    def _retrieved(
        self,
        psbt: Psbt,
        fallback: Transaction,
        params: SenderParams,
        reply_to: ReplyTo,
        now: UnixTime,
    ) -> Transition[ReceiverEvent, UncheckedOriginalPayload]:
        contribution = params.fee_contribution
        substitution = params.output_substitution and reply_to.channel is not Channel.V1_DIRECTORY
        raw = psbt.serialize()
        event = events.RetrievedOriginalPayload(
            psbt=raw,
            checksum=events.checksum_of(raw),
            retrieved_at=now,
            version=params.version,
            min_fee_rate=params.min_fee_rate.sat_per_kwu,
            fee_contribution=(
                None
                if contribution is None
                else (int(contribution.max_amount), contribution.output_index)
            ),
            output_substitution=substitution,
            channel=reply_to.channel,
            reply_key=None if reply_to.reply_key is None else reply_to.reply_key.compressed,
        )
        successor = self._on_retrieved_original_payload(event)
        successor.payload.keep(psbt, fallback)
        return self._transition(event, successor)

    def _refused(
        self, reason: Reason, reply_key: PublicKey, supported: tuple[int, ...] = ()
    ) -> Transition[ReceiverEvent, HasReplyableError]:
        event = events.GotReplyableError(
            code=error_code(reason),
            reason=reason,
            supported=supported,
            reply_key=reply_key.compressed,
        )
        return self._transition(event, self._on_got_replyable_error(event))

    def _close(self, event: events.Closed) -> Transition[ReceiverEvent, Closed]:
        return self._transition(event, self._on_closed(event))

    def _on_retrieved_original_payload(
        self, event: events.RetrievedOriginalPayload
    ) -> UncheckedOriginalPayload:
        events.require_checksum(event.psbt, event.checksum)
        payload = Payload(event, self.refused)
        return UncheckedOriginalPayload(seq=self.seq + 1, terms=self.terms, payload=payload)

    def _on_got_replyable_error(self, event: events.GotReplyableError) -> HasReplyableError:
        if event.reply_key is None:
            raise InvalidEvent("The error has no place for its reply; restore the log.")
        return HasReplyableError(
            seq=self.seq + 1,
            terms=self.terms,
            reason=event.reason,
            error=ErrorReply(event.code, event.supported),
            reply_to=ReplyTo(Channel.MAILBOX, PublicKey.parse(event.reply_key)),
            held=None,
            owed=False,
            paid_by=event.paid_by,
            mark=event.reply_key,
            refused=self.refused,
        )

    def _on_closed(self, event: events.Closed) -> Closed:
        if not isinstance(event.outcome, UNPAID_OUTCOMES):
            raise InvalidEvent("A session without a fallback cannot end like this (M3).")
        return Closed(seq=self.seq + 1, terms=self.terms, outcome=event.outcome)


ReceivedOriginal: TypeAlias = UncheckedOriginalPayload | HasReplyableError
"""The state after an Original in the mailbox."""


MOST_REFUSED = 16
"""The most refused Originals of one Payjoin URI; after them it takes no more."""


def reopen(error: HasReplyableError) -> Transition[ReceiverEvent, Initialized]:
    """Wait for another payment: the sender was told, or could not be.

    Only the mark of their Original is kept. Raises `UsageError` unless `error.reopens`.
    """
    event = events.Reopened()
    try:
        successor = on_reopened(error, event)
    except InvalidEvent as invalid:
        raise UsageError("The payment is held: settle it before anything else.") from invalid
    return Transition(event, successor, seq=error.seq)


def on_reopened(error: HasReplyableError, _event: events.Reopened) -> Initialized:
    """Apply `Reopened`; raises `InvalidEvent`."""
    if not error.reopens:
        raise InvalidEvent("A session that holds a payment does not wait for another (M3).")
    refused = (*error.refused, RefusedOriginal(error.mark, error.reason))
    return Initialized(seq=error.seq + 1, terms=error.terms, refused=refused)
