"""A configuration file to begin with: every key with its meaning, most of them commented out."""

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dovetail.cli.config.table import KEYS, Key

_WIDTH = 96
_HEAD = """\
# Dovetail's configuration. A key counts once the `#` before it is removed. Options and DOVETAIL_...
# variables win over this file.
"""


def template(chosen: Mapping[str, Any]) -> str:
    """The text of the file, in which the keys that were `chosen` count."""
    return "\n".join((_HEAD, *(entry(key, chosen) for key in KEYS)))


def entry(key: Key, chosen: Mapping[str, Any]) -> str:
    """A key with its meaning; it counts where it was `chosen`."""
    words = textwrap.fill(
        f"{key.words} Default: {key.default_words}.",
        _WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    if key.name in chosen:
        return f"{words}\n{key.name} = {toml(chosen[key.name])}\n"
    asleep = key.default if key.example is None else key.example
    return f"{words}\n#{key.name} = {toml(asleep)}\n"


def toml(value: Any) -> str:
    """Text, a path, a number, a truth or a list, as TOML and JSON spell them alike."""
    if isinstance(value, Path):
        return json.dumps(str(value))
    return json.dumps(value, ensure_ascii=False)
