"""Builders of Originals, coins and proposals.

Signatures have the right form and sign nothing; `accept` looks at a proposal signed for real.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.protocol import signer
from tests.protocol.signer import Signed, final_scripts, signed_again

from dovetail.bitcoin import FeeRate, Psbt, PsbtInput, Sats, Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.crypto.entropy import SeededEntropy
from dovetail.errors import ProposalRejected
from dovetail.protocol import Coin, FeeContribution, SenderParams
from dovetail.protocol.contribution import (
    Draft,
    apply_fees,
    begin_draft,
    commit_outputs,
    finalize,
    place_coins,
)
from dovetail.protocol.proposal import RULES, check_proposal

KEY = signer.KEY
ORIGIN = b"\xaa\xbb\xcc\xdd" + bytes(4)


def ecdsa(size: int = 72, sighash: int = 1) -> bytes:
    """A DER signature's form, and a sighash byte; 72 bytes are the most there can be."""
    half = (size - 7) // 2
    first, second = b"\x11" * half, b"\x11" * (size - 7 - half)
    body = b"\x02" + bytes([len(first)]) + first + b"\x02" + bytes([len(second)]) + second
    return b"\x30" + bytes([len(body)]) + body + bytes([sighash])


P2WPKH, P2PKH, P2TR = signer.P2WPKH, signer.P2PKH, signer.P2TR
NESTED, P2WSH, P2SH, MULTISIG = signer.NESTED, signer.P2WSH, signer.P2SH, signer.MULTISIG
UNKNOWN = Script(b"\x51")
ALL_KINDS = signer.ALL_KINDS

PAYEE = Script(b"\x00\x14" + b"\x01" * 20)
CHANGE = Script(b"\x00\x14" + b"\x02" * 20)
SUPPLIER = Script(b"\x00\x14" + b"\x03" * 20)
FRESH = Script(b"\x51\x20" + b"\x04" * 32)


def sign(script: Script, signature: bytes | None = None) -> Signed:
    """A script_sig and witness of the right form."""
    return final_scripts(script, ecdsa() if signature is None else signature)


def funding(value: int, script: Script, seed: int) -> Transaction:
    """A transaction whose output 0 is a coin of this value; seeds make them differ."""
    source = TxIn(OutPoint(Txid(seed.to_bytes(32, "big")), 0))
    return Transaction(2, (source,), (TxOut(Sats(value), script),), 0)


def unsigned_input(script: Script, previous: Transaction) -> PsbtInput:
    """What a wallet knows of its coin before it signs."""
    psbt_input = PsbtInput()
    if script in (P2PKH, P2SH):
        psbt_input = psbt_input.with_non_witness_utxo(previous)
    else:
        psbt_input = psbt_input.with_witness_utxo(previous.outputs[0])
    match script:
        case _ if script == NESTED:
            return psbt_input.with_redeem_script(P2WPKH)
        case _ if script == P2SH:
            return psbt_input.with_redeem_script(MULTISIG)
        case _ if script == P2WSH:
            return psbt_input.with_witness_script(MULTISIG)
        case _:
            return psbt_input


def original(
    *inputs: tuple[int, Script],
    outputs: Sequence[tuple[int, Script]] = ((50_000, PAYEE), (48_590, CHANGE)),
    sequence: int = 0xFFFFFFFD,
    signature: bytes | None = None,
) -> Psbt:
    """An Original as it is sent; by default 100,000 sats pay 50,000 at 10 sat/vB."""
    coins = inputs or ((100_000, P2WPKH),)
    sources = [funding(value, script, seed) for seed, (value, script) in enumerate(coins, 1)]
    unsigned = Transaction(
        version=2,
        inputs=tuple(TxIn(OutPoint(each.txid, 0), sequence=sequence) for each in sources),
        outputs=tuple(TxOut(Sats(value), script) for value, script in outputs),
        lock_time=800_000,
    )
    psbt = Psbt.from_unsigned(unsigned)
    for index, (source, (_, script)) in enumerate(zip(sources, coins, strict=True)):
        known = unsigned_input(script, source).without_signing_data()
        psbt = psbt.with_input(index, known.with_final(*sign(script, signature)))
    return psbt


def coin(
    value: int = 70_000, script: Script = P2WPKH, *, seed: int = 99, exposed: bool = False
) -> Coin:
    source = funding(value, script, seed)
    return Coin(
        OutPoint(source.txid, 0), unsigned_input(script, source), source.outputs[0], exposed
    )


