"""What the receiver's states share: the terms of the session and the sender's payload."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self, TypeVar

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.script import Address
from dovetail.bitcoin.transaction import OutPoint, Transaction
from dovetail.bitcoin.units import FeeRate, Sats, UnixTime
from dovetail.crypto.entropy import Entropy
from dovetail.crypto.ohttp import KeyConfig
from dovetail.crypto.secp256k1 import PublicKey, SecretKey
from dovetail.errors import InvalidEvent, TransportError, UsageError
from dovetail.protocol.exchange import MailboxReply, OhttpContext, Request, post_to_mailbox
from dovetail.protocol.mailbox import PROPOSAL_CAPACITY, ShortId, seal_message_b
from dovetail.protocol.original import check_original
from dovetail.protocol.params import FeeContribution, SenderParams
from dovetail.protocol.uri import PayjoinUri, V1Endpoint, V2Endpoint
from dovetail.sessions.receiver.events import (
    Channel,
    Created,
    Mailbox,
    ReceiverEvent,
    RetrievedOriginalPayload,
    Web,
)
from dovetail.sessions.transition import Transition

# What a padded BHTTP request of 8104 bytes leaves for a PUT's body and the directory's name.
_PUT_ROOM = 8040

NextT = TypeVar("NextT", bound="State")


@dataclass(frozen=True, slots=True, repr=False)
class MailboxTerms:
    """The receiver's mailbox: the directory, the key to its gateway, the receiver key."""

    directory: str
    ohttp_keys: KeyConfig
    secret_key: SecretKey

    @classmethod
    def of(cls, mailbox: Mailbox) -> Self:
        """Read the event's fields; raises `ParseError`."""
        keys = KeyConfig.parse(mailbox.ohttp_keys)
        return cls(mailbox.directory, keys, SecretKey(mailbox.secret_key))

    @property
    def short_id(self) -> ShortId:
        """The name of the receiver's own mailbox."""
        return ShortId.of(self.secret_key.public_key)

    def __repr__(self) -> str:
        return "<MailboxTerms>"


@dataclass(frozen=True, slots=True, repr=False)
class Terms:
    """What `Created` fixed; its repr shows nothing (P4). Make one with `of`."""

    created: Created
    address: Address
    endpoint: MailboxTerms | V1Endpoint

    @classmethod
    def of(cls, created: Created) -> Self:
        """Read the event's fields; raises `ParseError`."""
        if created.amount is not None:
            Sats(created.amount)
        endpoint: MailboxTerms | V1Endpoint
        match created.endpoint:
            case Mailbox():
                endpoint = MailboxTerms.of(created.endpoint)
            case Web():
                endpoint = V1Endpoint(created.endpoint.url)
        return cls(created, Address.parse(created.address), endpoint)

    @property
    def uri(self) -> PayjoinUri:
        """The Payjoin URI; raises `InvalidUri` where the terms do not make one."""
        created = self.created
        endpoint: V1Endpoint | V2Endpoint
        match self.endpoint:
            case V1Endpoint():
                endpoint = self.endpoint
            case MailboxTerms(directory=directory, ohttp_keys=ohttp_keys, secret_key=secret_key):
                expires_at = UnixTime(created.expires_at)
                endpoint = V2Endpoint(directory, secret_key.public_key, ohttp_keys, expires_at)
        return PayjoinUri(
            address=self.address,
            amount=None if created.amount is None else Sats(created.amount),
            endpoint=endpoint,
            output_substitution=not created.welcomes_v1,
            label=created.label,
            message=created.message,
        )

    def require_mailbox(self) -> MailboxTerms:
        """The mailbox; raises `UsageError` in a session that is served over HTTP."""
        if isinstance(self.endpoint, V1Endpoint):
            raise UsageError(
                "This session has no mailbox, as it is served over HTTP: answer with `v1_body`."
            )
        return self.endpoint

    def __repr__(self) -> str:
        return "<Terms>"


