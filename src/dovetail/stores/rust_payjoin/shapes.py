"""The JSON in which rust-payjoin 1.2 writes values: keys as lists of bytes, PSBTs field by field.

A PSBT keeps what a payment needs: what its inputs spend, their scripts and their final scripts.
Key origins, unknown and proprietary fields are left out.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Annotated, Any, TypeAlias

import msgspec

from dovetail.bitcoin import OutPoint, Psbt, PsbtInput, Sats, Script, Transaction, TxIn, TxOut
from dovetail.crypto import KeyConfig, PublicKey
from dovetail.errors import DovetailError, ParseError, UsageError

Bytes: TypeAlias = list[Annotated[int, msgspec.Meta(ge=0, le=255)]]
Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]

OVER = (
    "This session has ended where it comes from: there is nothing to take over. Look there for the"
    " payment."
)
_UNREADABLE = "This is no event log of rust-payjoin 1.2: give one that it wrote."
_U32 = 1 << 32


class JsonOutput(msgspec.Struct, frozen=True):
    """An output of a transaction."""

    value: Number
    script_pubkey: str

    def read(self) -> TxOut:
        """The output as ours."""
        return TxOut(Sats(self.value), Script(bytes.fromhex(self.script_pubkey)))


class JsonTxIn(msgspec.Struct, frozen=True):
    """An input of a transaction."""

    previous_output: str
    script_sig: str
    sequence: Number
    witness: list[str]

    def read(self) -> TxIn:
        """The input as ours."""
        return TxIn(
            OutPoint.parse(self.previous_output),
            bytes.fromhex(self.script_sig),
            self.sequence,
            tuple(map(bytes.fromhex, self.witness)),
        )


class JsonTransaction(msgspec.Struct, frozen=True):
    """A transaction; its version is a signed number there."""

    version: int
    lock_time: Number
    input: list[JsonTxIn]
    output: list[JsonOutput]

    def read(self) -> Transaction:
        """The transaction as ours."""
        return Transaction(
            self.version % _U32,
            tuple(each.read() for each in self.input),
            tuple(each.read() for each in self.output),
            self.lock_time,
        )


class JsonInput(msgspec.Struct, frozen=True):
    """The map of one input."""

    non_witness_utxo: JsonTransaction | None = None
    witness_utxo: JsonOutput | None = None
    redeem_script: str | None = None
    witness_script: str | None = None
    final_script_sig: str | None = None
    final_script_witness: list[str] | None = None

    def read(self) -> PsbtInput:
        """The map as ours."""
        made = PsbtInput()
        if self.non_witness_utxo is not None:
            made = made.with_non_witness_utxo(self.non_witness_utxo.read())
        if self.witness_utxo is not None:
            made = made.with_witness_utxo(self.witness_utxo.read())
        if self.redeem_script is not None:
            made = made.with_redeem_script(bytes.fromhex(self.redeem_script))
        if self.witness_script is not None:
            made = made.with_witness_script(bytes.fromhex(self.witness_script))
        return made.with_final(
            bytes.fromhex(self.final_script_sig or ""),
            tuple(map(bytes.fromhex, self.final_script_witness or ())),
        )


class JsonPsbt(msgspec.Struct, frozen=True):
    """A PSBT of version 0."""

    unsigned_tx: JsonTransaction
    inputs: list[JsonInput]

    def read(self) -> Psbt:
        """The PSBT as ours; raises `ParseError`."""
        psbt = Psbt.from_unsigned(self.unsigned_tx.read())
        for index, each in enumerate(self.inputs):
            psbt = psbt.with_input(index, each.read())
        return psbt


@contextmanager
def readable() -> Generator[None]:
    """Whatever goes wrong inside is a `ParseError`, or one of our own."""
    try:
        yield
    except DovetailError:
        raise
    except (msgspec.MsgspecError, ValueError, IndexError, RecursionError) as error:
        raise ParseError(_UNREADABLE) from error


def read_log(entries: Iterable[str | bytes], events: type[Any]) -> list[tuple[str, Any]]:
    """Each entry's tag and fields, to be called in `readable`.

    `events` is a struct with an optional field for each kind of event.
    """
    found = [_read(entry, events) for entry in entries]
    if not found or found[0][0] != "Created":
        raise ParseError(_UNREADABLE)
    return found


def _read(entry: str | bytes, events: type[Any]) -> tuple[str, Any]:
    value: Any = msgspec.json.decode(entry)
    tagged: dict[str, Any] = {value: []} if isinstance(value, str) else value
    read = msgspec.convert(tagged, events)
    (tag,) = tagged
    fields = getattr(read, tag)
    if fields is None:
        raise ParseError(_UNREADABLE)
    return tag, fields


def require_open(log: list[tuple[str, Any]]) -> None:
    """Raise `UsageError` for a session that has ended."""
    if log[-1][0] == "Closed":
        raise UsageError(OVER)


def key_of(data: Bytes) -> PublicKey:
    """A public key, in either of its forms; raises `InvalidKey`."""
    return PublicKey.parse(bytes(data))


def config_of(data: Bytes) -> KeyConfig:
    """An OHTTP key configuration; raises `InvalidOhttp`."""
    return KeyConfig.parse(bytes(data))
