"""What the signer signs: its own check of a PSBT, whoever asks (ADR 0057).

The server that asks may be in the hands of a thief. So the signer believes it nothing: it derives
the wallet's scripts itself, and adds up what the wallet gives and gets.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, Sats, Script, Transaction, TxOut, Weight
from dovetail.bitcoin.weights import input_weight
from dovetail.errors import DovetailError, InvalidPsbt, WalletError
from dovetail.wallets.signing import check_sighash

_OUTPUT_WEIGHT = 4 * 43
"""That of an output of Taproot, the largest that the wallet may put in place of another."""


class SignerRefused(WalletError):
    """The signer does not sign this, whoever asks: its own check fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that the wallet pays for a payjoin's fee."""

    max_fee_rate: FeeRate = FeeRate.from_sat_per_vb(50)  # noqa: RUF009 - a frozen value
    """For what the wallet adds to the transaction."""
    max_fee: Sats = Sats(100_000)  # noqa: RUF009 - a frozen value
    """In all, in satoshis."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Proposal:
    """A payjoin that is to be signed, with what the signer has derived itself."""

    psbt: Psbt
    own_inputs: Mapping[OutPoint, Script]
    """The inputs to sign, each with the script of its key."""
    own_scripts: Collection[Script]
    """Scripts of the wallet, hot and cold, that outputs may pay."""
    fallback: Transaction

    def __repr__(self) -> str:
        return f"<Proposal of {len(self.own_inputs)} inputs>"

    @property
    def transaction(self) -> Transaction:
        """The unsigned transaction."""
        return self.psbt.unsigned_transaction


def check_proposal(proposal: Proposal, *, demand: int, limits: Limits) -> None:
    """Raise `SignerRefused` unless the wallet may sign this payjoin.

    The fallback must bring what the invoice demands, the payjoin must spend the fallback's coins,
    and the wallet must get as much by it, but for a fee within the limits.
    """
    utxos = own_utxos(proposal.psbt, proposal.own_inputs)
    offered = _paid(proposal.fallback, proposal.own_scripts)
    if offered < demand:
        raise SignerRefused(
            "The customer's own transaction pays less than the invoice demands: nothing is signed."
        )
    spent = set(proposal.transaction.contested())
    if not set(proposal.fallback.contested()) <= spent:
        raise SignerRefused(
            "The payjoin leaves out a coin of the customer's own transaction: both could be paid."
        )
    gain = _paid(proposal.transaction, proposal.own_scripts) - sum(
        int(each.value) for each in utxos.values()
    )
    cost = offered - gain
    if cost > _most(proposal, utxos, limits):
        raise SignerRefused(
            "The payjoin takes more from the wallet than its part of the fee may be: nothing is"
            " signed."
        )


def check_sweep(
    psbt: Psbt, own_inputs: Mapping[OutPoint, Script], cold: Collection[Script], limits: Limits
) -> None:
    """Raise `SignerRefused` unless all outputs are cold and the fee is within the limits."""
    utxos = own_utxos(psbt, own_inputs)
    transaction = psbt.unsigned_transaction
    if len(utxos) != len(transaction.inputs):
        raise SignerRefused("A sweep spends the wallet's own coins alone: nothing is signed.")
    if any(output.script_pubkey not in cold for output in transaction.outputs):
        raise SignerRefused("A sweep pays the cold wallet alone: nothing is signed.")
    fee = sum(int(each.value) for each in utxos.values()) - _paid(transaction, cold)
    if not 0 <= fee <= int(limits.max_fee):
        raise SignerRefused("The sweep's fee is above the limit: nothing is signed.")


def own_utxos(psbt: Psbt, own_inputs: Mapping[OutPoint, Script]) -> dict[OutPoint, TxOut]:
    """Return the outputs that the own inputs spend; raises `SignerRefused`.

    Their amounts are the server's word: a signature commits to them, so that a wrong one is worth
    nothing (BIP 143, BIP 341). Each must be there, pay the derived script, and ask for a signature
    of the whole transaction.
    """
    found: dict[OutPoint, TxOut] = {}
    for index, outpoint in enumerate(psbt.unsigned_transaction.contested()):
        script = own_inputs.get(outpoint)
        if script is None:
            continue
        try:
            utxo = psbt.utxo(index)
            check_sighash(psbt.inputs[index])
        except (InvalidPsbt, WalletError) as error:
            raise SignerRefused(f"An input cannot be signed: {error}") from None
        if utxo.script_pubkey != script:
            raise SignerRefused("An input is not of the wallet's key that it names.")
        found[outpoint] = utxo
    if len(found) != len(own_inputs):
        raise SignerRefused("A coin that is to be signed is not in the transaction.")
    return found


def _most(proposal: Proposal, utxos: Mapping[OutPoint, TxOut], limits: Limits) -> int:
    """The most satoshis that the wallet may pay for what it adds."""
    inputs = proposal.psbt.unsigned_transaction.contested()
    try:
        weights = [
            int(input_weight(proposal.psbt.inputs[index], utxos[outpoint]))
            for index, outpoint in enumerate(inputs)
            if outpoint in utxos
        ]
    except DovetailError:
        raise SignerRefused("An input is of a kind that the wallet does not sign.") from None
    by_rate = limits.max_fee_rate.fee(Weight(sum(weights) + _OUTPUT_WEIGHT))
    return min(int(by_rate), int(limits.max_fee))


def _paid(transaction: Transaction, scripts: Collection[Script]) -> int:
    return sum(int(each.value) for each in transaction.outputs if each.script_pubkey in scripts)
