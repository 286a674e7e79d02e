"""`dovetail send`."""

from typing import Any

import click

from dovetail.cli import options
from dovetail.cli.help_layout import command
from dovetail.cli.json_keys import SEND
from dovetail.cli.option_types import Amount, Rate
from dovetail.cli.output import Screen

URI = "'bitcoin:…?amount=0.0005&pj=…'"


@command(
    examples={
        f"dovetail send {URI}": "Look at the payment, agree to it, and see it through.",
        f"dovetail send {URI} --fee-rate 2.5": "Choose the fee rate.",
        f"dovetail send {URI} --yes --no-wait": "Pay unasked, and leave it to `dovetail run`.",
    },
)
@click.argument("uri")
@click.option("--fee-rate", type=Rate(), help="The fee rate; estimated unless given.")
@click.option("--amount", type=Amount(), help="Sats to pay, if the URI names no amount.")
@click.option("-y", "--yes", is_flag=True, help="Pay without asking.")
@click.option("--again", is_flag=True, help="Pay an address again that you already pay or paid.")
@click.option("--plain", is_flag=True, help="Pay the address without a payjoin.")
@click.option("--no-wait", is_flag=True, help="Leave after the first try to ask the receiver.")
@options.timeout
@options.routes
@options.coin_control
@options.high_fee
@options.passphrase
@options.chain
@options.json_option(SEND)
@options.events
@options.common
def send(*, plain: bool, as_json: bool, as_events: bool, **given: Any) -> int:
    """Pay a Payjoin URI and see the payment through.

    Shows what will be paid, to whom, the fee and the most that a payjoin may add to it, and asks.
    Then it follows the session until the payment is confirmed. Ctrl-C leaves it for `dovetail
    resume`. The payment is made once, by a payjoin if it can be, else by the ordinary payment.
    If the URI has expired or its payjoin cannot be used, `--plain` pays its address without one. If
    the one try of --no-wait fails, the exit code is 3, and `resume` or `run` tries again.
    """
    from dovetail.cli.handlers import pay, send

    screen = Screen(as_json=as_json, as_events=as_events)
    return pay.pay(screen, **given) if plain else send.send(screen, **given)
