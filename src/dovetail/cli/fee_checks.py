"""Refuse a fee that looks like a mistake or like a lying chain server, unless it is intended."""

from dovetail.bitcoin import FeeRate
from dovetail.cli.output import sats
from dovetail.errors import UsageError

_HIGH_PERCENT = 10
_LEAST_HIGH_FEE = 20_000
_HIGH_RATE = FeeRate.from_sat_per_vb(1_000)
_SLIP = "Choose another with `--fee-rate`, or add `--allow-high-fee` if you mean it."


def require_fair_fee(amount: int, most: int) -> None:
    """Raise `UsageError` where paying `amount` may cost as much as `most` satoshis."""
    if most > _LEAST_HIGH_FEE and most * 100 > amount * _HIGH_PERCENT:
        raise UsageError(
            f"The fee may come to {sats(most)}, more than {_HIGH_PERCENT}% of the"
            f" {sats(amount)} that you pay. {_SLIP}"
        )


def require_fair_rate(rate: FeeRate | None) -> None:
    """Raise `UsageError` for a rate far above the usual."""
    if rate is not None and rate > _HIGH_RATE:
        raise UsageError(f"The fee rate of {rate} is higher than {_HIGH_RATE}. {_SLIP}")