def params(
    max_amount: int | None = None,
    output_index: int = 1,
    *,
    min_fee_rate: float = 0,
    output_substitution: bool = True,
) -> SenderParams:
    offer = None if max_amount is None else FeeContribution(Sats(max_amount), output_index)
    return SenderParams(
        min_fee_rate=FeeRate.from_sat_per_vb(min_fee_rate),
        fee_contribution=offer,
        output_substitution=output_substitution,
    )


def rate(sat_per_vb: float) -> FeeRate:
    return FeeRate.from_sat_per_vb(sat_per_vb)


def sign_ours(draft: Draft, signature: bytes | None = None) -> Psbt:
    """What the receiver's wallet makes of a draft."""
    psbt = draft.psbt()
    for placed in draft.inputs:
        final = psbt.inputs[placed.position].with_final(
            *sign(placed.coin.utxo.script_pubkey, signature)
        )
        psbt = psbt.with_input(placed.position, final)
    return psbt


def build_draft(psbt: Psbt, sender_params: SenderParams, *coins: Coin) -> Draft:
    """A draft with coins placed and fees applied."""
    started = place_coins(commit_outputs(begin_draft(psbt, sender_params, (0,))), coins)
    return apply_fees(started, min_fee_rate=rate(1), max_fee_rate=rate(20))


def build_proposal(psbt: Psbt, sender_params: SenderParams, *coins: Coin) -> Psbt:
    """An honest receiver's proposal."""
    ready = build_draft(psbt, sender_params, *coins)
    return finalize(ready, sign_ours(ready))


def with_outputs(psbt: Psbt, *outputs: TxOut) -> Psbt:
    """The PSBT with other outputs in its transaction, and empty maps for them."""
    changed = replace(psbt.unsigned_transaction, outputs=outputs)
    maps = Psbt.from_unsigned(changed).outputs
    return psbt.with_transaction(changed, psbt.inputs, maps)


def with_inputs(psbt: Psbt, *inputs: tuple[TxIn, PsbtInput]) -> Psbt:
    """The PSBT with other inputs."""
    changed = replace(psbt.unsigned_transaction, inputs=tuple(txin for txin, _ in inputs))
    return psbt.with_transaction(changed, tuple(each for _, each in inputs), psbt.outputs)


def input_pairs(psbt: Psbt) -> list[tuple[TxIn, PsbtInput]]:
    return list(zip(psbt.unsigned_transaction.inputs, psbt.inputs, strict=True))


def values(transaction: Transaction) -> list[int]:
    return [int(txout.value) for txout in transaction.outputs]


def propose(started: Draft, *coins: Coin) -> Psbt:
    """An honest proposal with the receiver's input at the end."""
    drawn = (
        place_coins(started, coins or (coin(),), entropy=SeededEntropy(bytes([seed])))
        for seed in range(256)
    )
    last = len(started.original.inputs)
    placed = next(each for each in drawn if each.inputs[0].position == last)
    ready = apply_fees(placed, min_fee_rate=rate(1), max_fee_rate=rate(20))
    return finalize(ready, sign_ours(ready))


def out(value: int, script: Script) -> TxOut:
    return TxOut(Sats(value), script)


def outputs_of(psbt: Psbt) -> tuple[TxOut, ...]:
    return psbt.unsigned_transaction.outputs


def accept(
    proposal: Psbt,
    psbt: Psbt | None = None,
    sent: SenderParams | None = None,
    *,
    output_substitution: bool = True,
) -> Psbt:
    """Our own check of a proposal; by default of the default Original, with 680 sats offered."""
    ours = psbt or original()
    known = dict(zip(ours.unsigned_transaction.contested(), ours.utxos(), strict=True))
    return check_proposal(
        original=ours,
        proposal=signed_again(proposal, known),
        params=sent or params(680),
        payee=PAYEE,
        output_substitution=output_substitution,
    )


FORBIDDEN = params(680, output_substitution=False)


def broken_rule(
    proposal: Psbt, psbt: Psbt | None = None, sent: SenderParams | None = None, **options: bool
) -> str:
    with pytest.raises(ProposalRejected) as caught:
        accept(proposal, psbt, sent, **options)
    assert caught.value.rule in RULES
    message = str(caught.value)
    assert message.startswith("The proposal ")
    assert message.count(".") == 1
    return caught.value.rule
