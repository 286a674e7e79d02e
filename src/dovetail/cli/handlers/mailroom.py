"""`dovetail mailroom serve`: directory, OHTTP gateway and relay."""

import os
from pathlib import Path
from typing import Any

from dovetail import mailroom
from dovetail.cli import config, mailroom_settings
from dovetail.cli.exits import Exit
from dovetail.cli.options import flags
from dovetail.cli.output import Screen
from dovetail.cli.paths import MAILROOM, make_folder, settings
from dovetail.mailroom import MailroomSettings
from dovetail.mailroom.machine import Machine, defaults


def serve(screen: Screen, **given: Any) -> int:
    """Run the mailroom until a signal comes; see `dovetail mailroom serve --help`."""
    place, wanted = chosen(**given)
    make_folder(wanted.data_dir)

    def ready(url: str) -> None:
        screen.result(url)
        screen.say(f"A {_roles(wanted)} is running there. Ctrl-C stops it; what it holds is kept.")

    mailroom.serve(*place, wanted, ready=ready)
    screen.say("The mailroom has stopped.")
    return Exit.DONE


def chosen(**given: Any) -> tuple[tuple[str, int], MailroomSettings]:
    """Where the mailroom listens, and its settings; None in `given` is an option left away.

    What nobody sets is derived from this machine. Raises `ConfigurationError`.
    """
    usual = settings().data_dir / MAILROOM
    written = config.read(flags(), os.environ)
    typed = {name: value for name, value in given.items() if value is not None}
    found = mailroom_settings.look_up(written, typed, os.environ)
    values = {name: each.value for name, each in found.items()}
    place = values.pop("listen", mailroom_settings.LISTEN)
    folder = values["data_dir"] = Path(values.get("data_dir", usual)).absolute()
    derived: dict[str, Any] = {**defaults(Machine.look(folder)), **values}
    return place, MailroomSettings(**derived)


def _roles(wanted: MailroomSettings) -> str:
    if wanted.directory and wanted.relay:
        return "mailroom (directory, gateway and relay)"
    return "directory with its gateway" if wanted.directory else "relay"
