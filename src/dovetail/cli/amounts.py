"""The cost of a payment, as JSON values and in words."""

from dovetail.bitcoin import FeeRate
from dovetail.cli.output import sats
from dovetail.sessions.amounts import Paid, Received
from dovetail.sessions.overpayment import Surplus


def amount_values(found: Received | Paid | None) -> dict[str, int | str | None]:
    """The amounts under their keys in `json_keys.SESSION`."""
    received = found if isinstance(found, Received) else None
    paid = found if isinstance(found, Paid) else None
    return {
        "received_sats": None if received is None else int(received.amount),
        "receiver_fee_sats": None if received is None else int(received.paid),
        "paid_fee_sats": None if paid is None else int(paid.fee),
        "paid_fee_rate": None if paid is None else per_vbyte(paid.rate),
    }


def surplus_values(found: Surplus | None) -> dict[str, int | list[str] | None]:
    """The money that came beside a receiver's payment, under its keys in `json_keys.SESSION`."""
    too_much = None if found is None else found.too_much
    return {
        "in_all_sats": None if found is None else int(found.received),
        "too_much_sats": None if too_much is None else int(too_much),
        "beside_txids": None if found is None else list(found.txids),
    }


def amount_words(found: Received | Paid) -> str:
    """The amounts in a sentence."""
    if isinstance(found, Paid):
        words = f"The fee is {sats(found.fee)}, at {per_vbyte(found.rate)} sat/vB"
        below = found.rate < found.asked
        return f"{words} ({found.asked} was planned)." if below else f"{words}."
    if not found.paid:
        return f"You receive {sats(found.amount)}."
    return (
        f"You receive {sats(found.amount)}: {sats(found.paid)} less than the sender pays, for your"
        " part of the fee."
    )


def per_vbyte(rate: FeeRate) -> str:
    """A rate in sat/vB with two decimals, rounded down."""
    whole, hundredths = divmod(rate.sat_per_kwu * 4 // 10, 100)
    return f"{whole}.{hundredths:02}"
