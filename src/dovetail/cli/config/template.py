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
EXAMPLES: Mapping[str, Any] = {
    "data_dir": "~/dovetail",
    "network": "signet",
    "chain": "ssl://your.server:50002",
    "chain_certificate": "~/chain.pem",
    "chain_pace": "1m",
    "directory": "https://your.directory",
    "relays": ["https://your.relay"],
    "tor": "socks5://127.0.0.1:9050",
    "relay_fee_rate": "0.1",
    "passphrase_file": "~/passphrase",
    "core_url": "http://127.0.0.1:8332",
    "core_wallet": "payments",
    "core_cookie": "~/.bitcoin/.cookie",
    "core_user": "dovetail",
    "core_password": "...",
}
"""Examples for keys without a default."""


def template(chosen: Mapping[str, Any]) -> str:
    """The text of the file, in which the keys that were `chosen` count."""
    return "\n".join((_HEAD, *(_entry(key, chosen) for key in KEYS)))


def _entry(key: Key, chosen: Mapping[str, Any]) -> str:
    words = textwrap.fill(
        f"{key.words} Default: {key.default_words}.",
        _WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    if key.name in chosen:
        return f"{words}\n{key.name} = {_toml(chosen[key.name])}\n"
    asleep = EXAMPLES.get(key.name, key.default)
    return f"{words}\n#{key.name} = {_toml(asleep)}\n"


def _toml(value: Any) -> str:
    """Text, a number, a truth or a list, as TOML and JSON spell them alike."""
    if isinstance(value, Path):
        return json.dumps(str(value))
    return json.dumps(value, ensure_ascii=False)
