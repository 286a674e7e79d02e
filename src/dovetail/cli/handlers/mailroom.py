"""`dovetail mailroom serve`: directory, OHTTP gateway and relay."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dovetail.cli import mailroom_limits
from dovetail.cli.config import Settings
from dovetail.cli.exits import Exit
from dovetail.cli.output import Screen
from dovetail.cli.paths import MAILROOM, make_folder, server_folder, settings
from dovetail.errors import ConfigurationError
from dovetail.mailroom import MailroomSettings, serve


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asked for."""

    place: tuple[str, int]
    folder: str | None
    directory: bool
    relay: bool
    local: bool
    v1: bool
    ca_file: str | None
    ttl: float | None


def run(request: Request, screen: Screen) -> int:
    """Run the mailroom until a signal comes."""
    folder = server_folder(request.folder, MAILROOM)
    limited = _limits(settings())
    if request.ttl is not None:
        limited["ttl"] = request.ttl
    wanted = MailroomSettings(
        folder,
        directory=request.directory,
        relay=request.relay,
        local=request.local,
        v1=request.v1,
        ca_file=None if request.ca_file is None else Path(request.ca_file),
        **limited,
    )
    make_folder(folder)

    def ready(url: str) -> None:
        screen.result(url)
        screen.say(f"A {_roles(request)} is running there. Ctrl-C stops it; what it holds is kept.")

    host, port = request.place
    serve(host, port, wanted, ready=ready)
    screen.say("The mailroom has stopped.")
    return Exit.DONE


def _roles(request: Request) -> str:
    if request.directory and request.relay:
        return "mailroom (directory, gateway and relay)"
    return "directory with its gateway" if request.directory else "relay"


def _limits(configured: Settings) -> dict[str, Any]:
    """The table of the file; what is wrong in it is told with the file's name."""
    try:
        return mailroom_limits.read(configured.mailroom)
    except ConfigurationError as error:
        raise ConfigurationError(f"{configured.file}: {error}") from error
