"""What the command line asks to pay, before anything is loaded that could."""

import sys
from dataclasses import dataclass

from dovetail.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asked for."""

    uri: str
    amount: int | None
    fee_rate: str | None
    yes: bool
    again: bool
    wait: bool
    patience: float | None


def require_somebody(request: Request) -> None:
    """Raise `UsageError` where nobody can confirm the payment and nobody has."""
    if not request.yes and not sys.stdin.isatty():
        raise UsageError("Nobody is there to confirm the payment: add --yes to pay without asking.")
