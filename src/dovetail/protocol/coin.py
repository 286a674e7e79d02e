"""A coin that the receiver adds, and its place among the proposal's inputs (BIP 78, Protocol)."""

from dataclasses import dataclass, field

from dovetail.bitcoin.psbt import PsbtInput
from dovetail.bitcoin.transaction import OutPoint, TxOut
from dovetail.bitcoin.units import Weight
from dovetail.bitcoin.weights import input_weight


@dataclass(frozen=True, slots=True)
class Coin:
    """A receiver's coin; `psbt_input` holds the data that the wallet needs to sign it.

    `exposed` says that a sender has been shown this coin before (P3).
    """

    outpoint: OutPoint
    psbt_input: PsbtInput
    utxo: TxOut
    exposed: bool = False
    # Computed on first use and cached.
    _weight: Weight | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def weight(self) -> Weight:
        """The weight of the signed input; raises `InvalidPsbt` for an unsupported script."""
        if self._weight is None:
            weight = input_weight(self.psbt_input, self.utxo)
            object.__setattr__(self, "_weight", weight)
            return weight
        return self._weight

    @property
    def size(self) -> int:
        """The size of its PSBT fields in bytes, mostly a legacy coin's previous transaction."""
        return sum(len(key) + len(value) for key, value in self.psbt_input.map.entries)

    @property
    def has_only_previous(self) -> bool:
        """Whether it has only its previous transaction, which the sender then needs."""
        known = self.psbt_input
        return known.non_witness_utxo is not None and known.witness_utxo is None

    @property
    def signing_input(self) -> PsbtInput:
        """The input's map for the wallet, always with a UTXO field."""
        known = self.psbt_input
        if known.non_witness_utxo is None and known.witness_utxo is None:
            return known.with_witness_utxo(self.utxo)
        return known

    @property
    def is_segwit(self) -> bool:
        """Whether the coin is spent with a witness."""
        redeem_script = self.psbt_input.redeem_script
        return self.utxo.script_pubkey.is_witness_program or (
            redeem_script is not None and redeem_script.is_witness_program
        )


@dataclass(frozen=True, slots=True)
class PlacedCoin:
    """A coin and its index among the proposal's inputs."""

    coin: Coin
    position: int
