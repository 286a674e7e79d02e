"""`dovetail pay`."""

from typing import Any

import click

from dovetail.cli import options
from dovetail.cli.help_layout import command
from dovetail.cli.json_keys import PAY
from dovetail.cli.option_types import AmountOrAll, Rate
from dovetail.cli.output import Screen


@command(
    examples={
        "dovetail pay bc1q… 50000": "Pay 50,000 sats to an address.",
        "dovetail pay bc1q… all --fee-rate 2": "Pay everything that can be spent.",
    },
)
@click.argument("uri", metavar="URI|ADDRESS")
@click.argument("amount", metavar="[AMOUNT|all]", type=AmountOrAll(), required=False)
@click.option("--fee-rate", type=Rate(), help="The fee rate; estimated unless given.")
@click.option("-y", "--yes", is_flag=True, help="Pay without asking.")
@click.option("--again", is_flag=True, help="Pay an address again that you already pay or paid.")
@click.option("--no-wait", is_flag=True, help="Leave after the first try to broadcast it.")
@options.timeout
@options.coin_control
@options.high_fee
@options.passphrase
@options.chain
@options.json_option(PAY)
@options.events
@options.common
def pay(*, as_json: bool, as_events: bool, **given: Any) -> int:
    """Pay an address without a payjoin.

    Pays an address, a URI that offers no payjoin, or one whose payjoin cannot be used. It shows the
    amount, the payee and the fee, and asks. The payment spends no coin that a session holds. It
    becomes a session of its own, and is broadcast again until it confirms. AMOUNT is in satoshis,
    if the URI names none; `all` pays everything that can be spent, less the fee. If the one try of
    --no-wait fails, the exit code is 3, and `resume` or `run` tries again.
    """
    from dovetail.cli.handlers import pay as handler

    return handler.pay(Screen(as_json=as_json, as_events=as_events), **given)
