"""`dovetail history`."""

from typing import Any

import click

from dovetail.cli.help_layout import command
from dovetail.cli.json_keys import CSV, HISTORY
from dovetail.cli.option_types import Since
from dovetail.cli.options import common, documented, json_option
from dovetail.cli.output import Screen
from dovetail.cli.read_only import Reading
from dovetail.errors import UsageError


@command(
    cls=Reading,
    examples={
        "dovetail history": "List the latest sessions.",
        "dovetail history --search coffee": "Find sessions by label, message, address or txid.",
        "dovetail history --open --json": "List what is open, for a script.",
    },
)
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    help="How many sessions to list: 20 unless given, and all with --csv.",
)
@click.option("--before", metavar="ID", type=click.IntRange(min=1), help="Only those before ID.")
@click.option("--open", "is_open", is_flag=True, help="Only sessions that are open.")
@click.option("--closed", "is_closed", is_flag=True, help="Only sessions that have ended.")
@click.option("--sent", is_flag=True, help="Only payments to others.")
@click.option("--received", is_flag=True, help="Only payments to you.")
@click.option(
    "--since", type=Since(), help="Only those begun since then, such as 2026-11-24 or 7d."
)
@click.option(
    "--search",
    "text",
    metavar="TEXT",
    help="Only those with TEXT in their label or message, or at the beginning of their address or"
    " txid (from 8 characters on).",
)
@json_option(HISTORY)
@click.option(
    "--csv",
    "as_csv",
    cls=documented(CSV),
    is_flag=True,
    help="Print all as CSV for a spreadsheet, one session a line.",
)
@common
def history(
    *, limit: int | None, before: int | None, as_json: bool, as_csv: bool, **filters: Any
) -> int:
    """List sessions, open and closed.

    Lists the newest first, each with its next step. Several filters narrow the list together. It
    asks nothing of the network.
    """
    from dovetail.cli.handlers import empty_store

    if as_json and as_csv:
        raise UsageError("Choose one: --json prints an object, --csv lines for a spreadsheet.")
    if (filters["is_open"] and filters["is_closed"]) or (filters["sent"] and filters["received"]):
        raise UsageError("No session is both. Remove one of the two options.")
    screen = Screen(as_json=as_json)
    if not empty_store.may_have_sessions():
        return empty_store.tell_of_none(screen, as_csv=as_csv)
    from dovetail.cli.handlers import history as handler
    from dovetail.cli.handlers import history_csv

    wanted = handler.wanted_of(**filters)
    if as_csv:
        return history_csv.history(wanted, limit=limit, before=before)
    return handler.history(screen, wanted, limit=limit, before=before)
