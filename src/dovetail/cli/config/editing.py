"""Change keys of a configuration file, and leave the rest of it as its owner wrote it."""

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from dovetail.cli.config.template import toml
from dovetail.errors import ConfigurationError

_HEADER = re.compile(r"\s*\[")


def edited(text: str, values: Mapping[str, Any], *, table: str, inside: Mapping[str, Any]) -> str:
    """The text with these values at its top, and others inside of a table; None removes a key.

    A key that is commented out is put into force where it stands. Raises `ConfigurationError` for
    a file that is spelled in a way that this cannot follow.
    """
    wanted = _merged(tomllib.loads(text), values, table, inside)
    lines = text.splitlines()
    start = _header(lines, table)
    if start is None:
        lines += ["", f"[{table}]"] if lines else [f"[{table}]"]
        start = len(lines) - 1
    end = _next_header(lines, start + 1)
    lines[start + 1 : end] = _set_all(lines[start + 1 : end], inside)
    top = _next_header(lines, 0)
    lines[:top] = _set_all(lines[:top], values)
    changed = "\n".join(lines) + "\n"
    try:
        sound = tomllib.loads(changed) == wanted
    except tomllib.TOMLDecodeError:
        sound = False
    if not sound:
        names = ", ".join(f"`{name}`" for name in (*values, *(f"{table}.{key}" for key in inside)))
        raise ConfigurationError(
            f"The configuration file is written in a way that cannot be changed here: set {names}"
            " in it by hand, or name another file."
        )
    return changed


def _merged(
    known: dict[str, Any], values: Mapping[str, Any], table: str, inside: Mapping[str, Any]
) -> dict[str, Any]:
    return _without_none(
        {**known, **values, table: _without_none({**known.get(table, {}), **inside})}
    )


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _header(lines: list[str], table: str) -> int | None:
    wanted = re.compile(rf"\s*\[\s*{re.escape(table)}\s*\]")
    return next((at for at, line in enumerate(lines) if wanted.match(line)), None)


def _next_header(lines: list[str], start: int) -> int:
    found = (at for at in range(start, len(lines)) if _HEADER.match(lines[at]))
    return next(found, len(lines))


def _set_all(lines: list[str], values: Mapping[str, Any]) -> list[str]:
    for key, value in values.items():
        lines = _set(lines, key, value)
    return lines


def _set(lines: list[str], key: str, value: Any) -> list[str]:
    """Replace the key's lines, or those in which it is commented out; else add it at the end."""
    line = [] if value is None else [f"{key} = {toml(value)}"]
    at, size = _found(lines, key)
    if size:
        return [*lines[:at], *line, *lines[at + size :]]
    asleep = re.compile(rf"#\s*{re.escape(key)}\s*=")
    for place, each in enumerate(lines if line else []):
        if asleep.match(each):
            return [*lines[:place], *line, *lines[place + 1 :]]
    last = max((place + 1 for place, each in enumerate(lines) if each.strip()), default=0)
    return [*lines[:last], *line, *lines[last:]]


def _found(lines: list[str], key: str) -> tuple[int, int]:
    """Where a key stands, and over how many lines its value goes; 0 lines: nowhere."""
    wanted = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
    for at, line in enumerate(lines):
        if wanted.match(line):
            for size in range(1, len(lines) - at + 1):
                try:
                    tomllib.loads("\n".join(lines[at : at + size]))
                except tomllib.TOMLDecodeError:
                    continue
                return at, size
    return 0, 0
