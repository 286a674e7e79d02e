"""`dovetail history`."""

import click

from dovetail.cli import handlers
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
def history(  # noqa: PLR0913 - one argument for each option
    *,
    limit: int | None,
    before: int | None,
    is_open: bool,
    is_closed: bool,
    sent: bool,
    received: bool,
    since: int | None,
    text: str | None,
    as_json: bool,
    as_csv: bool,
) -> int:
    """List sessions, open and closed.

    The newest first, with what to do next for each. Several filters narrow the list together.
    Nothing is asked of the network.
    """
    if as_json and as_csv:
        raise UsageError("Choose one: --json prints an object, --csv lines for a spreadsheet.")
    if (is_open and is_closed) or (sent and received):
        raise UsageError("No session is both. Remove one of the two options.")
    screen = Screen(as_json=as_json)
    if not handlers.empty_store.may_have_sessions():
        return handlers.empty_store.tell_of_none(screen, as_csv=as_csv)
    request = handlers.history.Request(
        limit=limit,
        before=before,
        is_open=is_open if is_open or is_closed else None,
        role="sender" if sent else "receiver" if received else None,
        since=since,
        text=text,
    )
    return (
        handlers.history_csv.history(request)
        if as_csv
        else handlers.history.history(request, screen)
    )
