"""A sender's log of rust-payjoin as ours (`payjoin::send::v2::SessionEvent`)."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from dovetail.bitcoin import Address, FeeRate, Network, Psbt, Sats, Script, UnixTime
from dovetail.errors import InvalidUri, ProposalRejected, UsageError
from dovetail.protocol.params import FeeContribution, SenderParams
from dovetail.protocol.proposal import check_proposal
from dovetail.protocol.settlement import paid_to
from dovetail.protocol.uri import PayjoinUri, V2Endpoint
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender import events
from dovetail.sessions.sender.creation import LONGEST_WAIT
from dovetail.sessions.sender.events import SenderEvent
from dovetail.stores.rust_payjoin.shapes import (
    OVER,
    Bytes,
    JsonPsbt,
    Number,
    config_of,
    key_of,
    read_log,
    readable,
)


class _Contribution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    max_amount: Number
    vout: Number


class _Context(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    original_psbt: JsonPsbt
    output_substitution: Literal["Enabled", "Disabled"]
    fee_contribution: _Contribution | None
    min_fee_rate: Number
    payee: str


class _Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    directory: str
    id: Bytes
    expiration: Number
    ohttp_keys: Bytes
    receiver_pubkey: Bytes


class _Created(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pj_param: _Endpoint
    psbt_ctx: _Context
    reply_key: Bytes


class _Success(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    Success: JsonPsbt


class _Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    Created: _Created | None = None
    PostedOriginalPsbt: list[int] | None = None
    Cancelled: list[int] | None = None
    Closed: _Success | Literal["Aborted"] | None = None


def sender_events(
    entries: Iterable[str | bytes], *, network: Network, now: UnixTime
) -> tuple[SenderEvent, ...]:
    """Our log of a sender's session; `network` is that of its address, which the log leaves out.

    rust-payjoin does not note when it begins to post, so the Original counts as posted. A proposal
    that it received is checked again here, and waits for the wallet's signatures: it was not
    noted whether it was signed, so look at the chain first, as a step does.

    Raises `ParseError` for what rust-payjoin 1.2 does not write, and `UsageError` for a session
    that has ended without a proposal.
    """
    with readable():
        log = read_log(entries, _Event)
        created = log[0][1]
        uri = _uri(created, network)
        original = created.psbt_ctx.original_psbt.read()
        ours = _created(created, uri, original, now)
        later = [_event(tag, fields, uri, original, ours) for tag, fields in log[1:]]
        return (ours, events.StartedPosting(), *later)


def _event(
    tag: str, fields: object, uri: PayjoinUri, original: Psbt, ours: events.Created
) -> SenderEvent:
    if tag == "PostedOriginalPsbt":
        return events.PostedOriginalPsbt()
    if tag == "Cancelled":
        return events.Cancelled()
    if isinstance(fields, _Success):
        return _judged(fields.Success.read(), uri, original, ours)
    raise UsageError(OVER)


def _judged(
    proposal: Psbt, uri: PayjoinUri, original: Psbt, ours: events.Created
) -> events.ReceivedProposal | events.ProtocolFailed:
    """The sender's checklist once more (BIP 78)."""
    contribution = ours.fee_contribution
    params = SenderParams(
        fee_contribution=(
            None
            if contribution is None
            else FeeContribution(Sats(contribution[0]), contribution[1])
        ),
        min_fee_rate=FeeRate(ours.min_fee_rate),
        output_substitution=ours.output_substitution,
    )
    try:
        checked = check_proposal(
            original=original,
            proposal=proposal,
            params=params,
            payee=uri.address.script_pubkey,
            output_substitution=True,
        )
    except ProposalRejected as error:
        return events.ProtocolFailed(reason=Reason.PROPOSAL_BROKE_RULE, rule=error.rule)
    return events.ReceivedProposal(proposal=checked.serialize())


def _uri(created: _Created, network: Network) -> PayjoinUri:
    """The Payjoin URI as far as the log has it: label and message are left out there."""
    asked = created.pj_param
    origin, _, mailbox = asked.directory.partition("#")[0].rpartition("/")
    payee = Script(bytes.fromhex(created.psbt_ctx.payee))
    endpoint = V2Endpoint(
        origin,
        key_of(asked.receiver_pubkey),
        config_of(asked.ohttp_keys),
        UnixTime(asked.expiration),
    )
    if mailbox.upper() != endpoint.short_id:
        raise InvalidUri("The session's mailbox is not its receiver's: pay without a payjoin.")
    original = created.psbt_ctx.original_psbt.read().extract()
    return PayjoinUri(Address.from_script(payee, network), paid_to(original, payee), endpoint)


def _created(created: _Created, uri: PayjoinUri, original: Psbt, now: UnixTime) -> events.Created:
    context, expiration = created.psbt_ctx, created.pj_param.expiration
    contribution = context.fee_contribution
    return events.Created(
        uri=uri.serialize(),
        original=original.serialize(),
        min_fee_rate=context.min_fee_rate,
        fee_contribution=(
            None if contribution is None else (contribution.max_amount, contribution.vout)
        ),
        output_substitution=context.output_substitution == "Enabled",
        reply_key=bytes(created.reply_key),
        created_at=now,
        expires_at=min(expiration, now + LONGEST_WAIT),
    )
