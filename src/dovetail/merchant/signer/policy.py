"""What the signer signs: its own check of a PSBT, whoever asks (ADR 0057).

The server that asks may be in the hands of a thief. So the signer believes it nothing: it derives
the wallet's scripts itself, and adds up what the wallet gives and gets.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, Sats, Script, Transaction, TxOut, Weight
from dovetail.bitcoin.weights import predicted_input_weight
from dovetail.errors import InvalidPsbt, WalletError
from dovetail.wallets.signing import check_sighash

_BARE_INPUT_WEIGHT = 4 * 41
_MARKER_AND_FLAG_WEIGHT = 2
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
    unnamed: Collection[OutPoint] = ()
    """Coins of the wallet that it spends although they are not to be signed."""

    def __repr__(self) -> str:
        return f"<Proposal of {len(self.own_inputs)} inputs>"

    @property
    def transaction(self) -> Transaction:
        """The unsigned transaction."""
        return self.psbt.unsigned_transaction


def check_proposal(proposal: Proposal, *, demand: int, limits: Limits) -> None:
    """Raise `SignerRefused` unless the wallet may sign this payjoin.

    The fallback must bring what the invoice demands, the payjoin must spend the fallback's coins,
    and the wallet must get as much by it, but for a fee within the limits. No payjoin makes the
    wallet poorer, so that not even fees can drain it.
    """
    _require_all_named(proposal.unnamed)
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
    gain = _paid(proposal.transaction, proposal.own_scripts) - _total(utxos.values())
    if gain <= 0:
        raise SignerRefused("The payjoin makes the wallet no richer: nothing is signed.")
    cost = offered - gain
    if cost > _most(utxos, limits):
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
    fee = _total(utxos.values()) - _paid(transaction, cold)
    if not 0 <= fee <= _most_for_all(transaction, utxos, limits):
        raise SignerRefused("The sweep's fee is above the limit: nothing is signed.")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Payout:
    """What a payment of the owner's brings others, in satoshis; the owner approves this."""

    recipients: tuple[tuple[str, int], ...]
    """Scripts in hex, each with its sum."""
    fee: int

    def __repr__(self) -> str:
        return f"<Payout to {len(self.recipients)}>"


def check_payment(
    psbt: Psbt, own_inputs: Mapping[OutPoint, Script], own: Collection[Script], limits: Limits
) -> Payout:
    """Return what a payment pays to others; raises `SignerRefused` where it cannot be told.

    It spends the wallet's own coins alone, and its fee is within the limits.
    """
    utxos, transaction = own_utxos(psbt, own_inputs), psbt.unsigned_transaction
    if len(utxos) != len(transaction.inputs):
        raise SignerRefused("A payment spends the wallet's own coins alone: name them all.")
    fee = _total(utxos.values()) - _total(transaction.outputs)
    if not 0 <= fee <= _most_for_all(transaction, utxos, limits):
        raise SignerRefused("The payment's fee is above the limit: nothing is signed.")
    recipients = tuple(
        (output.script_pubkey.hex(), int(output.value))
        for output in transaction.outputs
        if output.script_pubkey not in own
    )
    return Payout(recipients=recipients, fee=fee)


def check_replacement(before: tuple[Psbt, Payout], after: tuple[Psbt, Payout]) -> None:
    """Raise `SignerRefused` unless a payment only raises the fee of an approved one.

    It spends the same coins, so that one of both at most is ever mined, and brings others the same.
    """
    spent = [set(psbt.unsigned_transaction.contested()) for psbt, _ in (before, after)]
    if spent[0] != spent[1]:
        raise SignerRefused("A replacement spends the same coins: else both could be paid.")
    if before[1].recipients != after[1].recipients:
        raise SignerRefused("A replacement brings others the same: queue a new payment instead.")
    if after[1].fee <= before[1].fee:
        raise SignerRefused("A replacement pays a higher fee: nothing is signed.")


def own_utxos(psbt: Psbt, own_inputs: Mapping[OutPoint, Script]) -> dict[OutPoint, TxOut]:
    """Return the outputs that the own inputs spend; raises `SignerRefused`.

    Their amounts are the server's word: a signature commits to its input's amount, so that with a
    wrong one it is worth nothing (BIP 143, BIP 341), as long as no transaction is signed twice.
    Each must be there, pay the derived script, and ask for a signature of the whole transaction.
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


def _require_all_named(unnamed: Collection[OutPoint]) -> None:
    if unnamed:
        raise SignerRefused("It spends a coin of the wallet that it does not name: name them all.")


def _most(utxos: Mapping[OutPoint, TxOut], limits: Limits) -> int:
    """The most satoshis that the wallet may pay for what it adds to a payjoin."""
    return _within(limits, Weight(_weight_of_inputs(utxos) + _OUTPUT_WEIGHT))


def _most_for_all(transaction: Transaction, utxos: Mapping[OutPoint, TxOut], limits: Limits) -> int:
    """The most satoshis that the wallet may pay for a transaction of its own."""
    bare = len(transaction.inputs) * _BARE_INPUT_WEIGHT
    weight = transaction.weight - bare + _weight_of_inputs(utxos) + _MARKER_AND_FLAG_WEIGHT
    return _within(limits, Weight(weight))


def _within(limits: Limits, weight: Weight) -> int:
    return min(int(limits.max_fee_rate.fee(weight)), int(limits.max_fee))


def _weight_of_inputs(utxos: Mapping[OutPoint, TxOut]) -> int:
    """The weight of the signed inputs; what the PSBT says of their signatures does not count."""
    return sum(int(predicted_input_weight(utxo.script_pubkey.type)) for utxo in utxos.values())


def _paid(transaction: Transaction, scripts: Collection[Script]) -> int:
    return _total(each for each in transaction.outputs if each.script_pubkey in scripts)


def _total(outputs: Iterable[TxOut]) -> int:
    return sum(int(each.value) for each in outputs)
