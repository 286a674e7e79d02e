"""A PSBT and the roles that work on it (BIP 174, version 0)."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from dovetail.bitcoin.psbt.finalizer import finalize_input
from dovetail.bitcoin.psbt.keymap import read_map, write_map
from dovetail.bitcoin.psbt.maps import PsbtGlobal, PsbtInput, PsbtOutput
from dovetail.bitcoin.psbt.non_witness_utxo import Previous
from dovetail.bitcoin.transaction import OutPoint, Transaction, TxOut
from dovetail.bitcoin.units import Sats
from dovetail.errors import InvalidAmount, InvalidPsbt

MAGIC = b"psbt\xff"
"""The first bytes of every binary PSBT."""


@dataclass(frozen=True, slots=True, repr=False)
class Psbt:
    """A partially signed transaction; make one with `parse`, `from_base64` or `from_unsigned`.

    Every value is well-formed: the unsigned transaction is the global map's, there is a map for
    each of its inputs and outputs, and each previous transaction given is the one its input spends
    from. Raises `InvalidPsbt` otherwise. Its repr shows counts only (P4).
    """

    global_map: PsbtGlobal
    inputs: tuple[PsbtInput, ...]
    outputs: tuple[PsbtOutput, ...]
    _utxos: tuple[TxOut, ...] | None = field(default=None, init=False, compare=False)
    _extracted: Transaction | None = field(default=None, init=False, compare=False)
    _fee: Sats | None = field(default=None, init=False, compare=False)

    def __post_init__(self) -> None:
        """Check that the PSBT is well-formed."""
        transaction = self.global_map.unsigned_transaction
        complete = len(self.inputs) == len(transaction.inputs)
        if not complete or len(self.outputs) != len(transaction.outputs):
            raise InvalidPsbt(
                "The PSBT has not one map for each input and output; ask for a valid PSBT."
            )
        for psbt_input, txin in zip(self.inputs, transaction.inputs, strict=True):
            if psbt_input.previous is not None:
                _check_previous(psbt_input.previous, txin.previous_output)

    def __repr__(self) -> str:
        final = sum(psbt_input.is_finalized for psbt_input in self.inputs)
        return f"<Psbt of {len(self.inputs)} inputs, {final} final, {len(self.outputs)} outputs>"

    @property
    def unsigned_transaction(self) -> Transaction:
        """The transaction, with neither script_sigs nor witnesses."""
        return self.global_map.unsigned_transaction

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a binary PSBT and nothing else. Raises `InvalidPsbt`."""
        psbt, end = cls.parse_prefix(data)
        if end != len(data):
            raise InvalidPsbt("The PSBT goes on after its end; ask for it again.")
        return psbt

    @classmethod
    def parse_prefix(cls, data: bytes) -> tuple[Self, int]:
        """Read the PSBT the data begins with; also how many bytes it took. Raises `InvalidPsbt`."""
        if not data.startswith(MAGIC):
            raise InvalidPsbt("This is not a PSBT; check what was pasted or sent.")
        entries, position = read_map(data, len(MAGIC))
        global_map = PsbtGlobal(entries)
        transaction = global_map.unsigned_transaction
        inputs: list[PsbtInput] = []
        for _ in transaction.inputs:
            entries, position = read_map(data, position)
            inputs.append(PsbtInput(entries))
        outputs: list[PsbtOutput] = []
        for _ in transaction.outputs:
            entries, position = read_map(data, position)
            outputs.append(PsbtOutput(entries))
        return cls(global_map, tuple(inputs), tuple(outputs)), position

    def serialize(self) -> bytes:
        """The binary PSBT; one that was parsed comes back byte for byte."""
        parts = [MAGIC]
        write_map(parts, self.global_map.map.entries)
        for psbt_input in self.inputs:
            write_map(parts, psbt_input.map.entries)
        for psbt_output in self.outputs:
            write_map(parts, psbt_output.map.entries)
        return b"".join(parts)

    @classmethod
    def from_base64(cls, text: str) -> Self:
        """Read a PSBT in padded base64 without spaces (RFC 4648, 4). Raises `InvalidPsbt`."""
        return cls.parse(decode_base64(text))

    def to_base64(self) -> str:
        """The PSBT in base64, padded, on one line."""
        return base64.b64encode(self.serialize()).decode()

    @classmethod
    def from_unsigned(cls, transaction: Transaction) -> Self:
        """A PSBT that holds only the transaction (BIP 174, Creator).

        Raises `InvalidPsbt` when it has a script_sig or witness.
        """
        return cls(
            PsbtGlobal.of(transaction),
            (PsbtInput(),) * len(transaction.inputs),
            (PsbtOutput(),) * len(transaction.outputs),
        )

    def utxo(self, index: int) -> TxOut:
        """The output that this input spends.

        Raises `InvalidPsbt` when the PSBT does not hold it, or holds two that differ.
        """
        psbt_input = self.inputs[index]
        claimed = psbt_input.witness_utxo
        previous = psbt_input.non_witness_utxo
        if previous is None:
            if claimed is None:
                raise InvalidPsbt(
                    "The PSBT does not hold the UTXO of an input; let its wallet fill it in."
                )
            return claimed
        proven = previous.outputs[self.unsigned_transaction.inputs[index].previous_output.vout]
        if claimed not in (None, proven):
            raise InvalidPsbt("The PSBT holds two different UTXOs for one input; do not sign it.")
        return proven

    def utxos(self) -> tuple[TxOut, ...]:
        """The output that each input spends. Raises `InvalidPsbt` as `utxo` does."""
        if self._utxos is None:
            utxos = tuple([self.utxo(index) for index in range(len(self.inputs))])
            object.__setattr__(self, "_utxos", utxos)
            return utxos
        return self._utxos

    @property
    def fee(self) -> Sats:
        """The fee: the value of the inputs minus the value of the outputs.

        Raises `InvalidPsbt` when a UTXO is not known or the outputs are worth more.
        """
        if self._fee is None:
            fee = self._compute_fee()
            object.__setattr__(self, "_fee", fee)
            return fee
        return self._fee

    def _compute_fee(self) -> Sats:
        try:
            spent = Sats.sum(utxo.value for utxo in self.utxos())
            return spent - Sats.sum(txout.value for txout in self.unsigned_transaction.outputs)
        except InvalidAmount as error:
            raise InvalidPsbt(
                "The PSBT's outputs are worth more than its inputs; do not sign it."
            ) from error

    @property
    def is_finalized(self) -> bool:
        """Whether every input is final; False if there are no inputs."""
        return bool(self.inputs) and all(each.is_finalized for each in self.inputs)

    def with_input(self, index: int, psbt_input: PsbtInput) -> Self:
        """The PSBT with another map for this input."""
        spent = self.unsigned_transaction.inputs[index].previous_output
        if psbt_input.previous is not None:
            _check_previous(psbt_input.previous, spent)
        inputs = list(self.inputs)
        inputs[index] = psbt_input
        return self._with_maps(tuple(inputs), self.outputs)

    def with_output(self, index: int, psbt_output: PsbtOutput) -> Self:
        """The PSBT with another map for this output."""
        outputs = list(self.outputs)
        outputs[index] = psbt_output
        return self._with_maps(self.inputs, tuple(outputs))

    def _with_maps(self, inputs: tuple[PsbtInput, ...], outputs: tuple[PsbtOutput, ...]) -> Self:
        """Skip the constructor, which would check unchanged maps again."""
        # Signers replace one map after another, and a v1 peer's PSBT may have ten thousand.
        made = object.__new__(type(self))
        object.__setattr__(made, "global_map", self.global_map)
        object.__setattr__(made, "inputs", inputs)
        object.__setattr__(made, "outputs", outputs)
        object.__setattr__(made, "_utxos", None)
        object.__setattr__(made, "_extracted", None)
        object.__setattr__(made, "_fee", None)
        return made

    def with_transaction(
        self,
        transaction: Transaction,
        inputs: tuple[PsbtInput, ...],
        outputs: tuple[PsbtOutput, ...],
    ) -> Self:
        """The PSBT of another unsigned transaction with its maps; other global fields stay."""
        return type(self)(PsbtGlobal.of(transaction, self.global_map.map), inputs, outputs)

    def combine(self, other: Self) -> Self:
        """Merge two PSBTs of the same transaction; each map is in the order of its keys.

        Where both hold a key, this PSBT's value stays (BIP 174, Handling Duplicated Keys); without
        such conflicts the order of combining does not matter. Raises `InvalidPsbt` when the
        transactions differ.
        """
        if self.unsigned_transaction != other.unsigned_transaction:
            raise InvalidPsbt("The PSBTs are for different transactions; combine copies of one.")
        inputs = zip(self.inputs, other.inputs, strict=True)
        outputs = zip(self.outputs, other.outputs, strict=True)
        return type(self)(
            PsbtGlobal(self.global_map.map.merge(other.global_map.map)),
            tuple(PsbtInput(mine.map.merge(theirs.map)) for mine, theirs in inputs),
            tuple(PsbtOutput(mine.map.merge(theirs.map)) for mine, theirs in outputs),
        )

    def finalize(self) -> Self:
        """The PSBT with final scripts in every input (BIP 174, Input Finalizer).

        Serves P2PKH, P2WPKH, P2TR key paths and multisig, also inside P2SH, P2WSH and P2SH-P2WSH.
        Signatures are not verified. Raises `InvalidPsbt` where one is missing or a script does not
        fit.
        """
        pairs = zip(self.inputs, self.utxos(), strict=True)
        return replace(
            self,
            inputs=tuple(finalize_input(each, utxo.script_pubkey) for each, utxo in pairs),
        )

    def extract(self) -> Transaction:
        """The signed transaction (BIP 174, Transaction Extractor).

        Raises `InvalidPsbt` unless every input is final.
        """
        if self._extracted is None:
            extracted = self._extract()
            object.__setattr__(self, "_extracted", extracted)
            return extracted
        return self._extracted

    def _extract(self) -> Transaction:
        if not self.is_finalized:
            raise InvalidPsbt("The PSBT is not final; sign and finalize every input first.")
        return signed_by(self.unsigned_transaction, self.inputs)


def signed_by(unsigned: Transaction, inputs: Sequence[PsbtInput]) -> Transaction:
    """The transaction with the final scripts of these maps, one for each input."""
    return unsigned.with_signatures(
        [(each.final_script_sig or b"", each.final_script_witness or ()) for each in inputs]
    )


def decode_base64(text: str) -> bytes:
    """The bytes of a PSBT in padded base64 without spaces (RFC 4648, 4). Raises `InvalidPsbt`."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise InvalidPsbt("The text is not base64, as PSBTs are written; copy it again.") from None
    if binascii.b2a_base64(data, newline=False) != text.encode():
        raise InvalidPsbt("The PSBT is not in the usual base64; copy it again.")
    return data


def _check_previous(previous: Previous, spent: OutPoint) -> None:
    if previous.txid != spent.txid or spent.vout >= previous.outputs:
        raise InvalidPsbt(
            "A previous transaction in the PSBT is not the one its input spends; do not sign it."
        )
