"""How a session ended: what the chain showed, and why there was no payjoin if there was none."""

from collections.abc import Iterable
from typing import Annotated, TypeAlias

import msgspec

from dovetail.bitcoin.transaction import Txid
from dovetail.sessions.other_payments import Receipts
from dovetail.sessions.reasons import Reason

Satoshis: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2_100_000_000_000_000)]


class InputSignature(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One sender input as it was signed on the chain."""

    script_sig: bytes = b""
    witness: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return "<InputSignature>"


class _Outcome(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag=True,
    tag_field="outcome",
):
    pass


class _Single(_Outcome, frozen=True, kw_only=True):
    """One transaction made the payment; `txid` in display hex.

    `beside` is what other transactions, `others`, had paid to a receiver's address, in satoshis.
    """

    txid: str
    beside: Satoshis = 0
    others: tuple[str, ...] = ()


class Success(_Single, frozen=True, kw_only=True):
    """The payjoin confirmed.

    `signatures` holds the sender inputs' scripts in the Original's order, so that the receiver
    can rebuild the payjoin and broadcast it again; empty where the log holds it whole.
    """

    signatures: tuple[InputSignature, ...] = ()


class FallbackBroadcasted(_Single, frozen=True, kw_only=True):
    """The fallback confirmed; `why` says what stopped the payjoin, None where it is not known."""

    why: Reason | None = None


class Unrecognized(_Outcome, frozen=True, kw_only=True):
    """A transaction that is neither payjoin nor fallback spent a contested outpoint.

    `received` is what the address had received, in satoshis, and less than was asked for; None
    where the address was not checked.
    """

    txid: str
    received: Satoshis | None = None


class PaidDirectly(_Outcome, frozen=True, kw_only=True):
    """The receiver's address was paid by transactions that are neither payjoin nor fallback.

    `others` are the further parts, where it was paid in parts; `received` is all that the address
    had received, in satoshis, None if not recorded. `beyond` are the ones that came although
    the others make up the payment.
    """

    txid: str
    others: tuple[str, ...] = ()
    received: Satoshis | None = None
    beyond: tuple[str, ...] = ()


class PayjoinProposalSent(_Outcome, frozen=True, kw_only=True):
    """The proposal was sent, and the chain source could not tell what happened to it.

    Sessions no longer end so, as each chain source can tell. Logs of earlier releases may.
    """


class Revoked(_Outcome, frozen=True, kw_only=True):
    """The session's own party spent its coins back to its wallet: this payment cannot be made."""

    txid: str


class Cancelled(_Outcome, frozen=True, kw_only=True):
    """No payment was made in this session; `why` says what ended it.

    `received` is what the address had received, in satoshis, by the transactions `txids`; None
    where the address was not checked.
    """

    why: Reason
    received: Satoshis | None = None
    txids: tuple[str, ...] = ()


class Expired(_Outcome, frozen=True, kw_only=True):
    """Time ran out before the payment; `why` names another cause, where there was one.

    `received` and `txids` as in `Cancelled`.
    """

    why: Reason | None = None
    received: Satoshis | None = None
    txids: tuple[str, ...] = ()


Outcome = (
    Success
    | FallbackBroadcasted
    | Unrecognized
    | PaidDirectly
    | PayjoinProposalSent
    | Revoked
    | Cancelled
    | Expired
)
"""How a session ended."""


def cancelled(why: Reason, received: Receipts | None) -> Cancelled:
    """The outcome of a session that ends without its payment; None: the address was not checked."""
    if received is None:
        return Cancelled(why=why)
    return Cancelled(why=why, received=int(received.amount), txids=hexes(received.txids))


def expired(why: Reason | None, received: Receipts | None) -> Expired:
    """The outcome of a session whose time ran out; None: the address was not checked."""
    if received is None:
        return Expired(why=why)
    return Expired(why=why, received=int(received.amount), txids=hexes(received.txids))


def hexes(txids: Iterable[Txid]) -> tuple[str, ...]:
    """Transaction ids as outcomes name them, in display hex."""
    return tuple(str(txid) for txid in txids)


CODES: dict[type[Outcome], str] = {
    Success: "success",
    FallbackBroadcasted: "fallback",
    Unrecognized: "unrecognized",
    PaidDirectly: "paid-directly",
    PayjoinProposalSent: "proposal-sent",
    Revoked: "revoked",
    Cancelled: "cancelled",
    Expired: "expired",
}
"""The stable code of each outcome."""


def code_of(outcome: Outcome) -> str:
    """The stable code of an outcome."""
    return CODES[type(outcome)]
