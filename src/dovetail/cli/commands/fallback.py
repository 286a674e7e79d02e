"""`dovetail fallback`."""

from typing import Any

import click

from dovetail.cli import options
from dovetail.cli.help_layout import command
from dovetail.cli.json_keys import SESSION
from dovetail.cli.option_types import Rate
from dovetail.cli.output import Screen


@command(
    examples={
        "dovetail fallback 5": "Pay session 5 now.",
        "dovetail fallback 5 --fee-rate 8": "Pay it at a higher fee, where it does not confirm.",
    },
)
@options.session_argument
@click.option(
    "--fee-rate", type=Rate(), help="Raise the fee: pay the same from the same coins, for more."
)
@options.routes
@options.high_fee
@options.passphrase
@options.chain
@options.json_option(SESSION)
@options.common
def fallback(*, as_json: bool, **given: Any) -> int:
    """Pay now, by the ordinary payment.

    If a payjoin may be under way, the two compete, and exactly one of them confirms. Running it
    again changes nothing. With `--fee-rate` a payment of yours that has not confirmed, even a
    payjoin, is replaced at a higher fee, which comes out of your change. If another transaction has
    paid the address already, run it twice to pay again. Watch it with `dovetail resume`.
    """
    from dovetail.cli.handlers import fallback as handler

    return handler.fallback(Screen(as_json=as_json), **given)
