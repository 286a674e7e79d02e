"""Show the configuration, and write a file to begin with."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from dovetail.cli import config, json_keys
from dovetail.cli.config import KEYS, Found
from dovetail.cli.exits import Exit
from dovetail.cli.options import flags
from dovetail.cli.output import Screen
from dovetail.cli.paths import make_folder
from dovetail.cli.tables import table
from dovetail.durable_files import new_file
from dovetail.errors import ConfigurationError

_SECRET = "core_password"  # noqa: S105 - a key's name
_HIDDEN = "(not shown)"


def path(screen: Screen) -> int:
    """Where the file is."""
    place, _ = config.find(flags(), os.environ)
    if not place.exists():
        screen.say("It is not there yet: `dovetail config init` begins it.")
    return _tell(place, screen)


def show(screen: Screen) -> int:
    """Print the settings, and where each comes from."""
    written = config.read(flags(), os.environ)
    found = config.look_up(written, flags(), os.environ)
    rows = [(name, _words(name, each), each.origin) for name, each in found.items()]
    screen.say(f"The file is {written.path}{'' if written.path.exists() else ', not there yet'}.")
    screen.result(table(("Key", "Value", "From"), rows, right=frozenset()))
    told = {
        name: {"value": _plain(name, each.value), "origin": each.origin}
        for name, each in found.items()
    }
    values = {"path": str(written.path), "exists": written.path.exists(), "settings": told}
    screen.emit(json_keys.CONFIG_SHOW, values)
    return Exit.DONE


def init(screen: Screen) -> int:
    """Begin the file. Raises `ConfigurationError` where it is there."""
    place, _ = config.find(flags(), os.environ)
    text = config.template(_chosen(flags()))
    make_folder(place.parent)
    try:
        with new_file(place) as file:
            file.write(text.encode())
    except FileExistsError:
        raise ConfigurationError(
            f"The configuration file {place} is there, and stays as it is: change it by hand."
        ) from None
    screen.say(
        "The file is begun. Set in it what you need; `dovetail config show` shows what holds."
    )
    return _tell(place, screen)


def _chosen(given: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that options set, as they were typed, once they are known to be right."""
    chosen = {key.name: given[key.name] for key in KEYS if key.name in given}
    for key in KEYS:
        if key.name in chosen:
            value = key.read(key.name, chosen[key.name])
            chosen[key.name] = value if key.name == "data_dir" else chosen[key.name]
    return chosen


def _tell(place: Path, screen: Screen) -> int:
    screen.result(str(place))
    screen.emit(json_keys.CONFIG_PATH, {"path": str(place), "exists": place.exists()})
    return Exit.DONE


def _words(name: str, found: Found) -> str:
    value = _plain(name, found.value)
    if name == _SECRET and found.value is not None:
        return _HIDDEN
    match value:
        case None | []:
            return next(key.default_words for key in KEYS if key.name == name)
        case bool():
            return str(value).lower()
        case list():
            return ", ".join(map(str, cast("list[object]", value)))
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _plain(name: str, value: Any) -> Any:
    """The value for JSON; a password is left out."""
    if name == _SECRET:
        return None
    if isinstance(value, tuple):
        return list(cast("tuple[object, ...]", value))
    return str(value) if isinstance(value, Path) else value
