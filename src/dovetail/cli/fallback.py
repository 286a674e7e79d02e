"""`dovetail fallback`."""

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
def fallback(*, session_id: int, as_json: bool) -> int:
    """Pay by the ordinary transaction now.

    Where a payjoin may be under way the two compete, and exactly one of them confirms. Watch it
    by `dovetail resume`.
    """
    return work.deciding.fallback(session_id, Screen(as_json=as_json))
