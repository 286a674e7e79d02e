"""A PSBT in parts that nothing checks, so that a party can be made to propose anything.

Reading and writing are the fuzzer's own: what is sent need not be what our classes allow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.fuzz.choices import Choices

from dovetail.bitcoin import Psbt, TxOut, compact_size

Fields = list[tuple[bytes, bytes]]

SEQUENCES = (0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF, 0, 1)
FIELD_KEYS = tuple(bytes((kind,)) for kind in range(0x1A))


@dataclass
class Input:
    spent: bytes
    sequence: int
    fields: Fields


@dataclass
class Output:
    value: int
    script: bytes
    fields: Fields


@dataclass(frozen=True)
class Stock:
    """What a meddler has at hand: scripts, and inputs that are signed or say they are."""

    scripts: Sequence[bytes]
    inputs: Sequence[Input]
    values: Sequence[bytes]
    """Values for fields of a PSBT."""


class Parts:
    """The parts of a PSBT, each of which may be changed to what makes no sense."""

    def __init__(self, psbt: Psbt) -> None:
        transaction = psbt.unsigned_transaction
        self.version, self.lock_time = transaction.version, transaction.lock_time
        self.top: Fields = [each for each in psbt.global_map.map.entries if each[0] != b"\0"]
        self.inputs = inputs_of(psbt)
        self.outputs = [
            Output(int(txout.value), bytes(txout.script_pubkey), list(each.map.entries))
            for txout, each in zip(transaction.outputs, psbt.outputs, strict=True)
        ]

    def serialize(self) -> bytes:
        unsigned = b"".join(
            (
                self.version.to_bytes(4, "little"),
                compact_size(len(self.inputs)),
                *(each.spent + b"\0" + each.sequence.to_bytes(4, "little") for each in self.inputs),
                compact_size(len(self.outputs)),
                *(each.value.to_bytes(8, "little") + framed(each.script) for each in self.outputs),
                self.lock_time.to_bytes(4, "little"),
            )
        )
        maps = [[(b"\0", unsigned), *self.top]]
        maps += [each.fields for each in self.inputs]
        maps += [each.fields for each in self.outputs]
        return b"psbt\xff" + b"".join(
            b"".join(framed(part) for field in fields for part in field) + b"\0" for fields in maps
        )

    def meddle(self, choices: Choices, stock: Stock) -> None:
        """Change what the choices say, until there are none."""
        while choices.more:
            self._change(choices, stock)

    def _change(self, choices: Choices, stock: Stock) -> None:  # noqa: C901, PLR0912 - a list of tricks
        places = max(1, len(self.outputs)), max(1, len(self.inputs))
        match choices.below(16):
            case 0 if self.outputs:
                changed = self.outputs[choices.below(places[0])]
                changed.value = (changed.value + choices.signed(2)) % 2**64
            case 1 if self.outputs:
                self.outputs[choices.below(places[0])].value = choices.number(8)
            case 2 if self.outputs:  # from one output to another, so that the sum stays
                giver, taker = (self.outputs[choices.below(places[0])] for _ in range(2))
                moved = min(choices.number(2), giver.value)
                giver.value -= moved
                taker.value = (taker.value + moved) % 2**64
            case 3 if self.outputs:
                self.outputs[choices.below(places[0])].script = choices.one_of(stock.scripts)
            case 4 if self.outputs:
                del self.outputs[choices.below(places[0])]
            case 5:
                made = Output(choices.number(2), choices.one_of(stock.scripts), [])
                self.outputs.insert(choices.below(len(self.outputs) + 1), made)
            case 6 if self.outputs:
                _swap(self.outputs, choices)
            case 7 if self.inputs:
                del self.inputs[choices.below(places[1])]
            case 8:
                added = choices.one_of(stock.inputs)
                copy = Input(added.spent, added.sequence, list(added.fields))
                self.inputs.insert(choices.below(len(self.inputs) + 1), copy)
            case 9 if self.inputs:
                _swap(self.inputs, choices)
            case 10 if self.inputs:
                sequence = choices.one_of(SEQUENCES)
                which = choices.below(places[1] + 1)
                for at, each in enumerate(self.inputs):
                    if which in (at, places[1]):
                        each.sequence = sequence
            case 11:
                self.version = choices.below(4)
                self.lock_time = choices.number(4)
            case 12:
                self._change_fields(choices, stock)
            case 13:
                self._drop_field(choices)
            case 14 if self.inputs:
                self._change_claim(choices)
            case _:
                self.top.append((choices.some(), choices.some()))

    def _change_fields(self, choices: Choices, stock: Stock) -> None:
        fields = self._fields(choices)
        key = choices.one_of(FIELD_KEYS) + choices.some()
        own = choices.below(len(stock.values) + 1)
        value = stock.values[own] if own < len(stock.values) else choices.some()
        fields[:] = [each for each in fields if each[0] != key] + [(key, value)]

    def _drop_field(self, choices: Choices) -> None:
        fields = self._fields(choices)
        if fields:
            del fields[choices.below(len(fields))]

    def _change_claim(self, choices: Choices) -> None:
        """What an input says it spends."""
        fields = self.inputs[choices.below(len(self.inputs))].fields
        for at, (key, value) in enumerate(fields):
            if key == b"\1" and len(value) >= 8:
                claimed = (int.from_bytes(value[:8], "little") + choices.signed(2)) % 2**64
                fields[at] = (key, claimed.to_bytes(8, "little") + value[8:])

    def _fields(self, choices: Choices) -> Fields:
        maps = [self.top, *(i.fields for i in self.inputs), *(o.fields for o in self.outputs)]
        return choices.one_of(maps)


def inputs_of(psbt: Psbt) -> list[Input]:
    return [
        Input(txin.previous_output.serialize(), txin.sequence, list(each.map.entries))
        for txin, each in zip(psbt.unsigned_transaction.inputs, psbt.inputs, strict=True)
    ]


def paid_to(outputs: Sequence[TxOut], scripts: Sequence[bytes]) -> int:
    """What these outputs give to these scripts, in satoshis."""
    return sum(int(each.value) for each in outputs if bytes(each.script_pubkey) in scripts)


def _swap(items: list[Any], choices: Choices) -> None:
    first, second = choices.below(len(items)), choices.below(len(items))
    items[first], items[second] = items[second], items[first]


def framed(part: bytes) -> bytes:
    return compact_size(len(part)) + part
