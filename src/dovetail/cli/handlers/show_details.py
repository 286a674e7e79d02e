"""The facts that `show` tells beside a session's events: the request, the money, the times."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from dovetail.bitcoin import FeeRate, Sats
from dovetail.cli.amounts import per_vbyte
from dovetail.cli.clock import clock
from dovetail.cli.json_keys import DETAILS
from dovetail.cli.live.follow import Seen
from dovetail.cli.output import local_time, sats
from dovetail.explain.explanation import Explanation
from dovetail.explain.text import printable
from dovetail.sessions import receiver, sender
from dovetail.sessions.amounts import Joined, Paid, Received, WholeFee, joined_of, whole_fee_of
from dovetail.sessions.sender.events import Created
from dovetail.sessions.standing import AnySession
from dovetail.stores.ports import SessionRow

Line: TypeAlias = tuple[str, str]
"""A heading and what stands behind it."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Details:
    """The facts of one session that its log alone tells; its repr shows none (P4)."""

    paying: bool
    address: str
    message: str | None
    uri: str | None
    """A receiver's URI, while it can still be paid."""
    asked: Sats | None
    """The amount that the URI asks for; None means any."""
    fee_rate: FeeRate | None
    """The rate that a sender chose, if known: an ordinary payment's log does not have it."""
    plain: bool
    """Whether it is an ordinary payment, which never expires."""
    joined: Joined | None
    fee: WholeFee | None
    """Of the transaction that pays, once it is known which."""
    spent: Sats | None
    """The whole cost of a payment to a sender's wallet, once it is known how it is made."""


def details_of(state: AnySession, found: Explanation) -> Details:
    """Return the facts of a session's log; `found` is its explanation."""
    joined = joined_of(state)
    if not isinstance(state, sender.SenderSession):
        payable = isinstance(state, receiver.Initialized) and clock() < state.expires_at
        created = state.created
        return Details(
            paying=False,
            address=created.address,
            message=created.message,
            uri=state.payjoin_uri.serialize() if payable else None,
            asked=None if created.amount is None else Sats(created.amount),
            fee_rate=None,
            plain=False,
            joined=joined,
            fee=whole_fee_of(state),
            spent=None,
        )
    terms, begun, paid = state.terms, state.created, found.amounts
    chosen = begun.min_fee_rate if isinstance(begun, Created) else 0
    return Details(
        paying=True,
        address=str(terms.address),
        message=terms.request.message,
        uri=None,
        asked=terms.request.amount,
        fee_rate=FeeRate(chosen) if chosen else None,
        plain=terms.is_plain,
        joined=joined,
        fee=WholeFee(paid.fee, paid.rate) if isinstance(paid, Paid) else None,
        spent=_spent(state, found, joined),
    )


def _spent(state: sender.SenderSession, found: Explanation, joined: Joined | None) -> Sats | None:
    if found.amount is None or not isinstance(found.amounts, Paid):
        return None
    fee = found.amounts.fee if joined is None else Sats(state.original.fee + joined.cost)
    return Sats(found.amount + fee)


def detail_values(
    row: SessionRow, found: Explanation | None, details: Details | None
) -> dict[str, Any]:
    """The facts under their keys; without details for a log that cannot be read."""
    told = dict.fromkeys(DETAILS) | _confirmations(row, found)
    if details is None:
        return told
    joined, fee = details.joined, details.fee
    return told | {
        "address": details.address,
        "message": details.message,
        "uri": details.uri,
        "asked_sats": None if details.asked is None else int(details.asked),
        "asked_fee_rate": None if details.fee_rate is None else per_vbyte(details.fee_rate),
        "transaction_fee_sats": None if fee is None else int(fee.fee),
        "transaction_fee_rate": None if fee is None or fee.rate is None else per_vbyte(fee.rate),
        "spent_sats": None if details.spent is None else int(details.spent),
        "payjoin_cost_sats": None if joined is None else int(joined.cost),
        "payjoin_added_sats": None if joined is None else [int(each) for each in joined.added],
    }


