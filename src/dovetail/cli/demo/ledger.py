"""Whose input, whose output: the payjoin as the chain shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 78


@dataclass(frozen=True, slots=True)
class Entry:
    """One input or output: whose it is and its amount in satoshis."""

    owner: str
    amount: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """A transaction's inputs and outputs with their owners, and its fee in satoshis."""

    txid: str
    confirmed: bool
    inputs: tuple[Entry, ...]
    outputs: tuple[Entry, ...]
    fee: int

    @classmethod
    def of(cls, transaction: Mapping[str, Any], owners: Mapping[str, str]) -> Self:
        """Read Esplora's JSON; `owners` maps `txid:vout` of the coins involved to a name."""
        txid = str(transaction["txid"])
        return cls(
            txid=txid,
            confirmed=bool(transaction["status"]["confirmed"]),
            inputs=tuple(
                Entry(owners[f"{each['txid']}:{each['vout']}"], each["prevout"]["value"])
                for each in transaction["vin"]
            ),
            outputs=tuple(
                Entry(owners[f"{txid}:{index}"], each["value"])
                for index, each in enumerate(transaction["vout"])
            ),
            fee=int(transaction["fee"]),
        )

    @property
    def is_payjoin(self) -> bool:
        """Whether it is confirmed and both parties put inputs in."""
        return self.confirmed and len({entry.owner for entry in self.inputs}) == 2

    def gain(self, name: str) -> int:
        """What one party has more than before; negative for less."""
        got = sum(entry.amount for entry in self.outputs if entry.owner == name)
        return got - sum(entry.amount for entry in self.inputs if entry.owner == name)

    def drawn(self, amount: int, *, plain_fee: int) -> str:
        """The table, and what each paid compared with a plain payment of `amount`."""
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 2), show_edge=False)
        for heading in ("input of", "sats", "", "output of", "sats"):
            table.add_column(heading, justify="right" if heading == "sats" else "left")
        rows = max(len(self.inputs), len(self.outputs) + 1)
        right = [*((each.owner, sats(each.amount)) for each in self.outputs)]
        right.append(("miner's fee", sats(self.fee)))
        for index in range(rows):
            left = self.inputs[index] if index < len(self.inputs) else None
            table.add_row(
                *((left.owner, sats(left.amount)) if left else ("", "")),
                "\N{RIGHTWARDS ARROW}" if index == 0 else "",
                *(right[index] if index < len(right) else ("", "")),
            )
        console = Console(width=WIDTH, highlight=False)
        with console.capture() as captured:
            console.print(table)
            console.print(Text(self._compared(amount, plain_fee)))
        return captured.get().rstrip()

    def _compared(self, amount: int, plain_fee: int) -> str:
        sender_fee = -self.gain("sender") - amount
        receiver_fee = amount - self.gain("receiver")
        return (
            f"\n  sender    paid {sats(amount)} sats and {sats(sender_fee)} in fees;"
            f" a plain payment: {sats(plain_fee)}\n"
            f"  receiver  got {sats(amount)} sats and paid {sats(receiver_fee)} in fees;"
            " its coin grew"
        )


def sats(amount: int) -> str:
    """An amount as people read it."""
    return f"{amount:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
