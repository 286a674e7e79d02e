"""`dovetail run`."""

from typing import Any

import click

from dovetail.cli.help_layout import command
from dovetail.cli.options import chain, common, passphrase, routes, served


@command(
    examples={
        "dovetail run": "Work on all sessions until Ctrl-C.",
        "dovetail run --log json": "The same as a service whose log a program reads.",
    },
)
@served(public=False)
@click.option(
    "--log",
    "log_format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the log is written on stderr: lines for people, or one JSON object each.",
)
@routes
@passphrase
@chain
@common
def run(*, log_format: str, **given: Any) -> int:
    """Take every session forward, as a service.

    Works until Ctrl-C or SIGTERM, on all open sessions and on those that other commands begin
    meanwhile: `send --no-wait` and `receive --no-wait` leave the work to it. It broadcasts the
    ordinary payment when that falls due. Only one runs in a data folder at a time. It tells a
    service manager when it is ready (sd_notify), and settings are read at its start.
    """
    from dovetail.cli.handlers import run as handler

    return handler.run(json_log=log_format == "json", **given)
