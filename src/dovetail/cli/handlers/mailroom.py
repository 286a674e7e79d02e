"""`dovetail mailroom serve`: directory, OHTTP gateway and relay."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from dovetail import mailroom
from dovetail.cli import config, mailroom_settings
from dovetail.cli.exits import Exit
from dovetail.cli.options import flags
from dovetail.cli.output import Screen
from dovetail.cli.paths import MAILROOM, make_folder, settings
from dovetail.cli.service_manager import READY, Notifier
from dovetail.mailroom import MailroomSettings
from dovetail.mailroom.machine import Machine, defaults

Place: TypeAlias = tuple[str, int]


def serve(screen: Screen, **given: Any) -> int:
    """Run the mailroom until a signal comes; see `dovetail mailroom serve --help`."""
    read = reader(**given)
    place, wanted = read()
    make_folder(wanted.data_dir)

    def ready(url: str) -> None:
        screen.result(url)
        screen.say(f"A {_roles(wanted)} is running there. Ctrl-C stops it; what it holds is kept.")
        notifier.send(READY)

    notifier = Notifier()
    mailroom.serve(*place, wanted, ready=ready, reload=lambda: read()[1])
    screen.say("The mailroom has stopped.")
    return Exit.DONE


def reader(**given: Any) -> Callable[[], tuple[Place, MailroomSettings]]:
    """Return what reads where the mailroom listens, and its settings, as often as it is called.

    None in `given` is an option left away. What nobody sets is derived from this machine. Raises
    `ConfigurationError`, as the result does; that may be called in any thread.
    """
    usual = settings().data_dir / MAILROOM
    typed = {name: value for name, value in given.items() if value is not None}
    return partial(_read, usual, flags(), typed)


def _read(
    usual: Path, of_all: Mapping[str, Any], typed: Mapping[str, Any]
) -> tuple[Place, MailroomSettings]:
    written = config.read(of_all, os.environ)
    found = mailroom_settings.look_up(written, typed, os.environ)
    values = {name: each.value for name, each in found.items()}
    place: Place = values.pop("listen", mailroom_settings.LISTEN)
    folder = values["data_dir"] = Path(values.get("data_dir", usual)).absolute()
    derived: dict[str, Any] = {**defaults(Machine.look(folder)), **values}
    return place, MailroomSettings(**derived)


def _roles(wanted: MailroomSettings) -> str:
    if wanted.directory and wanted.relay:
        return "mailroom (directory, gateway and relay)"
    return "directory with its gateway" if wanted.directory else "relay"