def _confirmations(row: SessionRow, found: Explanation | None) -> dict[str, int | None]:
    seen = row.sighting
    told = found is not None and found.txid is not None
    if seen is None or seen.gone or (told and found and str(seen.txid) != found.txid):
        return {"confirmations": None, "confirmations_wanted": None}
    return {"confirmations": seen.depth, "confirmations_wanted": seen.wanted}


def lines(row: SessionRow, found: Explanation | None, details: Details | None) -> list[Line]:
    """The same for people, in the order in which they read it."""
    told: list[Line] = []
    if row.label:
        told.append(("Label", printable(row.label)))
    if details is not None and found is not None:
        told += _of_request(details, found)
        told += _of_money(details, found)
    if found is not None and found.txid is not None:
        told.append(("Transaction", found.txid))
    told += _of_chain(row, found)
    told.append(("Created", local_time(row.created_at)))
    if row.closed_at is not None:
        told.append(("Ended", local_time(row.closed_at)))
    elif details is None or not details.plain:
        told.append(("Expires", local_time(row.expires_at)))
    return told


def _of_request(details: Details, found: Explanation) -> list[Line]:
    told: list[Line] = []
    if details.message:
        told.append(("Message", printable(details.message)))
    told.append(("Address", details.address))
    if details.uri is not None:
        told.append(("Payjoin URI", details.uri))
    if not details.paying or details.asked not in (None, found.amount):
        told.append(("Asked for", sats(details.asked)))
    return told


def _of_money(details: Details, found: Explanation) -> list[Line]:
    if found.outcome is not None and not found.paid:
        return []
    told: list[Line] = []
    match found.amounts:
        case Received(amount=amount, paid=missing):
            less = f", {sats(missing)} less than was paid: your part of the fee" if missing else ""
            told.append(("Received" if found.paid else "To receive", f"{sats(amount)}{less}"))
        case Paid():
            told.append(("Paid" if found.paid else "To pay", _paid(details, found)))
        case _ if details.fee_rate is not None:
            told.append(("Fee rate", str(details.fee_rate)))
        case _:
            pass
    if details.fee is not None:
        told.append(("Fee", _fee(details.fee, details)))
    if details.joined is not None:
        told.append(("Payjoin", _joined(details.joined, paying=details.paying)))
    return told


def _paid(details: Details, found: Explanation) -> str:
    if details.spent is None or found.amount is None:
        return sats(found.amount)
    own = Sats(details.spent - found.amount)
    whole = isinstance(found.amounts, Paid) and own == found.amounts.fee
    fee = f"a fee of {sats(own)}" if whole else f"{sats(own)} of the fee"
    return f"{sats(details.spent)} in all: {sats(found.amount)}, and {fee}"


def _fee(found: WholeFee, details: Details) -> str:
    if found.rate is None:
        return sats(found.fee)
    told, planned = per_vbyte(found.rate), details.fee_rate
    differs = planned is not None and per_vbyte(planned) != told
    return f"{sats(found.fee)}, at {told} sat/vB" + f" ({planned} was planned)" * differs


def _joined(found: Joined, *, paying: bool) -> str:
    count, total = len(found.added), sats(Sats.sum(found.added))
    coins = f"{count} {'coin' if count == 1 else 'coins'}"
    cost = "nothing"
    if found.cost:
        cost = f"{sats(found.cost)} more than the ordinary payment"
    if paying:
        return f"cost you {cost}; the receiver added {coins} ({total})"
    return f"cost you {cost}; {coins} of yours ({total}) went in"


def _of_chain(row: SessionRow, found: Explanation | None) -> list[Line]:
    depth = _confirmations(row, found)["confirmations"]
    seen = Seen.in_row(row)
    if depth is None or seen is None:
        return []
    wanted = seen.sighting.wanted
    return [("Confirmations", f"{depth} of {wanted}, as seen at {local_time(seen.at)}")]
