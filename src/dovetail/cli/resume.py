"""`dovetail resume`."""

import click

from dovetail.cli import work
from dovetail.cli.keys import RESUME
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


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=click.IntRange(min=1))
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
    your word. One that cannot be read stops no other. Sessions made with `receive --listen` need
    --listen again, while their sender has not come.
    """
    listening = work.endpoints.Listening(place, tls_cert, tls_key)
    return work.resuming.resume(
        ids, timeout, listening, Screen(as_json=as_json, as_events=as_events)
    )
