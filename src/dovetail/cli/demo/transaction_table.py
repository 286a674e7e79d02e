"""The inputs and outputs of the payjoin with their owners, as the chain shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Self


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
        """The gain of one party; negative for a loss."""
        got = sum(entry.amount for entry in self.outputs if entry.owner == name)
        return got - sum(entry.amount for entry in self.inputs if entry.owner == name)

    def drawn(self, amount: int, *, plain_fee: int) -> str:
        """The table, and what each paid compared with a plain payment of `amount`."""
        left = [(each.owner, sats(each.amount)) for each in self.inputs]
        right = [(each.owner, sats(each.amount)) for each in self.outputs]
        right.append(("miner's fee", sats(self.fee)))
        pairs = enumerate(zip_longest(left, right, fillvalue=("", "")))
        rows = [
            _row(owner, spent, "" if index else "\N{RIGHTWARDS ARROW}", payee, paid)
            for index, ((owner, spent), (payee, paid)) in pairs
        ]
        heading = _row("input of", "sats", "", "output of", "sats")
        rule = "  " + "\N{BOX DRAWINGS LIGHT HORIZONTAL}" * (len(heading) - 2)
        return "\n".join([heading, rule, *rows, "", self._compared(amount, plain_fee)])

    def _compared(self, amount: int, plain_fee: int) -> str:
        sender_fee = -self.gain("sender") - amount
        receiver_fee = amount - self.gain("receiver")
        return (
            f"  sender    paid {sats(amount)} sats and {sats(sender_fee)} in fees;"
            f" a plain payment: {sats(plain_fee)}\n"
            f"  receiver  got {sats(amount)} sats and paid {sats(receiver_fee)} in fees;"
            " its coin grew"
        )


def _row(owner: str, spent: str, arrow: str, payee: str, paid: str) -> str:
    return f"  {owner:<9}{spent:>11}   {arrow:1}   {payee:<12}{paid:>11}"


def sats(amount: int) -> str:
    """An amount as people read it."""
    return f"{amount:,}"
