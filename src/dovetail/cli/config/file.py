"""The configuration file: where it is, what it says, and in which line."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_config_path

from dovetail.cli.config.table import PREFIX
from dovetail.errors import ConfigurationError

T = TypeVar("T")
_TOLD_LINE = re.compile(r"at line (\d+)")


@dataclass(frozen=True, slots=True)
class File:
    """A configuration file as it was read; without a value where there is none."""

    path: Path
    text: str
    values: Mapping[str, Any]

    def reading(self, name: str, read: Callable[[], T], *, table: str = "") -> T:
        """Return what `read` makes of a key; a `ConfigurationError` says where the key is."""
        try:
            return read()
        except ConfigurationError as error:
            raise ConfigurationError(f"{self._place(name, table)}: {error}") from error

    def _place(self, name: str, table: str) -> str:
        """The line of a key: before the first table, or in its table, else that table's line."""
        begin = 0
        if table:
            header = _line_of(self.text, table)
            begin = 0 if header is None else header.end()
        found = _line_of(self.text, name, begin) or (table and _line_of(self.text, table))
        if not found:
            return str(self.path)
        return _at(self.path, self.text.count("\n", 0, found.end()) + 1)


def _line_of(text: str, name: str, begin: int = 0) -> re.Match[str] | None:
    """The beginning of a line with a key, or of the header of a table."""
    line = re.compile(rf"^[ \t]*(?:\[\s*)?[\"']?{re.escape(name)}\b", re.MULTILINE)
    return line.search(text, begin)


def default_file() -> Path:
    """Where the configuration is kept unless `--config` says otherwise."""
    return user_config_path("dovetail", appauthor=False) / "config.toml"


def find(given: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[Path, bool]:
    """The file of this command line, and whether somebody named it. Raises `ConfigurationError`."""
    named = given.get("config") or environment.get(f"{PREFIX}CONFIG")
    if not named:
        return default_file(), False
    try:
        return Path(named).expanduser(), True
    except RuntimeError as error:  # there is no such user
        raise _unreadable(str(named)) from error


def read(given: Mapping[str, Any], environment: Mapping[str, str]) -> File:
    """Read it; the usual one may be missing. Raises `ConfigurationError`."""
    path, named = find(given, environment)
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        if not named:
            return File(path, "", {})
        raise ConfigurationError(
            f"The configuration file {path} is not there: check its path."
        ) from None
    except (OSError, ValueError) as error:  # no text; no path at all
        raise _unreadable(str(path)) from error
    try:
        return File(path, text, tomllib.loads(text))
    except (ValueError, RecursionError) as error:  # too long a number is no TOMLDecodeError
        line = _TOLD_LINE.search(str(error))
        where = _at(path, int(line[1])) if line else str(path)
        raise ConfigurationError(
            f"{where}: the configuration file is not valid TOML: correct it."
        ) from error


def _unreadable(path: str) -> ConfigurationError:
    shown = path if path.isprintable() else "?"
    return ConfigurationError(
        f"The configuration file {shown} cannot be read: check that it is text and yours."
    )


def _at(path: Path, line: int) -> str:
    return f"{path}, line {line}"
