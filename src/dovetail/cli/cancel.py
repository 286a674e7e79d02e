"""`dovetail cancel`."""

import click

from dovetail.cli import work
from dovetail.cli.keys import SESSION
from dovetail.cli.options import chain, common, json_option, routes, session_argument
from dovetail.cli.output import Screen


@click.command()
@session_argument
@routes
@chain
@json_option(SESSION)
@common
def cancel(*, session_id: int, as_json: bool) -> int:
    """Stop a payjoin, not the payment.

    Where an ordinary payment is held, the session then waits for `dovetail fallback` or
    `dovetail release`, and the exit code is 4.
    """
    return work.deciding.cancel(session_id, Screen(as_json=as_json))
