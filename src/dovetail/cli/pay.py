"""`dovetail pay`."""

import click

from dovetail.cli import work
from dovetail.cli.keys import PAY
from dovetail.cli.options import Amount, Rate, chain, common, json_option, passphrase, timeout
from dovetail.cli.output import Screen


@click.command()
@click.argument("payee", metavar="URI|ADDRESS")
@click.argument("amount", type=Amount(), required=False)
@click.option("--fee-rate", type=Rate(), help="The fee rate; estimated unless given.")
@click.option("-y", "--yes", is_flag=True, help="Pay without asking.")
@click.option("--again", is_flag=True, help="Pay an address that you pay already, or paid.")
@click.option("--no-wait", is_flag=True, help="Leave once the payment is broadcast.")
@timeout
@passphrase
@chain
@json_option(PAY)
@common
def pay(
    *,
    payee: str,
    amount: int | None,
    fee_rate: str | None,
    yes: bool,
    again: bool,
    no_wait: bool,
    timeout: float | None,
    as_json: bool,
) -> int:
    """Pay an address as usual, without a payjoin.

    For an address, a URI that offers no payjoin, or one whose payjoin cannot be used. Shows what
    will be paid, to whom, and the fee, and asks. It spends no coin that a session holds, is kept
    as a session of its own, and is broadcast again until it has confirmed. AMOUNT is in
    satoshis, where the URI names none.
    """
    request = work.requests.Request(
        uri=payee,
        amount=amount,
        fee_rate=fee_rate,
        yes=yes,
        again=again,
        wait=not no_wait,
        patience=timeout,
    )
    return work.paying.pay(request, Screen(as_json=as_json))
