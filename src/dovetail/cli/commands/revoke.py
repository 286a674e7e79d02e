"""`dovetail revoke`."""

import click

from dovetail.cli import handlers
from dovetail.cli.help_layout import command
from dovetail.cli.json_keys import REVOKE
from dovetail.cli.option_types import Rate
from dovetail.cli.options import (
    chain,
    common,
    high_fee,
    json_option,
    passphrase,
    routes,
    session_argument,
)
from dovetail.cli.output import Screen


@command(
    examples={
        "dovetail revoke 5": "Take the payment of session 5 back, after `dovetail release 5`.",
    },
)
@session_argument
@click.option("--fee-rate", type=Rate(), help="The fee rate; estimated unless given.")
@click.option("-y", "--yes", is_flag=True, help="Revoke without asking.")
@routes
@high_fee
@passphrase
@chain
@json_option(REVOKE)
@common
def revoke(
    *, session_id: int, fee_rate: str | None, allow_high_fee: bool, yes: bool, as_json: bool
) -> int:
    """Take back a payment that was released.

    Spends one of its coins back to your wallet, so that the receiver can no longer take the
    payment once that confirms. It costs a fee, and it is a race: if the receiver's broadcast is
    mined first, the payment is made. Watch it with `dovetail resume`.
    """
    screen = Screen(as_json=as_json)
    return handlers.decisions.revoke(
        session_id, screen, fee_rate=fee_rate, allow_high_fee=allow_high_fee, yes=yes
    )
