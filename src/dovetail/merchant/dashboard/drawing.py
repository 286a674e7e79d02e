"""A transaction as a drawing: whose its inputs and outputs are, as far as the shop can know."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from dovetail.bitcoin import OutPoint, Sats, Script, Transaction
from dovetail.merchant.dashboard.rendering import short
from dovetail.merchant.pages.language import phrase


class Side(StrEnum):
    """Whose an input or an output is."""

    SHOP = "shop"
    CUSTOMER = "customer"
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        """The same for people."""
        return _SIDES[self]


_SIDES = {
    Side.SHOP: phrase("Shop"),
    Side.CUSTOMER: phrase("Customer"),
    Side.UNKNOWN: phrase("Unknown"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One input or output."""

    side: Side
    name: str
    """Its outpoint or its address, shortened."""
    value: Sats | None
    """None: it is not known."""
    note: str = ""
    y: int = 0
    """Where its box begins in the drawing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Boxes from above, inputs at the left and outputs at the right."""

    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    height: int
    more_inputs: int = 0
    """Those that are not drawn."""
    more_outputs: int = 0

    @property
    def middle(self) -> int:
        """Where all meet."""
        return self.height // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the shop knows of a transaction's ends."""

    own_coins: Mapping[OutPoint, Sats]
    """The shop's coins among the inputs."""
    customer_coins: frozenset[OutPoint]
    """The inputs that the customer brought into a negotiation."""
    payment_scripts: frozenset[Script]
    """Where the invoice is paid."""
    own_scripts: frozenset[Script]
    """Other addresses of the shop."""
    customer_scripts: frozenset[Script] = frozenset()
    """Outputs that the customer brought into a negotiation, such as change."""


BOX, GAP, TOP = 52, 10, 8
"""The height of a box, the room between two, and above the first."""
MOST = 12
"""Boxes on one side; a transaction may have thousands of inputs."""


def drawing_of(transaction: Transaction, known: Known, names: Mapping[Script, str]) -> Drawing:
    """The drawing of a transaction; `names` are the addresses of its output scripts."""
    inputs = tuple(_placed(_inputs(transaction, known)))
    outputs = tuple(_placed(_outputs(transaction, known, names)))
    rows = max(len(inputs), len(outputs), 1)
    return Drawing(
        inputs=inputs,
        outputs=outputs,
        height=2 * TOP + rows * (BOX + GAP) - GAP,
        more_inputs=max(0, len(transaction.inputs) - MOST),
        more_outputs=max(0, len(transaction.outputs) - MOST),
    )


def _inputs(transaction: Transaction, known: Known) -> Iterator[End]:
    for each in transaction.inputs[:MOST]:
        coin = each.previous_output
        side = Side.UNKNOWN
        if coin in known.own_coins:
            side = Side.SHOP
        elif coin in known.customer_coins:
            side = Side.CUSTOMER
        yield End(side=side, name=short(str(coin)), value=known.own_coins.get(coin))


def _outputs(transaction: Transaction, known: Known, names: Mapping[Script, str]) -> Iterator[End]:
    for each in transaction.outputs[:MOST]:
        script, note, side = each.script_pubkey, "", Side.UNKNOWN
        if script in known.payment_scripts:
            side, note = Side.SHOP, phrase("pays this invoice")
        elif script in known.own_scripts:
            side = Side.SHOP
        elif script in known.customer_scripts:
            side = Side.CUSTOMER
        yield End(side=side, name=short(names.get(script, "")), value=each.value, note=note)


def _placed(ends: Iterator[End]) -> Iterator[End]:
    for number, each in enumerate(ends):
        yield End(
            side=each.side,
            name=each.name,
            value=each.value,
            note=each.note,
            y=TOP + number * (BOX + GAP),
        )
