"""A receiver's log of rust-payjoin as ours (`payjoin::receive::v2::SessionEvent`)."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from dovetail.bitcoin import OutPoint, TxOut, UnixTime
from dovetail.errors import InvalidPsbt
from dovetail.protocol.uri import parse_directory
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import events
from dovetail.sessions.receiver.events import Channel, ReceiverEvent, checksum_of
from dovetail.stores.rust_payjoin.shapes import (
    Bytes,
    JsonInput,
    JsonOutput,
    JsonPsbt,
    JsonTxIn,
    Number,
    config_of,
    key_of,
    read_log,
    readable,
    require_open,
)


class _Created(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    address: str
    directory: str
    ohttp_keys: Bytes
    expiration: Number
    amount: Number | None
    receiver_key: tuple[Bytes, Bytes]
    reply_key: Bytes | None
    max_fee_rate: Number


class _Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    v: Literal[1, 2]
    output_substitution: Literal["Enabled", "Disabled"]
    additional_fee_contribution: tuple[Number, Number] | None
    min_fee_rate: Number


class _Original(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    psbt: JsonPsbt
    params: _Params


class _Retrieved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    original: _Original
    reply_key: Bytes | None


class _Outputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    outputs: list[JsonOutput]
    change_vout: Number


class _Coin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    txin: JsonTxIn
    psbtin: JsonInput
    expected_weight: Number


class _Inputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    receiver_inputs: list[_Coin]
    payjoin_psbt: JsonPsbt


class _Fees(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    original_psbt: JsonPsbt
    payjoin_psbt: JsonPsbt


class _Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    Created: _Created | None = None
    RetrievedOriginalPayload: _Retrieved | None = None
    CheckedBroadcastSuitability: list[int] | None = None
    CheckedInputsNotOwned: list[int] | None = None
    CheckedNoInputsSeenBefore: list[int] | None = None
    IdentifiedReceiverOutputs: list[Number] | None = None
    CommittedOutputs: _Outputs | None = None
    CommittedInputs: _Inputs | None = None
    AppliedFeeRange: _Fees | None = None
    FinalizedProposal: JsonPsbt | None = None
    GotReplyableError: dict[str, Any] | None = None
    PostedPayjoinProposal: list[int] | None = None
    Cancelled: list[int] | None = None
    ProtocolFailed: list[int] | None = None
    Closed: dict[str, Any] | str | None = None


_KEPT = frozenset({"FinalizedProposal", "Cancelled"})
"""What must not be decided anew: a sender may have the proposal, or a person has decided."""


def receiver_events(entries: Iterable[str | bytes], *, now: UnixTime) -> tuple[ReceiverEvent, ...]:
    """Our log of a receiver's session.

    Where no proposal was signed and nobody cancelled, the Original is checked anew by our rules:
    what rust-payjoin had found is left out. A sender that was told an error already keeps it, as
    a mailbox keeps its first message.

    Raises `ParseError` for what rust-payjoin 1.2 does not write, and `UsageError` for a session
    that has ended.
    """
    with readable():
        log = read_log(entries, _Event)
        require_open(log)
        if _KEPT.isdisjoint(tag for tag, _ in log):
            log = log[:2]
        drain = next((fields.change_vout for tag, fields in log if tag == "CommittedOutputs"), 0)
        # The reason of an error is not in the log, and what ended the session follows it.
        told = [each for each in log if each[0] != "GotReplyableError"]
        return tuple(_event(tag, fields, now, drain) for tag, fields in told)


def _event(tag: str, fields: Any, now: UnixTime, drain: int) -> ReceiverEvent:
    match tag:
        case "Created":
            return _created(fields)
        case "RetrievedOriginalPayload":
            return _retrieved(fields, now)
        case "IdentifiedReceiverOutputs":
            return events.IdentifiedReceiverOutputs(receiver_outputs=tuple(fields))
        case "CommittedOutputs":
            outputs = [(each.value, bytes.fromhex(each.script_pubkey)) for each in fields.outputs]
            return events.CommittedOutputs(outputs=tuple(outputs), drain=drain)
        case "CommittedInputs":
            return _inputs(fields, drain)
        case "AppliedFeeRange":
            paid = fields.payjoin_psbt.unsigned_tx.output
            return events.AppliedFeeRange(values=tuple(each.value for each in paid))
        case "FinalizedProposal":
            psbt = fields.read().serialize()
            return events.FinalizedProposal(psbt=psbt, checksum=checksum_of(psbt))
        case "ProtocolFailed":
            return events.ProtocolFailed(reason=Reason.DIRECTORY_REFUSED)
        case _:
            return _PLAIN[tag]()


_PLAIN: dict[str, Callable[[], ReceiverEvent]] = {
    "CheckedBroadcastSuitability": events.CheckedBroadcastSuitability,
    "CheckedInputsNotOwned": events.CheckedInputsNotOwned,
    "CheckedNoInputsSeenBefore": events.CheckedNoInputsSeenBefore,
    "PostedPayjoinProposal": events.PostedPayjoinProposal,
    "Cancelled": events.Cancelled,
}


def _created(created: _Created) -> events.Created:
    return events.Created(
        address=created.address,
        checksum=checksum_of(created.address.encode()),
        expires_at=created.expiration,
        endpoint=events.Mailbox(
            directory=parse_directory(created.directory),
            ohttp_keys=config_of(created.ohttp_keys).serialize(),
            secret_key=bytes(created.receiver_key[0]),
        ),
        amount=created.amount,
        welcomes_v1=True,
    )


def _retrieved(retrieved: _Retrieved, now: UnixTime) -> events.RetrievedOriginalPayload:
    psbt = retrieved.original.psbt.read().serialize()
    params, key = retrieved.original.params, retrieved.reply_key
    return events.RetrievedOriginalPayload(
        psbt=psbt,
        checksum=checksum_of(psbt),
        retrieved_at=now,
        version=params.v,
        min_fee_rate=params.min_fee_rate,
        fee_contribution=params.additional_fee_contribution,
        output_substitution=params.output_substitution == "Enabled",
        channel=Channel.V1_DIRECTORY if key is None else Channel.MAILBOX,
        reply_key=None if key is None else key_of(key).compressed,
    )


def _inputs(inputs: _Inputs, drain: int) -> events.CommittedInputs:
    payjoin = inputs.payjoin_psbt.unsigned_tx
    places = {each.previous_output: index for index, each in enumerate(payjoin.input)}
    coins = [_coin(coin, places) for coin in inputs.receiver_inputs]
    return events.CommittedInputs(
        coins=tuple(sorted(coins, key=lambda coin: coin.position)),
        drain_value=payjoin.output[drain].value,
    )


def _coin(coin: _Coin, places: dict[str, int]) -> events.CommittedCoin:
    outpoint = OutPoint.parse(coin.txin.previous_output)
    known = coin.psbtin.read()
    utxo: TxOut | None = known.witness_utxo
    if known.non_witness_utxo is not None:
        utxo = known.non_witness_utxo.outputs[outpoint.vout]
    if utxo is None or coin.txin.previous_output not in places:
        raise InvalidPsbt("The log does not tell a coin of the proposal: restore it from a backup.")
    return events.CommittedCoin(
        outpoint=str(outpoint),
        position=places[coin.txin.previous_output],
        value=int(utxo.value),
        script=bytes(utxo.script_pubkey),
        exposed=False,
        fields=known.map.entries,
    )
