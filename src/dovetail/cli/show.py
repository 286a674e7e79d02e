"""`dovetail show`."""

import click

from dovetail.cli import work
from dovetail.cli.keys import SHOW
from dovetail.cli.options import common, json_option, session_argument
from dovetail.cli.output import Screen


@click.command()
@session_argument
@click.option("--raw", is_flag=True, help="Print the log as it is stored, without its keys.")
@json_option(SHOW)
@common
def show(*, session_id: int, raw: bool, as_json: bool) -> int:
    """Show one session: what happened and what is owed now.

    Its events with their local time, where it stands, and what to do next. Nothing is asked of
    the network. A damaged log can be looked at with `--raw`, and saved by `dovetail export`.
    """
    return work.showing.show(session_id, Screen(as_json=as_json), raw=raw)
