"""A coin that the receiver adds, and its place among the proposal's inputs (BIP 78, Protocol)."""

from dataclasses import dataclass, field

from dovetail.bitcoin.psbt import PsbtInput
from dovetail.bitcoin.transaction import OutPoint, TxOut
from dovetail.bitcoin.units import Weight
from dovetail.bitcoin.weights import input_weight


@dataclass(frozen=True, slots=True)
class Coin:
    """A receiver's coin; `psbt_input` is what the wallet needs to sign it.

    `exposed` says that a sender has been shown this coin before (P3).
    """

    outpoint: OutPoint
    psbt_input: PsbtInput
    utxo: TxOut
    exposed: bool = False
    # Found out when first asked for, and kept, as choosing and paying ask again and again.
    _weight: Weight | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def weight(self) -> Weight:
        """The weight of the signed input; raises `InvalidPsbt` for a script we cannot predict."""
        if self._weight is None:
            weight = input_weight(self.psbt_input, self.utxo)
            object.__setattr__(self, "_weight", weight)
            return weight
        return self._weight

    @property
    def size(self) -> int:
        """The bytes of what the wallet tells of it; a legacy coin's whole transaction is most."""
        return sum(len(key) + len(value) for key, value in self.psbt_input.map.entries)

    @property
    def tells_previous(self) -> bool:
        """Whether it tells its whole previous transaction alone, which the sender then needs."""
        known = self.psbt_input
        return known.non_witness_utxo is not None and known.witness_utxo is None

    @property
    def signing_input(self) -> PsbtInput:
        """The input's map for the wallet, always with what the coin is."""
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
