"""Sign only the inputs of a BDK wallet (BIP 174, Signer and Finalizer)."""

from collections.abc import Collection

from bdkpython import LocalOutput, SignOptions
from bdkpython import OutPoint as BdkOutPoint
from bdkpython import Psbt as BdkPsbt
from bdkpython import Script as BdkScript
from bdkpython import Txid as BdkTxid
from bdkpython import Wallet as BdkCore

from dovetail.bitcoin import OutPoint, Psbt, PsbtInput, ScriptType, Transaction, Txid, TxOut
from dovetail.bitcoin.psbt.finalizer import finalize_input
from dovetail.errors import InvalidPsbt, WalletError
from dovetail.wallets.bdk.errors import SIGN_ERRORS
from dovetail.wallets.signing import (
    NOTHING_OURS,
    UNKNOWN_COIN,
    check_sighash,
    claimed_script,
    their_output,
    with_signature,
    with_what_proves,
)


def bdk_outpoint(outpoint: OutPoint) -> BdkOutPoint:
    """Return the outpoint in BDK's type."""
    return BdkOutPoint(txid=bdk_txid(outpoint.txid), vout=outpoint.vout)


def outpoint_of(output: LocalOutput) -> OutPoint:
    """Return the outpoint of a coin that BDK lists."""
    return OutPoint(Txid.from_hex(str(output.outpoint.txid)), output.outpoint.vout)


def bdk_txid(txid: Txid) -> BdkTxid:
    """Return the txid in BDK's type."""
    return BdkTxid.from_string(str(txid))


def is_ours(core: BdkCore, script: bytes) -> bool:
    """Whether the script is one of the wallet's, including its next addresses."""
    return bool(core.is_mine(BdkScript(bytes(script))))


def previous_transaction(core: BdkCore, txid: Txid) -> Transaction | None:
    """Return a transaction of the wallet's history, or None if it was evicted or replaced."""
    found = core.get_tx(bdk_txid(txid))
    return None if found is None else Transaction.parse(bytes(found.transaction.serialize()))


def our_output(core: BdkCore, outpoint: OutPoint) -> TxOut | None:
    """Return the wallet's own output at an outpoint, spent or not, or None."""
    previous = previous_transaction(core, outpoint.txid)
    if previous is None or outpoint.vout >= len(previous.outputs):
        return None
    output = previous.outputs[outpoint.vout]
    return output if is_ours(core, output.script_pubkey) else None


def coin_input(core: BdkCore, outpoint: OutPoint, known: PsbtInput, utxo: TxOut) -> PsbtInput:
    """Return the coin's PSBT input with the data that proves its amount to a sender."""
    previous = previous_transaction(core, outpoint.txid)
    if previous is None:
        return known
    return with_what_proves(known, utxo, previous, next(iter(known.bip32_derivations), None))


def sign_ours(core: BdkCore, psbt: Psbt, inputs: Collection[OutPoint]) -> Psbt:
    """Add final scripts to those of `inputs` that the wallet owns, and change no others.

    Raises `WalletError` when it owns none of them, when it does not know the coin, when one of its
    inputs asks for a sighash type other than ALL or DEFAULT, or when signing fails.
    """
    transaction, wanted = psbt.unsigned_transaction, frozenset(inputs)
    ours = {
        index: output
        for index, outpoint in enumerate(transaction.contested())
        if outpoint in wanted
        and (output := _checked_output(core, psbt, index, outpoint)) is not None
    }
    if not ours:
        raise WalletError(NOTHING_OURS)
    # BDK gets a new PSBT: for our inputs the wallet's own data, for the others only their UTXOs.
    # So nobody can give it a wrong amount, and it cannot change inputs of others.
    taproot = any(output.script_pubkey.type is ScriptType.P2TR for output in ours.values())
    known = [PsbtInput()] * len(psbt.inputs)
    for index, outpoint in enumerate(transaction.contested()):
        if index in ours:
            known[index] = _own_input(core, outpoint, ours[index])
        elif taproot:
            known[index] = PsbtInput().with_witness_utxo(their_output(psbt, index))
    empty = Psbt.from_unsigned(transaction)
    signed = sign_draft(core, empty.with_transaction(transaction, tuple(known), empty.outputs))
    for index, output in ours.items():
        try:
            final = finalize_input(signed.inputs[index], output.script_pubkey)
        except InvalidPsbt as error:
            raise WalletError(
                "The wallet could not sign one of its inputs; check that it holds private keys."
            ) from error
        psbt = with_signature(psbt, index, final)
    return psbt


def _checked_output(core: BdkCore, psbt: Psbt, index: int, outpoint: OutPoint) -> TxOut | None:
    known = our_output(core, outpoint)
    if known is None:
        claimed = claimed_script(psbt.inputs[index], outpoint.vout)
        if claimed is not None and is_ours(core, claimed):
            raise WalletError(UNKNOWN_COIN)
        return None
    check_sighash(psbt.inputs[index])
    return known


def _own_input(core: BdkCore, outpoint: OutPoint, output: TxOut) -> PsbtInput:
    if output.script_pubkey.type is ScriptType.P2PKH:
        previous = previous_transaction(core, outpoint.txid)
        if previous is not None:
            return PsbtInput().with_non_witness_utxo(previous)
    return PsbtInput().with_witness_utxo(output)


def sign_draft(core: BdkCore, draft: Psbt) -> Psbt:
    """Sign what a wallet can, with the UTXOs in the PSBT; raises `WalletError`."""
    options = SignOptions(
        trust_witness_utxo=True,  # our UTXOs come from the wallet's own history
        assume_height=None,
        allow_all_sighashes=False,
        try_finalize=False,
        sign_with_tap_internal_key=True,
        allow_grinding=True,
    )
    try:
        copy = BdkPsbt(draft.to_base64())
        core.sign(copy, options)
        return Psbt.from_base64(str(copy.serialize()))
    except SIGN_ERRORS as error:
        raise WalletError(
            "The wallet could not sign the PSBT; check that it holds private keys."
        ) from error
