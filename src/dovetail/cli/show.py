"""`dovetail show`."""

import click

from dovetail.cli import work
from dovetail.cli.keys import SHOW
from dovetail.cli.options import common, json_option, session_argument
from dovetail.cli.output import Screen


@click.command()
@session_argument
@json_option(SHOW)
@common
def show(*, session_id: int, as_json: bool) -> int:
    """Show one session: what happened and what is owed now.

    Its events with their local time, where it stands, and what to do next. Nothing is asked of
    the network.
    """
    return work.showing.show(session_id, Screen(as_json=as_json))
