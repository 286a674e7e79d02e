"""The `[mailroom]` table of the configuration: what a mailroom of one's own is limited to."""

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, cast

from dovetail.cli.config import readers
from dovetail.cli.option_types import HIGHEST_PORT
from dovetail.errors import ConfigurationError
from dovetail.mailroom import MailroomSettings

_MOST = 2**53
_LONGEST = 3650 * 86_400.0
_SIZE = re.compile(r"([0-9]{1,6})\s*([KMGT])i?B?", re.ASCII | re.IGNORECASE)
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_FLAGS = ("data_dir", "directory", "relay", "local", "v1", "ca_file")
"""Settings that only the command line has."""


def read(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table's values, by the names of `MailroomSettings`.

    Raises `ConfigurationError`, which names the key.
    """
    found: dict[str, Any] = {}
    for name, value in table.items():
        if name not in READERS:
            raise ConfigurationError(_unknown(name))
        found[name] = READERS[name](f"mailroom.{name}", value)
    return found


def _size(key: str, value: Any) -> int:
    """Bytes, as a number or as text such as 20G."""
    text = value if isinstance(value, str) else ""
    given = _SIZE.fullmatch(text.strip())
    if given is not None:
        return int(given[1]) * _UNITS[given[2].upper()]
    try:
        return _whole(key, value)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"`{key}` must be a number of bytes or a size such as 500M or 20G: correct it."
        ) from error


def _list(one: Callable[[str, Any], Any]) -> Callable[[str, Any], tuple[Any, ...]]:
    def read_all(key: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ConfigurationError(f"`{key}` must be a list: correct it.")
        return tuple(one(key, each) for each in cast("list[object]", value))

    return read_all


_whole = readers.whole(1, _MOST)
_BY_TYPE: dict[Any, Callable[[str, Any], Any]] = {
    float: readers.duration(0.001, _LONGEST),
    int: _whole,
    int | None: _whole,
    str | None: readers.text,
    tuple[str, ...]: _list(readers.text),
    tuple[int, ...]: _list(readers.whole(1, HIGHEST_PORT)),
}
READERS: Mapping[str, Callable[[str, Any], Any]] = {
    each.name: _size if each.name == "max_bytes" else _BY_TYPE[each.type]
    for each in fields(MailroomSettings)
    if each.name not in _FLAGS
}


def _unknown(name: str) -> str:
    if name in _FLAGS:
        return f"`mailroom.{name}` is for the command line alone: give it there."
    near = get_close_matches(name, READERS, n=1, cutoff=0.5)
    shown = name if name.isidentifier() and len(name) <= 40 else "?"
    advice = f"did you mean `{near[0]}`?" if near else "remove it."
    return f"The table [mailroom] has no key `{shown}`: {advice}"
