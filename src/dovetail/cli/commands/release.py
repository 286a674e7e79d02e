"""`dovetail release`."""

from typing import Any

import click

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
def release(*, as_json: bool, **given: Any) -> int:
    """Don't pay: never broadcast the ordinary payment.

    The other party can still broadcast what was sent: a sender's coins stay reserved
    until the payment is made or taken back with `dovetail revoke`.
    """
    from dovetail.cli.handlers import release as handler

    return handler.release(Screen(as_json=as_json), **given)
