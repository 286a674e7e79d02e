"""The real cost of a payment for each party: the fee, its rate, and the amount received."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from dovetail.bitcoin import FeeRate, Psbt, Sats, Script, Transaction, Txid
from dovetail.errors import ParseError
from dovetail.protocol.cost import shares
from dovetail.protocol.settlement import Settlement, paid_to
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.receiver import ReceiverSession
from dovetail.sessions.receiver.payload import Payload
from dovetail.sessions.sender import SenderSession
from dovetail.sessions.sender.events import Created

_Proposed: TypeAlias = receiver.PayjoinProposal | receiver.Monitor | receiver.Closed
_Paying: TypeAlias = sender.PendingBroadcast | sender.Monitor | sender.Closed


@dataclass(frozen=True, slots=True)
class Received:
    """The total that a receiver gets: by payjoin, ordinary payment or other transactions."""

    amount: Sats
    paid: Sats
    """The receiver's part of the fee: the part of the sender's payment that is missing here."""


@dataclass(frozen=True, slots=True)
class Paid:
    """The whole fee of the transaction by which a sender pays, and its rate."""

    fee: Sats
    rate: FeeRate
    asked: FeeRate
    """The rate that was chosen when the payment began."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The effect of a payjoin on one party, compared with an ordinary payment."""

    cost: Sats
    """A sender pays that much more, or a receiver gets that much less."""
    added: tuple[Sats, ...]
    """The value of the coins that the receiver added."""


@dataclass(frozen=True, slots=True)
class WholeFee:
    """The whole fee of the transaction that pays, the parts of both parties together."""

    fee: Sats
    rate: FeeRate | None
    """None before the sender's signatures of a payjoin have been seen."""


class Spending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`Received` or `Paid` as a row keeps it; satoshis and sat/kwu."""

    received: tuple[int, int] | None = None
    paid: tuple[int, int, int] | None = None

    @property
    def amounts(self) -> Received | Paid | None:
        """The cost of the payment; None where it is not known."""
        if self.received is not None:
            amount, paid = self.received
            return Received(Sats(amount), Sats(paid))
        if self.paid is not None:
            fee, rate, asked = self.paid
            return Paid(Sats(fee), FeeRate(rate), FeeRate(asked))
        return None


def figures(
    amounts: Received | Paid | None,
) -> tuple[tuple[int, int] | None, tuple[int, int, int] | None]:
    """The fields of a `Spending`."""
    match amounts:
        case Received(amount=amount, paid=paid):
            return (int(amount), int(paid)), None
        case Paid(fee=fee, rate=rate, asked=asked):
            return None, (int(fee), rate.sat_per_kwu, asked.sat_per_kwu)
        case _:
            return None, None


def amounts_of(state: ReceiverSession | SenderSession) -> Received | Paid | None:
    """The cost of a session's payment; None before a transaction that pays is chosen."""
    try:
        match state:
            case receiver.PayjoinProposal() | receiver.Monitor() | receiver.Closed():
                return _received(state)
            case sender.PendingBroadcast() | sender.Monitor() | sender.Closed():
                return _paid(state)
            case _:
                return None
    except ParseError:  # the payloads of a closed session were not parsed before
        return None


def _received(state: _Proposed) -> Received | None:
    payload, finalized = state.payload, state.finalized
    beside = (
        getattr(state.outcome, "received", None) if isinstance(state, receiver.Closed) else None
    )
    if beside is not None:
        return Received(Sats(beside), Sats(0))
    if payload is None:
        return None
    script = state.address.script_pubkey
    match _way(state, payload):
        case Settlement.FALLBACK:
            return Received(paid_to(payload.fallback_transaction, script), Sats(0))
        case Settlement.PAYJOIN if finalized is not None:
            return by_payjoin_of(payload, finalized.psbt, script)
        case _:
            return None


def _way(state: _Proposed, payload: Payload) -> Settlement | None:
    """How the payment is made, as far as is known; None: not by this session."""
    match state:
        case receiver.Closed(outcome=outcomes.FallbackBroadcasted()):
            return Settlement.FALLBACK
        case receiver.Closed(outcome=outcomes.Success() | outcomes.PayjoinProposalSent()):
            return Settlement.PAYJOIN
        case receiver.Closed():
            return None
        case receiver.Monitor() if state.expected == payload.fallback_transaction.txid:
            return Settlement.FALLBACK
        case receiver.Monitor() if state.released or _is_known_stranger(state):
            return None
        case _:
            return Settlement.PAYJOIN


def joined_of(state: ReceiverSession | SenderSession) -> Joined | None:
    """The payjoin's effect on the session's own party; None where the payjoin is not what pays."""
    try:
        match state:
            case receiver.PayjoinProposal() | receiver.Monitor() | receiver.Closed():
                return _receiver_joined(state)
            case sender.PendingBroadcast() | sender.Monitor() | sender.Closed():
                return _sender_joined(state)
            case _:
                return None
    except ParseError:  # as in `amounts_of`
        return None


