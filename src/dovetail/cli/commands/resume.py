"""`dovetail resume`."""

from typing import Any

import click

from dovetail.cli import options
from dovetail.cli.help_layout import command
from dovetail.cli.json_keys import RESUME
from dovetail.cli.option_types import SessionNumber
from dovetail.cli.output import Screen


@command(
    examples={
        "dovetail resume": "Go on with every open session.",
        "dovetail resume 5 --timeout 10m": "Go on with session 5, for ten minutes at most.",
    },
)
@click.argument("ids", metavar="[ID]...", nargs=-1, type=SessionNumber())
@options.timeout
@options.served(public=False)
@options.routes
@options.passphrase
@options.chain
@options.json_option(RESUME)
@options.events
@options.common
def resume(*, as_json: bool, as_events: bool, **given: Any) -> int:
    """Go on with open sessions.

    Goes on with all, or with those named, and follows each until it is paid, has ended or waits
    for your decision. A session that cannot be read does not stop the others. Sessions made with
    `receive --listen` need --listen again until their sender has come.
    """
    from dovetail.cli.handlers import resume as handler

    return handler.resume(Screen(as_json=as_json, as_events=as_events), **given)
