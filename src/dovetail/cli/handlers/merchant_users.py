"""`dovetail merchant user`: who may sign in to the shop."""

import sys
from collections.abc import Generator
from contextlib import contextmanager

import click

from dovetail.cli import context, json_keys, merchant_parts
from dovetail.cli.exits import Exit
from dovetail.cli.output import Screen
from dovetail.merchant.data import audit, users
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.users import UserRow
from dovetail.merchant.messages import Role
from dovetail.merchant.services.users import LEAST_LENGTH, MOST_LENGTH, Users


def add(screen: Screen, *, name: str, role: str, database: str | None) -> int:
    """Make a user; see `dovetail merchant user add --help`."""
    with _opened(database) as opened:
        row = Users(opened).add(name, _password(), Role(role), by=audit.OWNER)
    return _told(screen, row, "The user is made.")


def listed(screen: Screen, *, database: str | None) -> int:
    """Show the users; see `dovetail merchant user list --help`."""
    with _opened(database) as opened:
        found = opened.read(users.all_users)
    for row in found:
        off = "" if row.disabled_at is None else " (disabled)"
        screen.result(f"{row.name}: {row.role}{off}")
    if not found:
        screen.say("There is no user yet: make one with `dovetail merchant user add`.")
    told = [
        {
            "user": str(row.id),
            "name": row.name,
            "role": row.role.value,
            "disabled": row.disabled_at is not None,
        }
        for row in found
    ]
    screen.emit(json_keys.MERCHANT_USERS, {"users": told})
    return Exit.DONE


def disable(screen: Screen, *, name: str, database: str | None) -> int:
    """Lock a user out; see `dovetail merchant user disable --help`."""
    with _opened(database) as opened:
        row = Users(opened).disable(name, by=audit.OWNER)
    return _told(screen, row, "The user is locked out.")


def password(screen: Screen, *, name: str, database: str | None) -> int:
    """Give a user another password; see `dovetail merchant user password --help`."""
    with _opened(database) as opened:
        row = Users(opened).set_password(name, _password(), by=audit.OWNER)
    return _told(screen, row, "The password is changed.")


@contextmanager
def _opened(database: str | None) -> Generator[Database]:
    home = context.home(tell=False)
    settings = merchant_parts.settings_of(home, database=database)
    with merchant_parts.open_database(home, settings) as opened:
        yield opened


def _password() -> str:
    """A new password: typed twice at a terminal, or the first line of the input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline(2 * MOST_LENGTH).removesuffix("\n").removesuffix("\r")
    asked: str = click.prompt(
        f"Password, of at least {LEAST_LENGTH} characters",
        hide_input=True,
        confirmation_prompt="The same again",
        err=True,
    )
    return asked


def _told(screen: Screen, row: UserRow, words: str) -> int:
    screen.result(str(row.id))
    screen.emit(json_keys.MERCHANT_USER, {"user": str(row.id), "name": row.name})
    screen.say(words)
    return Exit.DONE