def _receiver_joined(state: _Proposed) -> Joined | None:
    payload, finalized = state.payload, state.finalized
    if payload is None or finalized is None or _way(state, payload) is not Settlement.PAYJOIN:
        return None
    found = shares(payload.original, finalized.psbt, payload.params.fee_contribution)
    return Joined(found.from_receiver, found.added)


def whole_fee_of(state: ReceiverSession) -> WholeFee | None:
    """The whole fee of the transaction that pays a receiver; None where it cannot be known."""
    try:
        match state:
            case receiver.PayjoinProposal() | receiver.Monitor() | receiver.Closed():
                return _whole_fee(state)
            case _:
                return None
    except ParseError:  # as in `amounts_of`
        return None


def _whole_fee(state: _Proposed) -> WholeFee | None:
    payload, finalized = state.payload, state.finalized
    if payload is None:
        return None
    match _way(state, payload):
        case Settlement.FALLBACK:
            fee = payload.original.fee
            return WholeFee(fee, FeeRate.of(fee, payload.fallback_transaction.weight))
        case Settlement.PAYJOIN if finalized is not None:
            fee = shares(payload.original, finalized.psbt, payload.params.fee_contribution).fee
            payjoin = _confirmed_payjoin(state)
            return WholeFee(fee, None if payjoin is None else FeeRate.of(fee, payjoin.weight))
        case _:
            return None


def _confirmed_payjoin(state: _Proposed) -> Transaction | None:
    """The payjoin with the signatures that the chain showed."""
    match state:
        case receiver.Closed(outcome=outcomes.Success(signatures=signatures)) if signatures:
            return state.payjoin
        case _:
            return None


def _sender_joined(state: _Paying) -> Joined | None:
    proposal, payjoin = state.proposal, state.payjoin
    if proposal is None or payjoin is None or payjoin.txid != _settling(state):
        return None
    payment = state.terms
    found = shares(payment.original, proposal, payment.params.fee_contribution)
    return Joined(found.more_from_sender, found.added)


def by_payjoin_of(payload: Payload, proposal: Psbt, script: Script) -> Received:
    """The amount a proposal's payjoin pays to the receiver's address, less the coins it added."""
    found = shares(payload.original, proposal, payload.params.fee_contribution)
    return Received(
        paid_to(payload.fallback_transaction, script) - found.from_receiver, found.from_receiver
    )


def _is_known_stranger(state: receiver.Monitor) -> bool:
    """Whether what was seen is no payjoin, by a txid that no signature can have changed."""
    proposal = state.proposal
    if state.expected is None or proposal is None:
        return False
    fixed = all(utxo.script_pubkey.is_witness_program for utxo in state.original.utxos())
    fixed = fixed and not any(each.final_script_sig for each in proposal.inputs)
    return fixed and state.expected != proposal.unsigned_transaction.txid


def _paid(state: _Paying) -> Paid | None:
    for fee, transaction in _known(state):
        if transaction.txid == _settling(state):
            created = state.created
            asked = created.min_fee_rate if isinstance(created, Created) else 0
            return Paid(fee, FeeRate.of(fee, transaction.weight), FeeRate(asked))
    return None


def _known(state: _Paying) -> Iterator[tuple[Sats, Transaction]]:
    """The transactions that may pay, as they were signed here, each with its fee."""
    original = state.terms.original
    yield original.fee, state.terms.fallback_transaction
    if state.proposal is not None and state.payjoin is not None:
        yield state.proposal.fee, state.payjoin
    if not isinstance(state, sender.PendingBroadcast) and state.bumped is not None:
        yield state.bumped.fee, state.bumped.extract()


def _settling(state: _Paying) -> Txid | None:
    match state:
        case sender.PendingBroadcast():
            return state.payjoin.txid
        case sender.Monitor():
            return state.expected
        case sender.Closed(outcome=outcomes.Success() | outcomes.FallbackBroadcasted() as outcome):
            return Txid.from_hex(outcome.txid)
        case _:
            return None


def amount_of(state: ReceiverSession | SenderSession) -> Sats | None:
    """The amount of the session; None for a receiver that named no amount and was not paid."""
    match state:
        case (
            sender.WithReplyKey()
            | sender.PostingOriginal()
            | sender.PollingForProposal()
            | sender.ProposalReceived()
            | sender.PendingBroadcast()
            | sender.PendingFallback()
            | sender.Monitor()
            | sender.Closed()
        ):
            return paid_to(state.fallback_transaction, state.terms.address.script_pubkey)
        case _ if state.created.amount is not None:
            return Sats(state.created.amount)
        case _:
            payload = getattr(state, "payload", None)
            script = state.address.script_pubkey
            return None if payload is None else paid_to(payload.fallback_transaction, script)
