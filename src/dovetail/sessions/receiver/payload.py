"""The sender's payload and the decisions about it, read from events when first needed.

Parsing a PSBT costs more than the whole rest of a replay, and a closed session needs no PSBT.
So `apply` compares checksums, which cost next to nothing, and `replay` parses everything again
where the session is live.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

from dovetail.bitcoin.psbt import KeyMap, Psbt, PsbtInput
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, TxOut
from dovetail.bitcoin.units import FeeRate, Sats
from dovetail.crypto.entropy import Entropy
from dovetail.crypto.secp256k1 import PublicKey
from dovetail.errors import InvalidEvent, TransportError, UsageError
from dovetail.protocol.coin import Coin, PlacedCoin
from dovetail.protocol.draft import Draft, begin_draft
from dovetail.protocol.mailbox import PROPOSAL_CAPACITY, ShortId, seal_message_b
from dovetail.protocol.original import fallback_of
from dovetail.protocol.params import FeeContribution, SenderParams
from dovetail.protocol.requests import MailboxReply, OhttpContext, Request, post_to_mailbox
from dovetail.protocol.verification import Verdict, verify
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver.events import (
    AppliedFeeRange,
    Channel,
    CommittedCoin,
    CommittedInputs,
    CommittedOutputs,
    FinalizedProposal,
    IdentifiedReceiverOutputs,
    RetrievedOriginalPayload,
    checksum_of,
)
from dovetail.sessions.receiver.terms import Terms
from dovetail.sessions.settlement import require_spend

# The room in a padded BHTTP request of 8104 bytes for a PUT's body and the directory's name.
_PUT_ROOM = 8040


@dataclass(frozen=True, slots=True, repr=False)
class ReplyTo:
    """Where the sender is answered."""

    channel: Channel
    reply_key: PublicKey | None

    def post(
        self, payload: bytes, v1_body: bytes, terms: Terms, relay: str | None, entropy: Entropy
    ) -> tuple[Request, OhttpContext]:
        """The one request that carries the answer (P1).

        `payload` is the content of Message B, `v1_body` is what a v1 sender reads. Raises
        `PayloadTooLarge`, and `UsageError` where the answer is an HTTP response.
        """
        if self.channel is Channel.V1_HTTP:
            raise UsageError(
                "This sender waits for an HTTP response: answer with `v1_body` instead."
            )
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
            if self.channel is Channel.V1_DIRECTORY and reply.refused_for_good:
                return False
            raise
        return True

    def require_http(self) -> None:
        """Raise `UsageError` unless the sender waits for an HTTP response."""
        if self.channel is not Channel.V1_HTTP:
            raise UsageError(
                "This sender is answered through the directory: send what `reply` or `post` makes."
            )

    def __repr__(self) -> str:
        return f"<ReplyTo by {self.channel}>"


@dataclass(frozen=True, slots=True, repr=False)
class RefusedOriginal:
    """A refused Original: the mark by which it is recognized, and the reason."""

    mark: bytes
    reason: Reason

    def __repr__(self) -> str:
        return f"<RefusedOriginal for {self.reason}>"


def mark_of(reply_key: bytes | None, psbt: bytes) -> bytes:
    """The mark by which an Original is recognized: the key for its answer, or its checksum."""
    return checksum_of(psbt).to_bytes(4, "big") if reply_key is None else reply_key


# An agent replays the same logs again and again: cached, so these bytes are parsed once.
_read_original = lru_cache(maxsize=128)(Psbt.parse)
_read_proposal = lru_cache(maxsize=128)(Psbt.parse)
_read_key = lru_cache(maxsize=128)(PublicKey.parse)


@lru_cache(maxsize=128)
def _read_fallback(psbt: bytes) -> Transaction:
    return fallback_of(_read_original(psbt))


@dataclass(frozen=True, repr=False)
class Payload:
    """The Original PSBT, its parameters and the fallback transaction in it."""

    event: RetrievedOriginalPayload
    refused: tuple["RefusedOriginal", ...] = ()
    """The Originals that came before it and were refused."""
    known_at: int | None = None
    """The best block's height when its inputs were known to exist; None: not recorded."""

    @cached_property
    def original(self) -> Psbt:
        """The Original PSBT; raises `InvalidPsbt`."""
        return _read_original(self.event.psbt)

    @cached_property
    def fallback_transaction(self) -> Transaction:
        """The transaction in it; raises `OriginalRejected` or `InvalidPsbt`."""
        return _read_fallback(self.event.psbt)

    def keep(self, original: Psbt, fallback: Transaction) -> None:
        """Keep what was just parsed from the bytes of the event, so that it is not parsed again."""
        self.__dict__.update(original=original, fallback_transaction=fallback)

    @cached_property
    def params(self) -> SenderParams:
        """The parameters that the sender asked for; raises `ParseError`."""
        contribution = self.event.fee_contribution
        return SenderParams(
            version=self.event.version,
            min_fee_rate=FeeRate(self.event.min_fee_rate),
            fee_contribution=(
                None
                if contribution is None
                else FeeContribution(Sats(contribution[0]), contribution[1])
            ),
            output_substitution=self.event.output_substitution,
        )

    @cached_property
    def reply_to(self) -> ReplyTo:
        """Where the sender is answered; raises `InvalidKey` or `InvalidEvent`."""
        channel, key = self.event.channel, self.event.reply_key
        if (channel is Channel.MAILBOX) is (key is None):
            raise InvalidEvent("The Original has no place for its answer; restore the log.")
        return ReplyTo(channel, None if key is None else _read_key(key))

    @property
    def contested(self) -> tuple[OutPoint, ...]:
        """The sender's inputs, in order, which payjoin and fallback both spend."""
        return self.fallback_transaction.contested()

    def require_spend(self, transaction: Transaction) -> None:
        """Raise `UsageError` unless `transaction` spends a contested outpoint."""
        require_spend(self.contested, transaction)

    @cached_property
    def signatures(self) -> Verdict:
        """Whether its signatures hold, over what it says it spends."""
        return verify(self.fallback_transaction, self.original.utxos())

    @property
    def mark(self) -> bytes:
        """The mark by which it is recognized if it is refused and comes again."""
        return mark_of(self.event.reply_key, self.event.psbt)

    def __repr__(self) -> str:
        return "<Payload>"


