"""`dovetail resume`."""

import click

from dovetail.cli import handlers
from dovetail.cli.help_layout import command
from dovetail.cli.json_keys import RESUME
from dovetail.cli.option_types import SessionNumber
from dovetail.cli.options import (
    chain,
    common,
    events,
    json_option,
    passphrase,
    routes,
    served,
    timeout,
)
from dovetail.cli.output import Screen


@command(
    examples={
        "dovetail resume": "Go on with every open session.",
        "dovetail resume 5 --timeout 10m": "Go on with session 5, for ten minutes at most.",
    },
)
@click.argument("ids", metavar="[ID]...", nargs=-1, type=SessionNumber())
@timeout
@served(public=False)
@routes
@passphrase
@chain
@json_option(RESUME)
@events
@common
def resume(
    *,
    ids: tuple[int, ...],
    timeout: float | None,
    place: tuple[str, int] | None,
    tls_cert: str | None,
    tls_key: str | None,
    as_json: bool,
    as_events: bool,
) -> int:
    """Go on with open sessions.

    With all, or with those named. They are followed until each is paid, has ended or waits for
    your decision. One that cannot be read stops no other. Sessions made with `receive --listen`
    need --listen again, while their sender has not come.
    """
    listening = handlers.v1_server.Listening(place, tls_cert, tls_key)
    return handlers.resume.resume(
        ids, timeout, listening, Screen(as_json=as_json, as_events=as_events)
    )