@dataclass(frozen=True, slots=True, repr=False)
class ReplyTo:
    """Where the sender is answered."""

    channel: Channel
    reply_key: PublicKey | None

    def post(
        self, payload: bytes, v1_body: bytes, terms: Terms, relay: str | None, entropy: Entropy
    ) -> tuple[Request, OhttpContext]:
        """The one request that carries the answer (P1).

        `payload` is what Message B holds, `v1_body` what a v1 sender reads. Raises
        `PayloadTooLarge`, and `UsageError` where the answer is an HTTP response.
        """
        mailbox = terms.require_mailbox()
        post = partial(
            post_to_mailbox,
            relay=relay,
            directory=mailbox.directory,
            ohttp_keys=mailbox.ohttp_keys,
            entropy=entropy,
        )
        if self.reply_key is None:
            return post(short_id=mailbox.short_id, body=v1_body, method="PUT")
        message = seal_message_b(
            payload,
            receiver_secret=mailbox.secret_key,
            reply_key=self.reply_key,
            entropy=entropy,
        )
        return post(short_id=ShortId.of(self.reply_key), body=message)

    def capacity(self, terms: Terms) -> int:
        """The most bytes a Proposal PSBT may have."""
        if self.channel is Channel.V1_DIRECTORY:
            return (_PUT_ROOM - len(terms.require_mailbox().directory)) // 4 * 3
        return PROPOSAL_CAPACITY

    def accepted(self, reply: MailboxReply) -> bool:
        """Whether the answer was taken; False: the v1 sender is gone for good.

        Raises `TransportError` for anything that another try may mend.
        """
        try:
            reply.confirm_posted()
        except TransportError:
            if self.channel is Channel.V1_DIRECTORY and 400 <= reply.status < 500:
                return False
            raise
        return True

    def require_http(self) -> None:
        """Raise `UsageError` unless the sender waits for an HTTP response."""
        if self.channel is not Channel.V1_HTTP:
            raise UsageError(
                "This sender is answered through the directory: send what `post` or `reply` gives."
            )

    def __repr__(self) -> str:
        return f"<ReplyTo by {self.channel}>"


@dataclass(frozen=True, slots=True, repr=False)
class Payload:
    """The Original PSBT, its parameters and the fallback transaction in it."""

    original: Psbt
    params: SenderParams
    fallback: Transaction
    reply_to: ReplyTo

    @classmethod
    def of(cls, event: RetrievedOriginalPayload) -> Self:
        """Read and check the event's fields; raises `ParseError` or `OriginalRejected`."""
        contribution = event.fee_contribution
        if (event.channel is Channel.MAILBOX) is (event.reply_key is None):
            raise InvalidEvent("The Original has no place for its answer; restore the log.")
        original = Psbt.parse(event.psbt)
        params = SenderParams(
            version=event.version,
            min_fee_rate=FeeRate(event.min_fee_rate),
            fee_contribution=(
                None
                if contribution is None
                else FeeContribution(Sats(contribution[0]), contribution[1])
            ),
            output_substitution=event.output_substitution,
        )
        key = None if event.reply_key is None else PublicKey.parse(event.reply_key)
        return cls(original, params, check_original(original), ReplyTo(event.channel, key))

    def __repr__(self) -> str:
        return "<Payload>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class State:
    """The fields every typestate has; the repr shows only its name and `seq` (P4)."""

    closed: ClassVar[bool] = False

    seq: int
    """How many events were applied: the slot of the next one (M1)."""
    terms: Terms

    @property
    def created(self) -> Created:
        """The event the session began with."""
        return self.terms.created

    @property
    def expires_at(self) -> UnixTime:
        """When polling and posting end."""
        return UnixTime(self.terms.created.expires_at)

    @property
    def address(self) -> Address:
        """The address the sender was shown."""
        return self.terms.address

    @property
    def payjoin_uri(self) -> PayjoinUri:
        """What to show the sender; for one sender and one payment only."""
        return self.terms.uri

    @property
    def short_id(self) -> ShortId:
        """The receiver's mailbox; raises `UsageError` in a session that is served over HTTP."""
        return self.terms.require_mailbox().short_id

    def transition(
        self, event: ReceiverEvent, successor: NextT
    ) -> Transition[ReceiverEvent, NextT]:
        """Hold the event for the slot that this state knows to be next."""
        return Transition(event, successor, seq=self.seq, closes=successor.closed)

    def require_expired(self, now: UnixTime) -> None:
        """Raise `UsageError` before the expiration."""
        if now < self.expires_at:
            raise UsageError("The session has not expired yet; wait, or cancel it instead.")

    def require_live(self, now: UnixTime) -> None:
        """Raise `UsageError` from the expiration on: EX ends posting and polling."""
        if now >= self.expires_at:
            raise UsageError("The session has expired; call `expire` and save what it gives.")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} after {self.seq} events>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WithPayload(State):
    """The fields and facts of every state that holds an Original PSBT."""

    payload: Payload

    @property
    def original(self) -> Psbt:
        """The Original PSBT, signed by the sender."""
        return self.payload.original

    @property
    def params(self) -> SenderParams:
        """What the sender asked for."""
        return self.payload.params

    @property
    def sender_outpoints(self) -> tuple[OutPoint, ...]:
        """The sender's inputs, in order: the contested outpoints."""
        return self.payload.fallback.contested()
