"""`dovetail cancel`."""

from typing import Any

import click

from dovetail.cli.help_layout import command
from dovetail.cli.json_keys import SESSION
from dovetail.cli.options import chain, common, json_option, routes, session_argument
from dovetail.cli.output import Screen


@command(
    examples={
        "dovetail cancel 5": "Stop the payjoin of session 5; it asks about the payment.",
        "dovetail cancel 5 --fallback now": "Stop it, and make the ordinary payment now.",
    },
)
@session_argument
@click.option(
    "--fallback",
    "choice",
    type=click.Choice(["now", "later", "never"]),
    help="Make the ordinary payment now, later or never; asked for unless given.",
)
@routes
@chain
@json_option(SESSION)
@common
def cancel(*, as_json: bool, **given: Any) -> int:
    """Stop the payjoin, not the payment.

    If an ordinary payment is held, Dovetail makes it `now`, keeps it for `later`, or `never` makes
    it. With `later`, which is the choice where nobody can be asked, the session waits for `dovetail
    fallback` or `dovetail release`, and the exit code is 4. `dovetail run` or `resume` makes the
    payment when the session would have expired, unless `at_expiry` is `ask`. The other party can
    still broadcast what was sent, whatever you choose.
    """
    from dovetail.cli.handlers import cancel as handler

    return handler.cancel(Screen(as_json=as_json), **given)
