"""`dovetail revoke`."""

from typing import Any

import click

from dovetail.cli import options
from dovetail.cli.help_layout import command
from dovetail.cli.json_keys import REVOKE
from dovetail.cli.option_types import Rate
from dovetail.cli.output import Screen


@command(
    examples={
        "dovetail revoke 5": "Take the payment of session 5 back, after `dovetail release 5`.",
    },
)
@options.session_argument
@click.option("--fee-rate", type=Rate(), help="The fee rate; estimated unless given.")
@click.option("-y", "--yes", is_flag=True, help="Revoke without asking.")
@options.routes
@options.high_fee
@options.passphrase
@options.chain
@options.json_option(REVOKE)
@options.common
def revoke(*, as_json: bool, **given: Any) -> int:
    """Take back a payment that was released.

    Spends one of its coins back to your wallet, so that the receiver can no longer take the
    payment once that confirms. It costs a fee, and it is a race: if the receiver's broadcast is
    mined first, the payment is made. Watch it with `dovetail resume`.
    """
    from dovetail.cli.handlers import revoke as handler

    return handler.revoke(Screen(as_json=as_json), **given)
