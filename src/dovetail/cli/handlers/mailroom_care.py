"""`dovetail mailroom status`, `keys`, `backup`, `block` and `unblock`."""

import time
from pathlib import Path
from typing import Any

from dovetail.cli import json_keys
from dovetail.cli.exits import Exit
from dovetail.cli.handlers.mailroom import reader
from dovetail.cli.output import Screen, local_time, span
from dovetail.cli.tables import table
from dovetail.errors import UsageError
from dovetail.mailroom import MailroomSettings, backups, blocking, control
from dovetail.mailroom.data_folder import hold
from dovetail.mailroom.keys import KeyRing
from dovetail.serving.blocklist import Network

NOT_RUNNING = "No mailroom runs in {}: start it, or name another folder with `--data`."


def status(screen: Screen, **given: Any) -> int:
    """Ask the mailroom that runs; see `dovetail mailroom status --help`."""
    settings = _settings(given)
    told = control.ask(settings.data_dir, "status")
    if told is None:
        raise UsageError(NOT_RUNNING.format(settings.data_dir))
    blocked = [str(each) for each in blocking.blocked(settings.block_file)]
    rows = [
        ("status", told["status"]),
        ("version", told["version"]),
        ("url", told["url"]),
        ("running for", span(told["running_seconds"])),
        *((name.replace("_", " "), f"{number:,}") for name, number in told["numbers"].items()),
        ("blocked networks", ", ".join(blocked) or "none"),
    ]
    screen.result(table(("What", "Now"), rows, right=frozenset()))
    settings_rows = [(name, _words(value)) for name, value in told["settings"].items()]
    screen.result("\n" + table(("Setting", "Value"), settings_rows, right=frozenset()))
    screen.emit(json_keys.MAILROOM_STATUS, {**told, "blocked": blocked})
    return Exit.DONE


def keys(screen: Screen, **given: Any) -> int:
    """List the keys; see `dovetail mailroom keys list --help`."""
    settings = _settings(given)
    known = KeyRing.read(settings.key_file, settings.honoured)
    rows = [
        (
            str(each.key_id),
            local_time(int(each.since)),
            "published now" if each.until is None else local_time(int(each.until)),
        )
        for each in known
    ]
    screen.result(table(("Id", "Since", "Accepted until"), rows, right=frozenset({0})))
    told = [{"id": each.key_id, "since": each.since, "until": each.until} for each in known]
    screen.emit(json_keys.MAILROOM_KEYS, {"keys": told})
    return Exit.DONE


def rotate(screen: Screen, **given: Any) -> int:
    """Make a new key; see `dovetail mailroom keys rotate --help`."""
    settings = _settings(given)
    told = control.ask(settings.data_dir, "rotate")
    key_id = _rotate_alone(settings) if told is None else int(told["id"])
    screen.result(str(key_id))
    screen.emit(json_keys.MAILROOM_ROTATE, {"id": key_id})
    screen.say("It is published from now on. Caches may tell the former one for a day.")
    return Exit.DONE


def backup(screen: Screen, *, folder: Path, **given: Any) -> int:
    """Copy messages and keys; see `dovetail mailroom backup --help`."""
    files = backups.backup(_settings(given), folder.absolute())
    screen.result(str(folder.absolute()))
    told = {"folder": str(folder.absolute()), "files": list(files)}
    screen.emit(json_keys.MAILROOM_BACKUP, told)
    screen.say(
        f"It has {', '.join(files)}. To restore it, stop the mailroom and copy them into an empty"
        " data folder."
    )
    return Exit.DONE


def block(screen: Screen, *, cidr: str, **given: Any) -> int:
    """Refuse a network; see `dovetail mailroom block --help`."""
    settings = _settings(given)
    return _take_in(screen, settings, blocking.block(settings.block_file, cidr), "refused")


def unblock(screen: Screen, *, cidr: str, **given: Any) -> int:
    """Serve a network again; see `dovetail mailroom unblock --help`."""
    settings = _settings(given)
    return _take_in(screen, settings, blocking.unblock(settings.block_file, cidr), "served")


def _settings(given: dict[str, Any]) -> MailroomSettings:
    return reader(**given)()[1]


def _rotate_alone(settings: MailroomSettings) -> int:
    """Rotate the keys of a mailroom that does not run."""
    now = time.time()
    with hold(settings.data_dir):
        KeyRing.read(settings.key_file, settings.honoured)
        ring = KeyRing.open(settings.key_file, honoured=settings.honoured, now=now)
        ring.rotate(now)
    return ring.standings[-1].key_id


def _take_in(screen: Screen, settings: MailroomSettings, network: Network, word: str) -> int:
    """Have a mailroom that runs read its lists anew."""
    told = control.ask(settings.data_dir, "blocklists")
    screen.result(str(network))
    screen.emit(json_keys.MAILROOM_BLOCK, {"network": str(network), "holds": told is not None})
    when = "from the next start on, as no mailroom runs here" if told is None else "from now on"
    screen.say(f"It is {word} {when}.")
    return Exit.DONE


def _words(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case list():
            return ", ".join(map(str, value)) or "none"  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
        case int():
            return f"{value:,}"
        case float():
            return f"{value:g}"
        case _:
            return str(value)
