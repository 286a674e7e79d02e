"""`dovetail release`."""

import click

from dovetail.cli import handlers
from dovetail.cli.help_layout import command
from dovetail.cli.json_keys import SESSION
from dovetail.cli.options import chain, common, json_option, routes, session_argument
from dovetail.cli.output import Screen


@command(
    examples={
        "dovetail release 5": "Don't pay session 5.",
    },
)
@session_argument
@click.option("-y", "--yes", is_flag=True, help="Release it without asking.")
@routes
@chain
@json_option(SESSION)
@common
def release(*, session_id: int, yes: bool, as_json: bool) -> int:
    """Don't pay: never broadcast the ordinary payment.

    What was sent can still be broadcast by the other party: a sender's coins stay reserved
    until the payment is made or taken back with `dovetail revoke`.
    """
    return handlers.decisions.release(session_id, Screen(as_json=as_json), yes=yes)
