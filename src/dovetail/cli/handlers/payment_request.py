"""What the command line asks to pay, before anything is loaded that could."""

import sys
from dataclasses import dataclass

from dovetail.bitcoin import OutPoint
from dovetail.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asked for."""

    uri: str
    amount: int | None
    fee_rate: str | None
    everything: bool = False
    """Whether all that can be spent is paid, less the fee; `amount` is None then."""
    coins: tuple[str, ...] = ()
    """The coins to choose from, as `txid:vout`; any where there are none."""
    allow_high_fee: bool = False
    yes: bool
    again: bool
    wait: bool
    patience: float | None


def chosen_coins(request: Request) -> frozenset[OutPoint]:
    """The coins that were named; none where any will do."""
    return frozenset(map(OutPoint.parse, request.coins))


def require_somebody(request: Request) -> None:
    """Raise `UsageError` where nobody can confirm the payment and nobody has."""
    if not request.yes and not sys.stdin.isatty():
        raise UsageError("Can't ask for confirmation (no terminal). Add --yes.")
