"""Sign only the inputs of a node's wallet (BIP 174, Signer and Finalizer).

The node's `walletprocesspsbt` fills in and finalizes all it can. So it gets a new PSBT, and only
the wallet's own final scripts are taken from the result.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from dovetail.bitcoin import (
    OutPoint,
    Psbt,
    PsbtInput,
    Script,
    ScriptType,
    Transaction,
    TxOut,
    read_psbt,
)
from dovetail.errors import InvalidPsbt, WalletError
from dovetail.wallets.core.node import CoreNode
from dovetail.wallets.core.rpc import RpcError
from dovetail.wallets.signing import (
    NOTHING_OURS,
    UNKNOWN_COIN,
    check_sighash,
    claimed_script,
    their_output,
    with_signature,
)

_UNLOCK_NEEDED = -13


class _Processed(msgspec.Struct, frozen=True):
    psbt: str


@dataclass(frozen=True, slots=True)
class OwnOutput:
    """An output that pays the wallet, spent or not, with its transaction."""

    output: TxOut
    previous: Transaction
    confirmations: int


def own_outputs(node: CoreNode, outpoints: Sequence[OutPoint]) -> dict[OutPoint, OwnOutput]:
    """Return those of the outpoints that pay the wallet."""
    known = node.transactions(each.txid for each in outpoints)
    found: dict[OutPoint, OwnOutput] = {}
    parsed = {txid: each.transaction() for txid, each in known.items()}
    for outpoint in outpoints:
        previous = parsed.get(outpoint.txid)
        if previous is not None and outpoint.vout < len(previous.outputs):
            confirmations = known[outpoint.txid].confirmations
            output = previous.outputs[outpoint.vout]
            found[outpoint] = OwnOutput(output, previous, confirmations)
    owned = node.owned([each.output.script_pubkey for each in found.values()])
    return {at: each for at, each in found.items() if each.output.script_pubkey in owned}


def sign_ours(node: CoreNode, psbt: Psbt, inputs: Collection[OutPoint]) -> Psbt:
    """Add final scripts to those of `inputs` that the wallet owns, and change no others.

    Raises `WalletError` when it owns none of them, when it does not know the coin, when one of its
    inputs asks for a sighash type other than ALL or DEFAULT, when the wallet is locked by its
    passphrase, or when signing fails.
    """
    outpoints = psbt.unsigned_transaction.contested()
    wanted = frozenset(inputs)
    asked = [outpoint for outpoint in outpoints if outpoint in wanted]
    ours = own_outputs(node, asked)
    _check(node, psbt, wanted, ours)
    taproot = any(each.output.script_pubkey.type is ScriptType.P2TR for each in ours.values())
    draft = Psbt.from_unsigned(psbt.unsigned_transaction)
    for index, outpoint in enumerate(outpoints):
        own = ours.get(outpoint)
        if own is not None:
            known = PsbtInput().with_non_witness_utxo(own.previous)
            draft = draft.with_input(index, known)
        elif taproot:
            known = PsbtInput().with_witness_utxo(their_output(psbt, index))
            draft = draft.with_input(index, known)
    signed = _processed(node, draft)
    for index, outpoint in enumerate(outpoints):
        if outpoint in ours:
            final = signed.inputs[index]
            if not final.is_finalized:
                raise WalletError(
                    "The node's wallet could not sign one of its inputs; check that the wallet"
                    " that `core_wallet` names holds its private keys."
                )
            psbt = with_signature(psbt, index, final)
    return psbt


def _check(
    node: CoreNode, psbt: Psbt, wanted: Collection[OutPoint], ours: Mapping[OutPoint, OwnOutput]
) -> None:
    claimed: list[Script] = []
    for psbt_input, outpoint in zip(
        psbt.inputs, psbt.unsigned_transaction.contested(), strict=True
    ):
        if outpoint in ours:
            check_sighash(psbt_input)
        elif outpoint in wanted:
            script = claimed_script(psbt_input, outpoint.vout)
            claimed += [] if script is None else [script]
    if node.owned(claimed):
        raise WalletError(UNKNOWN_COIN)
    if not ours:
        raise WalletError(NOTHING_OURS)


def _processed(node: CoreNode, draft: Psbt) -> Psbt:
    try:
        answer = node.ask(
            "walletprocesspsbt", _Processed, psbt=draft.to_base64(), bip32derivs=False
        )
        signed = read_psbt(answer.psbt)
    except RpcError as error:
        if error.code == _UNLOCK_NEEDED:
            raise WalletError(
                "The wallet that `core_wallet` names is locked by its passphrase: unlock it with"
                " `bitcoin-cli walletpassphrase`, for as long as sessions are open."
            ) from error
        raise WalletError(
            "The node's wallet could not sign the PSBT: see its debug.log."
        ) from error
    except InvalidPsbt as error:
        raise WalletError("The node's wallet did not answer with a PSBT; update it.") from error
    if signed.unsigned_transaction != draft.unsigned_transaction:
        raise WalletError("The node's wallet signed another transaction; do not use it.")
    return signed
