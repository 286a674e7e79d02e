"""How a session ended: what the chain showed, and why there was no payjoin if there was none."""

import msgspec

from dovetail.sessions.reasons import Reason


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


class Success(_Outcome, frozen=True, kw_only=True):
    """The payjoin confirmed. `txid` in display hex.

    `signatures` holds the sender inputs' scripts in the Original's order, so that the receiver
    can rebuild the payjoin and broadcast it again; empty where the log holds it whole.
    """

    txid: str
    signatures: tuple[InputSignature, ...] = ()


class FallbackBroadcasted(_Outcome, frozen=True, kw_only=True):
    """The fallback confirmed; `why` says what stopped the payjoin, None where nobody knows."""

    txid: str
    why: Reason | None = None


class Unrecognized(_Outcome, frozen=True, kw_only=True):
    """A transaction that is neither payjoin nor fallback spent a contested outpoint."""

    txid: str


class PaidDirectly(_Outcome, frozen=True, kw_only=True):
    """The receiver's address was paid by a transaction that is neither payjoin nor fallback."""

    txid: str


class PayjoinProposalSent(_Outcome, frozen=True, kw_only=True):
    """The proposal was sent, and the chain source can tell nothing about what became of it."""


class Revoked(_Outcome, frozen=True, kw_only=True):
    """The sender took a contested input back to their own wallet."""

    txid: str


class Cancelled(_Outcome, frozen=True, kw_only=True):
    """No payment was made in this session; `why` says what ended it."""

    why: Reason


class Expired(_Outcome, frozen=True, kw_only=True):
    """Nobody paid before the expiration; `why` where something else than time was in the way."""

    why: Reason | None = None


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
