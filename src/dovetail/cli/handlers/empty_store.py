"""The answers about sessions before there is any; the modules that read them stay unloaded."""

import click

from dovetail.cli.context import home
from dovetail.cli.exits import Exit
from dovetail.cli.json_keys import CSV, HISTORY
from dovetail.cli.output import Screen
from dovetail.errors import DovetailError
from dovetail.stores.sql.peek import latest_sessions, may_hold_sessions

NONE_YET = "There is no session yet: begin with `dovetail receive` or `dovetail send`."


def may_have_sessions() -> bool:
    """Whether there may be a session on the network of this command line."""
    return may_hold_sessions(home(tell=False).database)


def latest(at_most: int) -> tuple[tuple[int, bool], ...]:
    """The latest sessions and whether each is open; none without a network to look at."""
    try:
        return latest_sessions(home(tell=False).database, at_most=at_most)
    except DovetailError:
        return ()


def tell_of_none(screen: Screen, *, as_csv: bool) -> int:
    """Say how to begin."""
    screen.say(NONE_YET)
    if as_csv:
        click.echo(f"{','.join(CSV)}\r\n", nl=False)
    screen.emit(HISTORY, {"sessions": [], "more": False})
    return Exit.DONE
