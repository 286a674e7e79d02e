"""`dovetail history`."""

import click

from dovetail.cli import work
from dovetail.cli.keys import HISTORY
from dovetail.cli.options import common, json_option
from dovetail.cli.output import Screen


@click.command()
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="How many sessions to list.",
)
@click.option("--before", metavar="ID", type=click.IntRange(min=1), help="Only those before ID.")
@click.option("--open", "open_only", is_flag=True, help="Only sessions that are open.")
@json_option(HISTORY)
@common
def history(*, limit: int, before: int | None, open_only: bool, as_json: bool) -> int:
    """List sessions, open and closed.

    The newest first, with what to do next for each. Nothing is asked of the network.
    """
    screen = Screen(as_json=as_json)
    if not work.beginnings.may_have_sessions():
        return work.beginnings.tell_of_none(screen)
    return work.listing.history(limit, before, open_only=open_only, screen=screen)