@dataclass(frozen=True, repr=False)
class Plan:
    """The decisions about the proposal so far."""

    payload: Payload
    identified: IdentifiedReceiverOutputs
    outputs: CommittedOutputs | None = None
    inputs: CommittedInputs | None = None
    fees: AppliedFeeRange | None = None

    @cached_property
    def draft(self) -> Draft:
        """The proposal under construction; raises `ParseError` or `UsageError`."""
        original, params = self.payload.original, self.payload.params
        if self.outputs is None:
            return begin_draft(original, params, self.identified.receiver_outputs)
        return Draft(
            original=original,
            params=params,
            receiver_outputs=self.identified.receiver_outputs,
            outputs=_valued(self.outputs.outputs, self._values(self.outputs)),
            drain=self.outputs.drain,
            inputs=() if self.inputs is None else tuple(map(_placed, self.inputs.coins)),
        )

    def _values(self, outputs: CommittedOutputs) -> Collection[int]:
        """The values of the outputs, by the last decision about them."""
        if self.fees is not None:
            return self.fees.values
        values = [value for value, _ in outputs.outputs]
        if self.inputs is not None and outputs.drain < len(values):
            values[outputs.drain] = self.inputs.drain_value
        return values

    def __repr__(self) -> str:
        return "<Plan>"


@lru_cache(maxsize=128)
def _placed(coin: CommittedCoin) -> PlacedCoin:
    return PlacedCoin(
        Coin(
            OutPoint.parse(coin.outpoint),
            PsbtInput(KeyMap(coin.fields)),
            TxOut(Sats(coin.value), Script(coin.script)),
            coin.exposed,
        ),
        coin.position,
    )


def _valued(outputs: Collection[tuple[int, bytes]], values: Collection[int]) -> tuple[TxOut, ...]:
    if len(values) != len(outputs):
        raise InvalidEvent("The values do not match the outputs; restore the log.")
    pairs = zip(outputs, values, strict=True)
    return tuple([TxOut(Sats(value), Script(script)) for (_, script), value in pairs])


@dataclass(frozen=True, repr=False)
class Finalized:
    """The Proposal PSBT as the sender gets it."""

    event: FinalizedProposal
    payload: Payload

    @cached_property
    def psbt(self) -> Psbt:
        """The Proposal PSBT; raises `InvalidPsbt` or `InvalidEvent`."""
        proposal = _read_proposal(self.event.psbt)
        contested = self.payload.contested
        if not set(contested).issubset(proposal.unsigned_transaction.contested()):
            raise InvalidEvent("The proposal leaves out an input of the sender; restore the log.")
        return proposal

    def __repr__(self) -> str:
        return "<Finalized>"
