"""`dovetail mailroom serve`: directory, OHTTP gateway and relay."""

from pathlib import Path
from typing import Any

from dovetail import mailroom
from dovetail.cli import mailroom_limits
from dovetail.cli.config import Settings
from dovetail.cli.exits import Exit
from dovetail.cli.output import Screen
from dovetail.cli.paths import MAILROOM, make_folder, server_folder, settings
from dovetail.errors import ConfigurationError
from dovetail.mailroom import MailroomSettings


def serve(
    screen: Screen,
    *,
    place: tuple[str, int],
    folder: str | None,
    ca_file: Path | None,
    ttl: float | None,
    **roles: Any,
) -> int:
    """Run the mailroom until a signal comes; `roles` are flags of `MailroomSettings`."""
    own = server_folder(folder, MAILROOM)
    limited = _limits(settings())
    if ttl is not None:
        limited["ttl"] = ttl
    wanted = MailroomSettings(own, ca_file=ca_file, **roles, **limited)
    make_folder(own)

    def ready(url: str) -> None:
        screen.result(url)
        screen.say(f"A {_roles(wanted)} is running there. Ctrl-C stops it; what it holds is kept.")

    mailroom.serve(*place, wanted, ready=ready)
    screen.say("The mailroom has stopped.")
    return Exit.DONE


def _roles(wanted: MailroomSettings) -> str:
    if wanted.directory and wanted.relay:
        return "mailroom (directory, gateway and relay)"
    return "directory with its gateway" if wanted.directory else "relay"


def _limits(configured: Settings) -> dict[str, Any]:
    """Read the table of the file; an error names the file."""
    try:
        return mailroom_limits.read(configured.mailroom)
    except ConfigurationError as error:
        raise ConfigurationError(f"{configured.file}: {error}") from error
