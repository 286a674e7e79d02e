"""The configuration of a first run: what it will say, what that changes, and writing it."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE
from typing import Any

from dovetail.cli import merchant_settings
from dovetail.cli.config import template
from dovetail.cli.config.editing import edited
from dovetail.cli.config.template import entry, toml
from dovetail.cli.paths import make_folder
from dovetail.durable_files import replace_durably
from dovetail.errors import ConfigurationError

TABLE = "merchant"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A configuration file as it will be."""

    path: Path
    text: str
    lines: tuple[str, ...]
    """The keys that are set, as they stand there."""
    changed: tuple[str, ...]
    """The keys that had another value."""

    def write(self) -> None:
        """Put it in place, in one step, for its owner's eyes alone unless it was for others'.

        Raises `ConfigurationError`.
        """
        make_folder(self.path.parent)
        try:
            mode = S_IMODE(self.path.stat().st_mode) if self.path.exists() else None
            replace_durably(self.path, self.text.encode())
            if mode is not None:
                self.path.chmod(mode)
        except OSError as error:
            raise ConfigurationError(
                f"The configuration file {self.path} cannot be written: {error.strerror}. Name"
                " another one with `--config`."
            ) from error


def new_file(path: Path, values: Mapping[str, Any], inside: Mapping[str, Any]) -> NewFile:
    """The file with these values, and others in the table of the shop; None removes a key.

    Raises `ConfigurationError` for a file that cannot be changed.
    """
    path = path.resolve()
    text = path.read_bytes().decode() if path.exists() else template({})
    known = tomllib.loads(text)
    if TABLE not in known:
        text = f"{text.rstrip()}\n\n{_table()}"
    return NewFile(
        path=path,
        text=edited(text, values, table=TABLE, inside=inside),
        lines=(*_lines(values), f"[{TABLE}]", *_lines(inside)),
        changed=(
            *_changed(known, values, ""),
            *_changed(known.get(TABLE, {}), inside, f"{TABLE}."),
        ),
    )


def _table() -> str:
    entries = "\n".join(entry(key, {}) for key in merchant_settings.KEYS)
    return f"# What a shop's processes use.\n[{TABLE}]\n{entries}"


def _lines(values: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {toml(value)}" for key, value in values.items() if value is not None]


def _changed(known: Mapping[str, Any], values: Mapping[str, Any], prefix: str) -> list[str]:
    return [
        f"{prefix}{key}" for key, value in values.items() if key in known and known[key] != value
    ]
